// A camera's movement, for as long as something holds it: a button, a key, a hand on the picture.
//
// What is held says how fast it wants to go whenever it is asked. That is sent at once, again and again, and sooner when
// it has changed; the server ends the movement by itself should we fall silent. A stop goes out at once, and once more
// after a command that was still on its way, so that it is always the last word.
import { call } from "./api.js";
import { toast } from "./toasts.js";

const AGAIN = 700; // ms; the server waits 2 s
const CHANGES = 120; // ms between two commands at least
const STILL = { pan: 0, tilt: 0, zoom: 0 };

const same = (a, b) => a.pan === b.pan && a.tilt === b.tilt && a.zoom === b.zoom;

export class Movement {
  #camera;
  #held = null;
  #said = STILL;
  #saidAt = 0;
  #underway = null;
  #timer = 0;

  constructor(camera) {
    this.#camera = camera;
  }

  get held() {
    return this.#held;
  }

  /* held: {speeds(): {pan, tilt, zoom} from -1 to 1, answered(): a command has reached the camera, ended(): it is let
     go, by whomever}; the last two may be left out. It takes the place of what is held already. */
  begin(held) {
    if (this.#held === held) return;
    const before = this.#held;
    this.#held = held;
    before?.ended?.();
    if (!this.#underway) this.#send();
  }

  /* What is held may want another speed now. */
  change() {
    if (this.#held && !this.#underway) this.#sendLater();
  }

  end() {
    if (!this.#held) return;
    const late = this.#underway;
    this.#letGo();
    this.#stop().catch((error) => toast(error.message, "error"));
    late?.catch(() => {}).finally(() => this.#held || this.#stop().catch(() => {}));
  }

  #letGo() {
    const { ended } = this.#held;
    this.#held = null;
    clearTimeout(this.#timer);
    ended?.();
  }

  #sendLater() {
    clearTimeout(this.#timer);
    const pause = same(this.#held.speeds(), this.#said) ? AGAIN : CHANGES;
    this.#timer = setTimeout(() => this.#send(), Math.max(0, this.#saidAt + pause - performance.now()));
  }

  async #send() {
    const held = this.#held;
    this.#said = held.speeds();
    this.#saidAt = performance.now();
    this.#underway = this.#ask(this.#said);
    try {
      await this.#underway;
      if (this.#held === held) held.answered?.();
    } catch (error) {
      toast(error.message, "error");
      if (this.#held === held) {
        this.#letGo();
        this.#stop().catch(() => {}); // it may move all the same
      }
    } finally {
      this.#underway = null;
    }
    if (this.#held === held) this.#sendLater();
    else if (this.#held) this.#send();
  }

  #stop() {
    return this.#ask(STILL, { keepalive: true });
  }

  #ask(speeds, options) {
    return call("POST", `cameras/${this.#camera}/ptz`, speeds, options);
  }
}
