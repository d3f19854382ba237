// Steering a camera: [data-steer="CAMERA"] is the panel, with buttons that are held.
//
// A [data-move="pan,tilt,zoom"] button moves the camera while it is held, by pointer, by Enter or Space, or by an arrow
// key: until it is let go, or the window loses the focus, is hidden or left (steer-movement.js). Where the camera's
// picture is on the page, it is steered by hand, too (steer-picture.js), as far as [data-can] says that it can be.
import { call } from "./api.js";
import { subscribe } from "./events.js";
import { isTyping, keysAreOn } from "./keys.js";
import { Movement } from "./steer-movement.js";
import { steerOnPicture } from "./steer-picture.js";
import { toast } from "./toasts.js";

const KEYS = {
  ArrowLeft: "-1,0,0",
  ArrowRight: "1,0,0",
  ArrowUp: "0,1,0",
  ArrowDown: "0,-1,0",
  "+": "0,0,1",
  "-": "0,0,-1",
};

/* Where in its picture a player was clicked, 0 to 1 from the top left; null beside the picture, or without one. The
   picture keeps its shape within the player. */
function placeIn(player, event) {
  const { videoWidth: width, videoHeight: height } = player.video;
  if (!width || !height) return null;
  const box = player.video.getBoundingClientRect();
  const scale = Math.min(box.width / width, box.height / height);
  const x = 0.5 + (event.clientX - box.left - box.width / 2) / (width * scale);
  const y = 0.5 + (event.clientY - box.top - box.height / 2) / (height * scale);
  return x < 0 || x > 1 || y < 0 || y > 1 ? null : { x, y };
}

/* Make a panel work; what is answered ends it. With `arrowsWithin`, arrow keys steer only while the focus is in there.
   `onPicture` says of a player whether hands on it steer now. */
export function steer(panel, { arrowsWithin = null, onPicture = () => true } = {}) {
  const ending = new AbortController();
  const { signal } = ending;
  const camera = Number(panel.dataset.steer);
  const speed = panel.querySelector("[data-speed]");
  const factor = () => (speed ? Number(speed.value) / 100 : 1);
  const movement = new Movement(camera);
  let pressed = null; // the button that is held

  function hold(button) {
    if (pressed === button) return;
    movement.begin({
      speeds() {
        const [pan, tilt, zoom] = button.dataset.move.split(",").map((part) => Number(part) * factor());
        return { pan, tilt, zoom };
      },
      ended() {
        button.classList.remove("held");
        if (pressed === button) pressed = null;
      },
    });
    pressed = button;
    button.classList.add("held");
  }

  /* Let go of the button; a hand on the picture lets go by itself. */
  const release = () => pressed && movement.end();
  const stop = () => movement.end();

  async function once(button) {
    const { ask, method = "POST", body, about } = button.dataset;
    button.setAttribute("aria-busy", "true");
    try {
      await call(method, `cameras/${camera}/${ask}`, body ? JSON.parse(body) : undefined);
      if (about) toast(about, "success");
    } catch (error) {
      toast(error.message, "error");
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  async function savePreset(form) {
    const number = form.elements.number.value;
    const body = { name: form.elements.name.value.trim() };
    if (number) body.number = Number(number);
    try {
      const saved = await call("POST", `cameras/${camera}/presets`, body);
      toast(`Preset ${saved.number} is where the camera looks now.`, "success");
      form.reset();
      lookAgain();
    } catch (error) {
      toast(error.message, "error");
    }
  }

  /* Ask for something that a form says, and say what went wrong. */
  async function asked(element, ask) {
    element.setAttribute("aria-busy", "true");
    try {
      await ask();
    } catch (error) {
      toast(error.message, "error");
    } finally {
      element.removeAttribute("aria-busy");
    }
  }

  function turn(form) {
    const { pan, tilt } = form.elements;
    return asked(form, () => call("POST", `cameras/${camera}/position`, { pan: Number(pan.value), tilt: Number(tilt.value) }));
  }

  function whereItLooks(form) {
    return asked(form, async () => {
      const { pan, tilt } = await call("GET", `cameras/${camera}/position`);
      form.elements.pan.value = pan;
      form.elements.tilt.value = tilt;
    });
  }

  /* What its pictures tell while somebody watches them. */
  const looks = panel.querySelector("[data-position]");
  function lookingAt({ pan, tilt }) {
    looks.textContent = `Looks at ${pan}° / ${tilt}°`;
    looks.hidden = false;
  }

  function centerOn(player, event) {
    const place = placeIn(player, event);
    if (!place) return;
    const mark = Object.assign(document.createElement("span"), { className: "aimed-at" });
    mark.style.left = `${event.clientX}px`;
    mark.style.top = `${event.clientY}px`;
    document.body.append(mark);
    asked(player, () => call("POST", `cameras/${camera}/center`, place)).finally(() => mark.remove());
  }

  function lookAgain() {
    if (document.getElementById("presets")) htmx.trigger("#presets", "refresh");
  }

  panel.addEventListener("pointerdown", (event) => {
    const button = event.target.closest("[data-move]");
    if (!button || event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    hold(button);
  });
  for (const over of ["pointerup", "pointercancel", "lostpointercapture"]) document.addEventListener(over, release, { signal });
  panel.addEventListener("contextmenu", (event) => event.target.closest("[data-move]") && event.preventDefault());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const focused = event.target.closest?.("[data-move]");
    if (focused && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      if (!event.repeat) hold(focused);
      return;
    }
    if (arrowsWithin && !arrowsWithin.contains(event.target)) return;
    if (!(event.key in KEYS) || isTyping(event.target) || event.target.matches("[type=range], [type=radio]") || !keysAreOn()) return;
    const button = panel.querySelector(`[data-move="${KEYS[event.key]}"]`);
    if (!button) return;
    event.preventDefault();
    if (!event.repeat) hold(button);
  }, { signal });
  document.addEventListener("keyup", (event) => {
    if (event.key in KEYS || event.key === "Enter" || event.key === " ") release();
  }, { signal });
  addEventListener("blur", stop, { signal });
  addEventListener("pagehide", stop, { signal });
  document.addEventListener("visibilitychange", () => document.hidden && stop(), { signal });

  const player = document.querySelector(`live-player[camera="${camera}"]`);
  if (player) {
    const can = new Set(panel.dataset.can.split(" ").filter(Boolean));
    const allowed = () => onPicture(player);
    const center = (event) => centerOn(player, event);
    steerOnPicture(player, { movement, can, allowed, center, zoomSpeed: factor, signal });
  }

  panel.addEventListener("click", (event) => {
    const button = event.target.closest("[data-ask], [data-where]");
    if (!button) return;
    if (button.matches("[data-where]")) whereItLooks(button.form);
    else once(button);
  });
  panel.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.target.matches("[data-save-preset]")) savePreset(event.target);
    else if (event.target.matches("[data-turn]")) turn(event.target);
  });
  const unsubscribe = [
    subscribe("camera.presets", (message) => message.camera === camera && lookAgain()),
    subscribe("camera.position", (message) => looks && message.camera === camera && lookingAt(message)),
    subscribe("camera.steered", ({ camera: which, by, instead_of: loser }) => {
      if (which !== camera) return;
      panel.querySelector("[data-holder]").textContent = loser ? `${by} took over from ${loser}` : `${by} is steering`;
    }),
  ];
  if (looks) {
    call("GET", `cameras/${camera}/ptz`)
      .then(({ position }) => position && lookingAt(position))
      .catch(() => {}); // the next picture that tells something else says so
  }
  // What is held since before this was loaded. It is not captured: it is let go wherever the pointer is.
  const early = panel.querySelector("[data-move]:active");
  if (early) hold(early);
  signal.addEventListener("abort", () => {
    stop();
    for (const each of unsubscribe) each();
  });
  return () => ending.abort();
}

const there = document.querySelector("[data-steer]");
if (there) steer(there);
