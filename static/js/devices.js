// The list of devices: kept up to date, walked with the arrow keys, selected with x, acted upon by the bar below.
//
// What happens to devices is told by the events socket; the list is then asked for again, at most once a while, with what
// was selected and focused kept.
import { subscribe } from "./events.js";
import { isTyping, keysAreOn } from "./keys.js";

const CALM = 1500; // ms between two looks at the list, however much happens

const filters = document.getElementById("filters");
const bar = document.getElementById("bulk");
const selected = new Set();
let timer = 0;

const list = () => document.getElementById("fleet");
const boxes = () => [...list().querySelectorAll("input[name=device]")];
const links = () => [...list().querySelectorAll("tbody th a")];
const rowOf = (element) => element?.closest?.("#fleet tbody tr");

// --- Up to date ------------------------------------------------------------------------------------------------------
function lookAgain() {
  timer ||= setTimeout(() => {
    timer = 0;
    htmx.trigger(filters, "refresh");
  }, CALM);
}

for (const type of ["device.added", "device.changed", "device.removed", "resync"]) subscribe(type, lookAgain);

let focused = null;
document.body.addEventListener("htmx:beforeSwap", () => {
  const row = rowOf(document.activeElement);
  focused = row && { device: row.dataset.device, name: document.activeElement.name ?? "" };
});
document.body.addEventListener("htmx:afterSettle", () => {
  for (const box of boxes()) box.checked = selected.has(box.value);
  if (focused) {
    const row = list().querySelector(`tr[data-device="${focused.device}"]`);
    row?.querySelector(focused.name ? `[name="${focused.name}"]` : "th a")?.focus();
  }
  show();
});

// --- Selecting -------------------------------------------------------------------------------------------------------
function show() {
  const all = list().querySelector("[data-all]");
  const shown = boxes();
  if (all) {
    const count = shown.filter((box) => box.checked).length;
    all.checked = count > 0 && count === shown.length;
    all.indeterminate = count > 0 && count < shown.length;
  }
  if (!bar) return;
  bar.hidden = selected.size === 0;
  const word = selected.size === 1 ? "1 device selected" : `${selected.size} devices selected`;
  for (const place of document.querySelectorAll("[data-selected-count]")) place.textContent = word;
  for (const form of document.querySelectorAll("form[data-bulk]")) {
    const fields = [...selected].map((value) => Object.assign(document.createElement("input"), { type: "hidden", name: "device", value }));
    form.querySelector("[data-selected]").replaceChildren(...fields);
  }
}

function mark(box, on) {
  box.checked = on;
  if (on) selected.add(box.value);
  else selected.delete(box.value);
}

function clear() {
  for (const box of boxes()) box.checked = false;
  selected.clear();
  show();
}

document.addEventListener("change", ({ target }) => {
  if (!list().contains(target)) return;
  if (target.matches("[data-all]")) for (const box of boxes()) mark(box, target.checked);
  else if (target.name === "device") mark(target, target.checked);
  show();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-clear-selection]")) clear();
});

// --- Keys ------------------------------------------------------------------------------------------------------------
function step(event) {
  const all = links();
  const at = all.findIndex((link) => rowOf(link) === rowOf(document.activeElement));
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined || !all[to]) return;
  if (at < 0 && document.activeElement !== document.body && !document.activeElement.matches("#main, [data-search]")) return;
  event.preventDefault();
  all[to].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const searching = event.target.matches?.("[data-search]");
  if (["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) {
    if (!isTyping(event.target) || (searching && event.key === "ArrowDown")) step(event);
  } else if (event.key === "x" && !isTyping(event.target) && keysAreOn()) {
    const box = rowOf(event.target)?.querySelector("input[name=device]");
    if (!box) return;
    event.preventDefault();
    mark(box, !box.checked);
    show();
  } else if (event.key === "Escape" && selected.size && !isTyping(event.target)) {
    clear();
  }
});

// The browser restores ticks when one comes back.
for (const box of boxes()) if (box.checked) selected.add(box.value);
show();
