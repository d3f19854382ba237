// The live wall: tiles with players, the tree they are filled from, and the views that keep them.
//
// What is on the wall is {layout, cameras: [id or null, tile by tile], view: id or null}. It is kept per user in this
// browser, and in a saved view on the server (wall-views.js) when somebody wants it there. The tree in the page is the
// only list of cameras; a tile whose camera is not in it (any more) is empty, unless the right to see it was taken while
// it stood there: then it stays, says so, and asks until the right is given back. Each camera stands on the wall once.
//
// A tile is a .spot, and the selected one is what keys are about. Where a camera goes its tile goes, with the player that
// runs in it: players are never taken out of the page to be put in elsewhere, which would end their connection. They
// close their socket by themselves while they are not seen, and ask for the stream that suits their size.
import { chooseQuality, quality } from "./live-choices.js";
import { icon } from "./icon.js";
import { isTyping, keysAreOn } from "./keys.js";
import { remember, remembered } from "./storage.js";
import { subscribe } from "./events.js";
import { toast } from "./toasts.js";
import { closeSteering, showSteering } from "./wall-steering.js";
import { Views } from "./wall-views.js";

const TILES = { 1: 1, 4: 4, 9: 9, 16: 16, 25: 25, "1+5": 6, "1+7": 8 };
const SETTLE_MS = 800; // devices come in groups
const NARROW = matchMedia("(max-width: 60rem)");

const wall = document.getElementById("wall");
const stage = wall.closest(".wall-stage");
const side = document.getElementById("wall-side");
const said = document.querySelector("[data-said]");
const kept = `wall:${wall.dataset.user}`;

let now = { layout: "4", cameras: [], view: null };
let selected = 0;
let leaves = new Map(); // camera → its leaf in the tree
let refreshing = 0;

const spots = () => [...wall.children].sort((a, b) => a.dataset.index - b.dataset.index);
const playerIn = (spot) => spot?.querySelector("live-player");
const cameraIn = (spot) => (playerIn(spot) ? Number(playerIn(spot).camera) : null);
const isWithdrawn = (spot) => Boolean(playerIn(spot)?.hasAttribute("data-withdrawn"));
const say = (sentence) => (said.textContent = sentence);

// --- The tree ---------------------------------------------------------------------------------------------------------
function readTree() {
  leaves = new Map([...document.querySelectorAll("#tree [data-camera]")].map((leaf) => [Number(leaf.dataset.camera), leaf]));
}

function markTree() {
  const shown = new Set(now.cameras);
  for (const [camera, leaf] of leaves) leaf.setAttribute("aria-pressed", String(shown.has(camera)));
}

function showSide(open) {
  side.hidden = !open;
  document.querySelector("[data-side]").setAttribute("aria-expanded", String(open));
}

/* Where it lies over the tiles; true if it did. */
function closeSide() {
  if (side.hidden || !NARROW.matches) return false;
  showSide(false);
  document.querySelector("[data-side]").focus();
  return true;
}

// --- Tiles ------------------------------------------------------------------------------------------------------------
function makeSpot() {
  const spot = document.createElement("div");
  spot.className = "spot";
  spot.setAttribute("role", "group");
  return spot;
}

function makePlayer(camera, leaf) {
  const player = document.createElement("live-player");
  const { name, sound, simulated, device } = leaf.dataset;
  player.dataset.of = device;
  const snapshot = `/api/v1/cameras/${camera}/snapshot.jpg?last=1&width=640`; // no content, where there is none
  const attributes = { camera, name, tabindex: -1, label: `Live picture of ${name}`, snapshot };
  for (const [attribute, value] of Object.entries(attributes)) player.setAttribute(attribute, value);
  for (const flag of ["no-keys", "no-quality"]) player.setAttribute(flag, "");
  player.toggleAttribute("no-audio", sound === undefined);
  player.toggleAttribute("simulated", simulated !== undefined);
  const remove = document.createElement("button");
  remove.type = "button";
  remove.slot = "tools";
  remove.title = "Take it off the wall (Del)";
  remove.setAttribute("aria-label", `Take ${name} off the wall`);
  remove.append(icon("x"));
  remove.addEventListener("click", (event) => {
    event.stopPropagation();
    put(Number(player.closest(".spot").dataset.index), null);
  });
  player.append(remove);
  return player;
}

function vacancy() {
  const vacant = document.createElement("p");
  vacant.className = "vacant";
  const words = document.createElement("span");
  words.textContent = "Empty: choose a camera from the list";
  vacant.append(icon("plus"), words);
  return vacant;
}

/* A tile for each place: that of its camera if there is one, else one that is free, else a new one. */
function tilesFor(cameras) {
  const before = spots();
  const found = new Map(before.map((spot) => [cameraIn(spot), spot]));
  const own = cameras.map((camera) => (camera === null ? undefined : found.get(camera)));
  const free = before.filter((spot) => !own.includes(spot));
  return { tiles: own.map((spot) => spot ?? free.shift() ?? makeSpot()), left: free };
}

/* Let the tiles stand in this order. A browser that cannot move an element without ending what it does shows them so. */
function arrange(tiles) {
  for (const [index, spot] of tiles.entries()) {
    spot.dataset.index = index;
    if (!spot.isConnected) wall.append(spot);
    if (!wall.moveBefore) spot.style.order = index;
    else if (wall.children[index] !== spot) wall.moveBefore(spot, wall.children[index]);
  }
}

/* Bring the tiles to what shall be on them. */
function render() {
  const count = TILES[now.layout];
  const standing = new Set(spots().map(cameraIn)); // also what is not in the list any more
  const may = (camera) => camera !== null && (leaves.has(camera) || standing.has(camera));
  const once = (camera, index, all) => (may(camera) && all.indexOf(camera) === index ? camera : null);
  now.cameras = Array.from({ length: count }, (_, index) => now.cameras[index] ?? null).map(once);
  const { tiles, left } = tilesFor(now.cameras);
  for (const spot of left) spot.remove();
  wall.dataset.layout = now.layout;
  arrange(tiles);
  for (const [index, spot] of tiles.entries()) {
    const camera = now.cameras[index];
    if (!spot.firstChild || cameraIn(spot) !== camera) {
      spot.replaceChildren(camera === null ? vacancy() : makePlayer(camera, leaves.get(camera)));
    }
    spot.setAttribute("aria-label", `Tile ${index + 1}: ${camera === null ? "empty" : playerIn(spot).getAttribute("name")}`);
  }
  maximise(now.cameras[maximisedIndex()] == null ? null : maximisedIndex());
  select(Math.min(selected, count - 1));
  for (const button of document.querySelectorAll("[data-layout][aria-pressed]")) {
    button.setAttribute("aria-pressed", String(button.dataset.layout === now.layout));
  }
  markTree();
  remember(kept, JSON.stringify(now));
  views.show(now);
}

function select(index, { focus = false } = {}) {
  selected = index;
  for (const [each, spot] of spots().entries()) {
    spot.tabIndex = each === index ? 0 : -1;
    if (each === index) spot.setAttribute("aria-current", "true");
    else spot.removeAttribute("aria-current");
    playerIn(spot)?.toggleAttribute("selected", each === index);
  }
  const spot = spots()[index];
  if (focus) {
    spot.focus({ preventScroll: true });
    spot.scrollIntoView({ block: "nearest" });
  }
  showSteering(leaves.get(now.cameras[index]));
}

function put(index, camera) {
  now.cameras[index] = camera;
  render();
}

function swap(from, to) {
  [now.cameras[from], now.cameras[to]] = [now.cameras[to], now.cameras[from]];
  selected = to;
  render();
}

/* A camera chosen from the list: its tile if it has one, else an empty one, the selected one first; on a full wall it
   takes the place of the selected one. */
function choose(camera) {
  const { name } = leaves.get(camera).dataset;
  const large = maximisedIndex() >= 0;
  let at = now.cameras.indexOf(camera);
  const known = at >= 0;
  if (!known) {
    const vacant = now.cameras.indexOf(null);
    at = vacant < 0 || now.cameras[selected] === null ? selected : vacant;
    put(at, camera);
  }
  if (large) maximise(at);
  select(at);
  say(known ? `${name} is in tile ${at + 1}.` : `${name} is put into tile ${at + 1}.`);
  if (NARROW.matches) showSide(false);
}

// --- One as large as the wall -----------------------------------------------------------------------------------------
function maximisedIndex() {
  return spots().findIndex((spot) => spot.classList.contains("maximised"));
}

/* The one of `index`, or none for null. It cannot be dragged: there is no other tile, and dragging on it may steer. */
function maximise(index) {
  for (const [each, spot] of spots().entries()) {
    spot.classList.toggle("maximised", each === index);
    spot.draggable = now.cameras[each] !== null && each !== index;
  }
  wall.toggleAttribute("data-maximised", index !== null);
}

function toggleMaximised(index) {
  const large = maximisedIndex() !== index && now.cameras[index] !== null;
  maximise(large ? index : null);
  if (large) select(index, { focus: true });
}

// --- Views ------------------------------------------------------------------------------------------------------------
function use({ layout, cameras, view }) {
  now = { layout: layout in TILES ? layout : "4", cameras: [...cameras], view: view ?? null };
  selected = 0;
  maximise(null);
  render();
}

const views = new Views({
  current: () => now,
  use,
  saved: (view) => {
    now.view = view;
    render();
  },
});

/* What was on it last time, here; else a wall with the first cameras that can be watched. */
function beginning() {
  const asked = new URLSearchParams(location.search).get("view");
  const view = asked && views.get(Number(asked));
  if (view) return { ...view, view: view.id };
  try {
    const last = JSON.parse(remembered(kept, "null"));
    if (last && Array.isArray(last.cameras) && last.layout in TILES) return last;
  } catch {
    // Not ours any more.
  }
  const first = views.first();
  if (first) return { ...first, view: first.id };
  const all = [...leaves];
  const works = all.filter(([, leaf]) => leaf.querySelector(".dot.good, .dot.warn"));
  const cameras = (works.length ? works : all).map(([camera]) => camera).slice(0, 4);
  return { layout: cameras.length === 1 ? "1" : "4", cameras };
}

// --- Hands ------------------------------------------------------------------------------------------------------------
side.addEventListener("click", (event) => {
  const leaf = event.target.closest("[data-camera]");
  if (!leaf || event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab with the camera's page
  event.preventDefault();
  choose(Number(leaf.dataset.camera));
});
side.addEventListener("keydown", (event) => {
  const leaf = event.target.closest("[data-camera]");
  if (!leaf || event.key !== " ") return;
  event.preventDefault();
  choose(Number(leaf.dataset.camera));
});

wall.addEventListener("click", (event) => {
  const spot = event.target.closest(".spot");
  if (!spot) return;
  select(Number(spot.dataset.index));
  if (NARROW.matches && spot.querySelector(".vacant")) showSide(true);
});
wall.addEventListener("focusin", (event) => {
  const spot = event.target.closest(".spot");
  if (spot && Number(spot.dataset.index) !== selected) select(Number(spot.dataset.index));
});
wall.addEventListener("dblclick", (event) => {
  const spot = event.target.closest(".spot");
  if (spot) toggleMaximised(Number(spot.dataset.index));
});
wall.addEventListener("live-sound", (event) => {
  if (!event.detail.on) return;
  for (const player of wall.querySelectorAll("live-player[sound]")) if (player !== event.target) player.removeAttribute("sound");
});
// What is told when a right is taken or given back: the list is another one then.
wall.addEventListener("live-state", ({ target }) => {
  if (target.hasAttribute("data-withdrawn") === leaves.has(Number(target.camera))) refreshSoon();
});
wall.addEventListener("live-snapshot", (event) => toast(`${event.detail.name} is saved.`, "success"));

// Dragging: a leaf onto a tile, a tile onto another.
const CAMERA = "application/x-vms-camera";
const TILE = "application/x-vms-tile";
document.addEventListener("dragstart", (event) => {
  const source = event.target.closest?.("[data-camera], .spot");
  if (!source) return;
  if (source.matches(".spot")) event.dataTransfer.setData(TILE, source.dataset.index);
  else event.dataTransfer.setData(CAMERA, source.dataset.camera);
  event.dataTransfer.effectAllowed = "copyMove";
});
wall.addEventListener("dragover", (event) => {
  const spot = event.target.closest(".spot");
  if (!spot || ![CAMERA, TILE].some((kind) => event.dataTransfer.types.includes(kind))) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = event.dataTransfer.types.includes(TILE) ? "move" : "copy";
  for (const each of spots()) each.classList.toggle("target", each === spot);
});
const dropNothing = () => spots().forEach((spot) => spot.classList.remove("target"));
wall.addEventListener("dragleave", (event) => event.relatedTarget && wall.contains(event.relatedTarget) ? null : dropNothing());
document.addEventListener("dragend", dropNothing);
wall.addEventListener("drop", (event) => {
  const spot = event.target.closest(".spot");
  if (!spot) return;
  event.preventDefault();
  dropNothing();
  const to = Number(spot.dataset.index);
  const camera = Number(event.dataTransfer.getData(CAMERA));
  const tile = event.dataTransfer.getData(TILE);
  const from = tile === "" ? now.cameras.indexOf(camera) : Number(tile);
  if (from >= 0) return swap(from, to);
  if (!leaves.has(camera)) return;
  selected = to;
  put(to, camera);
  say(`${leaves.get(camera).dataset.name} is put into tile ${to + 1}.`);
});

for (const button of document.querySelectorAll("[data-layout][aria-pressed]")) {
  button.addEventListener("click", () => {
    // A smaller wall keeps the cameras that stand first, and drops empty tiles before them.
    const { layout } = button.dataset;
    let { cameras } = now;
    if (TILES[layout] < cameras.length) cameras = cameras.filter((camera) => camera !== null);
    now = { ...now, layout, cameras };
    maximise(null);
    render();
  });
}
document.querySelector("[data-side]").addEventListener("click", () => {
  showSide(side.hidden);
  if (NARROW.matches) side.querySelector("[data-side-close]").focus();
});
document.querySelector("[data-side-close]").addEventListener("click", () => closeSide());
// Where the list lies over the tiles, whatever is beside it closes it.
stage.addEventListener("pointerdown", (event) => NARROW.matches && !event.target.closest("[data-side]") && showSide(false));
document.querySelector("[data-clear]").addEventListener("click", () => {
  document.querySelector("[data-views]").open = false;
  use({ layout: now.layout, cameras: [] });
});
document.querySelector("[data-full]").addEventListener("click", () => fullScreen());

async function fullScreen() {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await stage.requestFullscreen();
  } catch {
    toast("The browser does not allow full screen here.", "warning");
  }
}

function showQuality() {
  for (const button of document.querySelectorAll("[data-quality]")) {
    button.setAttribute("aria-pressed", String(button.dataset.quality === quality()));
  }
}
for (const button of document.querySelectorAll("[data-quality]")) {
  button.addEventListener("click", () => chooseQuality(button.dataset.quality));
}
document.addEventListener("vms:live-quality", showQuality);

// --- Keys -------------------------------------------------------------------------------------------------------------
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/* The nearest tile in that direction. */
function neighbour([dx, dy]) {
  if (maximisedIndex() >= 0) return null;
  const middle = (spot) => {
    const { left, top, width, height } = spot.getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  };
  const [x, y] = middle(spots()[selected]);
  let best = null;
  let least = Infinity;
  for (const [index, spot] of spots().entries()) {
    const [mx, my] = middle(spot);
    const along = (mx - x) * dx + (my - y) * dy;
    const across = Math.abs((mx - x) * dy + (my - y) * dx);
    if (along > 4 && along + 2 * across < least) [best, least] = [index, along + 2 * across];
  }
  return best;
}

function press(key) {
  const player = playerIn(spots()[selected]);
  if (key in WAYS) {
    const to = neighbour(WAYS[key]);
    if (to !== null) select(to, { focus: true });
    return true;
  }
  if (key === "Enter") return toggleMaximised(selected), true;
  if (key === "Escape") {
    if (closeSide()) return true;
    if (closeSteering()) spots()[selected].focus();
    else if (maximisedIndex() >= 0) maximise(null);
    else return false;
    return true;
  }
  if (!keysAreOn()) return false;
  if (/^[1-9]$/.test(key)) return views.useNumber(Number(key));
  if (key === "Delete" || key === "Backspace") return put(selected, null), true;
  if (key.toLowerCase() === "p") return document.querySelector("[data-steering]")?.click(), true;
  return player?.press(key) ?? false;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (isTyping(event.target) || document.querySelector("dialog[open], details.menu[open]")) return;
  // Arrows walk in the tree, and Enter and Space press what has the focus.
  const { target } = event;
  const elsewhere = target.closest?.("#wall-side, #steering");
  const pressed = event.composedPath()[0].closest?.("a, button, summary, input, select");
  if ((elsewhere || pressed) && (event.key in WAYS || event.key === "Enter" || event.key === " " || event.key === "Backspace")) return;
  if (elsewhere && event.key === "Delete") return;
  if (press(event.key)) event.preventDefault();
});

// --- The fleet changes --------------------------------------------------------------------------------------------------
function refreshSoon() {
  clearTimeout(refreshing);
  refreshing = setTimeout(() => htmx.trigger("#tree", "refresh"), SETTLE_MS);
}
for (const kind of ["device.added", "device.removed", "device.changed"]) subscribe(kind, refreshSoon);
let synchronised = false; // the page is as new as the first one
subscribe("resync", () => {
  if (synchronised) refreshSoon();
  synchronised = true;
});
// What is removed is not withdrawn: its tiles are empty.
subscribe("device.removed", ({ device }) => {
  for (const [index, spot] of spots().entries()) if (playerIn(spot)?.dataset.of === String(device)) now.cameras[index] = null;
});
document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "tree") return;
  const field = side.querySelector("[data-filter]");
  if (field.value) field.dispatchEvent(new Event("input", { bubbles: true }));
  listed();
});
// The page of somebody who may see no camera at all has no list; here it stays, empty, for when a right is given back.
document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id !== "tree" || detail.serverResponse.includes('id="tree"')) return;
  detail.shouldSwap = false;
  detail.target.replaceChildren();
  listed();
});
function listed() {
  readTree();
  if (!leaves.size && !spots().some(isWithdrawn)) return location.reload();
  render();
}

readTree();
showSide(!NARROW.matches);
showQuality();
use(beginning());
