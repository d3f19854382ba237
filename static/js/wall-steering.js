// Steering of the selected camera, beside the wall: fetched for it when the panel is open, and followed from tile to tile.
// Arrow keys steer while the focus is in the panel; there they are not about tiles.
import { steer } from "./steer.js";

const panel = document.getElementById("steering");
const button = document.querySelector("[data-steering]");

// On a small tile a drag is about tiles.
const onPicture = (player) => player.closest(".spot")?.classList.contains("maximised");

let leaf = null; // of the selected camera, in the tree
let shown; // the camera of the panel; null: none that can be steered
let end = null;

function words(text) {
  const sentence = document.createElement("p");
  sentence.className = "faint";
  sentence.textContent = text;
  return sentence;
}

async function load() {
  const camera = leaf?.dataset.steerable === undefined ? null : leaf.dataset.camera;
  if (camera !== null && camera === shown) return;
  shown = camera;
  end?.();
  end = null;
  if (camera === null) {
    panel.replaceChildren(words(leaf ? `${leaf.dataset.name} cannot be steered from here.` : "There is nothing to steer in the selected tile."));
    return;
  }
  await htmx.ajax("GET", `/live/steering/${camera}/`, { target: panel, swap: "innerHTML" });
  const made = panel.querySelector("[data-steer]");
  if (made && shown === camera && made.dataset.steer === camera) end = steer(made, { arrowsWithin: panel, onPicture });
}

/* Another tile is selected, or another camera is in it. */
export function showSteering(selected) {
  leaf = selected ?? null;
  if (panel && !panel.hidden) load();
}

async function open() {
  panel.hidden = false;
  button.setAttribute("aria-expanded", "true");
  await load();
  (panel.querySelector("[data-move]") ?? panel.querySelector("button"))?.focus();
}

/* True if it was open. */
export function closeSteering() {
  if (!panel || panel.hidden) return false;
  panel.hidden = true;
  button.setAttribute("aria-expanded", "false");
  end?.();
  end = null;
  shown = undefined;
  panel.replaceChildren();
  return true;
}

button?.addEventListener("click", () => closeSteering() || open());
panel?.addEventListener("click", (event) => event.target.closest("[data-close-steering]") && closeSteering() && button.focus());
