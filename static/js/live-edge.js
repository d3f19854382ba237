// Where in the buffer a live picture should be, and how to get there. Pure: told what came and where playing is, it says
// whether to seek or how fast to play.
//
// Strategy. A picture that was on its way as briefly as any lately shows how the media time and the clock belong together.
// From that follows which media time is arriving right now, without the steps in which the buffer grows. Playing stays
// `target` behind it: as much as the latest pictures were late, and a little more for decoding; between 75 and 250 ms, and
// no less than PICTURES pictures last.
// Lateness raises it at once and is forgotten slowly; so does a stall, since a computer may be slow where the line is not.
// Small distances are caught up by the rate. Seeking is for more than a second, for what a stall has left behind, and for
// the pictures that were there before: in these cases the motion is broken already.
//
// The first picture is the oldest in the buffer, a key picture: it is on the screen before others have been decoded.
//
// A picture that lasts much longer than the one before stands for some that were lost; it is the next one's time that
// belongs to the moment at which it came.

const LEAST = 0.075; // seconds
// As many pictures at least: slow ones stand small on a wall of many, and what counts there is that they are steady.
const PICTURES = 2.4;
const MOST = 0.25;
const DECODING = 0.05;
const AT_FIRST = 60; // ms of lateness, until more is known
const WORST = 1000 * (MOST - DECODING); // ms; more would only take longer to forget
const FORGET = 20_000; // ms in which lateness fades to a third
const WINDOW = 5000; // ms; the least delay is looked for in this one and the one before
const SLOW = 0.04; // seconds more after each stall
const SLOWER = 0.15; // at most
const FORGET_SLOW = 120_000; // ms in which that fades to a third
const HOLE = 1000; // ms: later than this is no jitter, but something that was away
const HOLES = 8; // so many in a row are the new normal
const LONG = 3; // times as long as the picture before
const FAR = 1.0; // seconds off that are not worth catching up
const AFTER_STALL = 0.3; // seconds more than wanted that are not caught up after a stall, or at the beginning
const NEAR = 0.008; // seconds: caught up
const LOOSE = 0.02; // seconds that may be missing before the rate is touched
const SLOWEST = 0.93;
const FASTEST = 1.25;

export class LiveEdge {
  #least = Infinity; // ms, of this window
  #before = Infinity; // ms, of the window before
  #since = 0;
  #late = AT_FIRST;
  #lateAt = performance.now();
  #slow = 0; // seconds
  #slowAt = 0;
  #holes = 0;
  #lasting = null; // seconds, of the picture before
  #correcting = false;

  constructor(fixed = null) {
    this.fixed = fixed; // seconds, instead of what the lateness says
  }

  /* A picture of this media time, that lasts so long (seconds), came at this moment (ms). */
  arrived(media, lasting, now) {
    const usual = this.#lasting ?? lasting;
    const stands = lasting > LONG * usual ? lasting - usual : 0;
    if (!stands) this.#lasting = lasting;
    const delay = now - (media + stands) * 1000;
    const late = delay - this.#delay;
    if (late > HOLE && ++this.#holes < HOLES) return;
    if (late > HOLE) this.#least = this.#before = Infinity;
    this.#holes = 0;
    if (now - this.#since > WINDOW) {
      [this.#before, this.#least] = [this.#least, Infinity];
      this.#since = now;
    }
    this.#least = Math.min(this.#least, delay);
    this.#late = Math.min(WORST, Math.max(this.#lateness(now), delay - this.#delay));
    this.#lateAt = now;
  }

  /* Playing ran dry, though pictures came. */
  stalled(now) {
    this.#slow = Math.min(SLOWER, this.#slowness(now) + SLOW);
    this.#slowAt = now;
  }

  get known() {
    return this.#delay < Infinity;
  }

  get #delay() {
    return Math.min(this.#least, this.#before);
  }

  #lateness(now) {
    return this.#late * Math.exp((this.#lateAt - now) / FORGET);
  }

  #slowness(now) {
    return this.#slow * Math.exp((this.#slowAt - now) / FORGET_SLOW);
  }

  /* Seconds that playing stays behind what is arriving. */
  target(now) {
    const least = Math.max(LEAST, PICTURES * (this.#lasting ?? 0));
    return this.fixed ?? Math.min(MOST, Math.max(least, DECODING + this.#slowness(now) + this.#lateness(now) / 1000));
  }

  /* Which media time is arriving now. */
  arriving(now) {
    return (now - this.#delay) / 1000;
  }

  /* What to do: {seek: seconds}, {wait: true} while there is too little to begin with, or {rate}. */
  advise({ position, start, end, now, begun, stalled }) {
    const target = this.target(now);
    const wanted = Math.min(end, Math.max(start, this.arriving(now) - target));
    const behind = wanted - position;
    if (!begun) {
      if (position < start || position > end) return { seek: wanted - start > AFTER_STALL ? start : wanted };
      return behind < -LOOSE ? { wait: true } : { rate: 1 };
    }
    if (position < start) return { seek: wanted };
    // To jump costs decoding, of which a computer that stalls often has none to spare.
    const left = AFTER_STALL + 2 * this.#slowness(now);
    if (Math.abs(behind) > FAR || (stalled && behind > left)) return { seek: wanted };
    this.#correcting = Math.abs(behind) > (this.#correcting ? NEAR : LOOSE);
    return { rate: this.#correcting ? Math.min(FASTEST, Math.max(SLOWEST, 1 + 0.5 * behind)) : 1 };
  }
}
