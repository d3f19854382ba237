// What the people at this browser have chosen for all live pictures: their quality and how loud they are.
// Told on document as "vms:live-quality" and "vms:live-volume" when it changes.
import { remember, remembered } from "./storage.js";

export const QUALITIES = { low: "Low", auto: "Auto", high: "High" };

function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(`vms:${name}`, { detail }));
}

export function quality() {
  const kept = remembered("live-quality", "auto");
  return kept in QUALITIES ? kept : "auto";
}

export function chooseQuality(value) {
  remember("live-quality", value);
  tell("live-quality", value);
}

export function volume() {
  const kept = Number(remembered("live-volume", "1"));
  return kept >= 0 && kept <= 1 ? kept : 1;
}

export function chooseVolume(value) {
  remember("live-volume", String(value));
  tell("live-volume", value);
}
