// Keys that work on every page: "?" lists them, "g" and a letter goes to a page (links with data-go="letter"), "/" goes
// to the page's search field ([data-search]). They stay away from typing, and can be switched off in the list.
import { openDialog } from "./dialogs.js";
import { remember, remembered } from "./storage.js";

const WAIT = 1500; // ms between "g" and its letter

const list = document.getElementById("keys");
const toggle = list?.querySelector("[data-keys-on]");
let waiting = 0; // until when a letter after "g" counts

export const keysAreOn = () => remembered("keys", "on") === "on";

export const isTyping = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=range])"));

function press(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (isTyping(event.target) || !keysAreOn() || document.querySelector("dialog[open]")) return;

  if (waiting > event.timeStamp) {
    waiting = 0;
    const link = document.querySelector(`[data-go="${CSS.escape(event.key.toLowerCase())}"]`);
    if (!link) return;
    event.preventDefault();
    link.click();
  } else if (event.key === "g") {
    waiting = event.timeStamp + WAIT;
  } else if (event.key === "?" && list) {
    event.preventDefault();
    openDialog(list);
    toggle.checked = true;
  } else if (event.key === "/") {
    const field = [...document.querySelectorAll("[data-search]")].find((each) => each.checkVisibility());
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  }
}

// Arrow keys walk through [data-walk] (tiles, leaves of a tree) as the eye does: to the nearest one in that direction.
function walk(event) {
  const box = event.target.closest?.("[data-walk]");
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!box || !way || event.defaultPrevented || isTyping(event.target)) return;
  const centre = (element) => {
    const r = element.getBoundingClientRect();
    return [r.left + r.width / 2, r.top + r.height / 2];
  };
  const [x, y] = centre(event.target);
  let best = null;
  let least = Infinity;
  for (const each of box.querySelectorAll("a, summary")) {
    if (each === event.target || !each.checkVisibility()) continue;
    const [dx, dy] = centre(each).map((value, axis) => value - [x, y][axis]);
    const along = dx * way[0] + dy * way[1];
    const across = Math.abs(dx * way[1] + dy * way[0]);
    if (along < 4) continue;
    const distance = along + 3 * across;
    if (distance < least) [best, least] = [each, distance];
  }
  if (!best) return;
  event.preventDefault();
  best.focus();
}

document.addEventListener("keydown", press);
document.addEventListener("keydown", walk);
toggle?.addEventListener("change", () => remember("keys", toggle.checked ? "on" : "off"));
document.addEventListener("click", (event) => {
  // The list is opened from the menu too; then the switch has to tell how it stands.
  if (event.target.closest("[data-dialog=keys]")) toggle.checked = keysAreOn();
});
