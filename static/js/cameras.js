// The page of cameras shows what there is: when devices come, go or tell of their first cameras, it is loaded anew — but
// not under somebody's hands.
import { subscribe } from "./events.js";

const SETTLE_MS = 800; // devices come in groups
let waiting = 0;

function busy() {
  const element = document.activeElement;
  return Boolean(document.querySelector("dialog[open]") || (element?.matches("input, textarea, select") && element.value));
}

function reloadSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(() => (busy() ? reloadSoon() : location.reload()), SETTLE_MS);
}

subscribe("device.added", reloadSoon);
subscribe("device.removed", reloadSoon);
subscribe("device.changed", ({ device }) => {
  if (!document.querySelector(`.tile[data-device="${Number(device)}"]`)) reloadSoon();
});
