// The pages of one device: [ and ] go from tab to tab, a part marked [data-fresh="DEVICE"] is asked for again when
// something about its device changes, and now and then; and a [data-call="path"] (a button, or a form whose fields are sent
// along, with what a [data-append="field"] adds) asks the API to do something with the device, and says what became of it;
// then the part that [data-then] names is asked for again.
import { call } from "./api.js";
import { subscribe } from "./events.js";
import { isTyping, keysAreOn } from "./keys.js";
import { toast } from "./toasts.js";

const EVERY = 10000; // ms
const CALM = 800; // ms

const fresh = document.querySelector("[data-fresh]")?.dataset.fresh;
let timer = 0;

function lookAgain() {
  const part = document.querySelector("[data-fresh]");
  // Whoever is at a menu or a field in it is left alone.
  if (!part || document.hidden || part.matches(":has(:focus-visible, [open] > summary:focus)")) return;
  htmx.trigger(part, "refresh");
}

function soon({ device }) {
  if (device !== undefined && String(device) !== fresh) return;
  clearTimeout(timer);
  timer = setTimeout(lookAgain, CALM);
}

if (fresh) {
  for (const type of ["device.state", "device.changed", "device.settings", "resync"]) subscribe(type, soon);
  setInterval(lookAgain, EVERY);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "[" && event.key !== "]") return;
  if (event.ctrlKey || event.metaKey || isTyping(event.target) || !keysAreOn() || document.querySelector("dialog[open]")) return;
  const tabs = [...document.querySelectorAll(".subnav a:not(.back)")];
  const at = tabs.findIndex((tab) => tab.hasAttribute("aria-current"));
  tabs[at + (event.key === "]" ? 1 : -1)]?.click();
});

async function ask(element, body) {
  element.setAttribute("aria-busy", "true");
  try {
    const answer = await call(element.dataset.method ?? "POST", element.dataset.call, body);
    const [one] = answer?.results ?? [];
    if (one?.ok === false) throw new Error(one.error);
    toast(element.dataset.about, "success");
    element.closest("dialog")?.close();
    if (element.dataset.then) htmx.trigger(`#${element.dataset.then}`, "again");
  } catch (error) {
    toast(error.message, "error");
  } finally {
    element.removeAttribute("aria-busy");
    lookAgain();
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-call]");
  if (button) ask(button, button.dataset.method === "DELETE" ? undefined : JSON.parse(button.dataset.body ?? "{}"));
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-call]")) return;
  event.preventDefault();
  const body = { ...JSON.parse(event.target.dataset.body ?? "{}"), ...Object.fromEntries(new FormData(event.target)) };
  for (const end of event.target.querySelectorAll("[data-append]")) body[end.dataset.append] += end.value;
  ask(event.target, body);
});

// Where the tabs or groups are more than fit, the present one is in sight.
for (const current of document.querySelectorAll(".subnav [aria-current], .groups [aria-current]")) {
  current.scrollIntoView({ block: "nearest", inline: "center" });
}
