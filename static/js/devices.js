// The list of devices: kept up to date, walked with the arrow keys, selected with x, acted upon by the bar below.
//
// What happens to devices is told by the events socket; the list is then asked for again, at most once a while, with what
// was selected and focused kept. What was selected may be more than the page shows: all that match the search.
import { askToRun } from "./bulk.js";
import { subscribe } from "./events.js";
import { isTyping, keysAreOn } from "./keys.js";
import { toast } from "./toasts.js";

const CALM = 1500; // ms between two looks at the list, however much happens

const filters = document.getElementById("filters");
const bar = document.getElementById("bulk");
const AT_A_TIME = 100; // as many as a page shows; more are asked about, and done in pieces
const selected = new Set();
const names = new Map(); // of selected devices that the page does not show
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
  const found = Number(list().dataset.found);
  const more = bar.querySelector("[data-select-found]");
  more.hidden = !(all?.checked && !all.indeterminate && found > shown.length && selected.size < found);
  more.textContent = `Select all ${found} ${"filtered" in list().dataset ? "found" : "devices"}`;
  const word = selected.size === 1 ? "1 device selected" : `${selected.size} devices selected`;
  for (const place of document.querySelectorAll("[data-selected-count]")) place.textContent = word;
  if (selected.size > AT_A_TIME) return; // done in pieces, not by these forms
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

async function selectFound(button) {
  button.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`${button.dataset.selectFound}${location.search}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error();
    for (const { id, name } of (await answer.json()).devices) {
      selected.add(String(id));
      names.set(String(id), name);
    }
    for (const box of boxes()) box.checked = selected.has(box.value);
    show();
  } catch {
    toast("The server did not tell which devices these are. Try again in a moment.", "error");
  } finally {
    button.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-clear-selection]")) clear();
  const found = event.target.closest("[data-select-found]");
  if (found) selectFound(found);
});

// --- More than a page ------------------------------------------------------------------------------------------------
document.addEventListener(
  "submit",
  (event) => {
    if (!event.target.matches("form[data-bulk]") || selected.size <= AT_A_TIME) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const typed = new FormData(event.target);
    const body = { action: event.submitter.value };
    if (typed.has("site")) body.site = typed.get("site");
    if (typed.has("server")) body.server = typed.get("server").trim();
    if (typed.has("tags")) body.tags = typed.get("tags").split(",");
    event.target.closest("dialog")?.close();
    const devices = [...selected].map((id) => ({ id: Number(id), name: nameOf(id) }));
    askToRun(devices, body, () => {
      clear();
      lookAgain();
    });
  },
  true, // before what sends a form once
);

function nameOf(id) {
  return names.get(id) ?? list().querySelector(`tr[data-device="${id}"] th a`)?.textContent ?? `Device ${id}`;
}

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
