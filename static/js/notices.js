// The bell: state changes that arrived on the events socket, newest first. They are kept while the window is open, from
// page to page; the list of events on the server is the lasting one.
import { subscribe } from "./events.js";
import { icon } from "./icon.js";

const MOST = 30;
const KEY = "notices";
const WORDS = {
  online: ["circle-check", "is online"],
  degraded: ["triangle-alert", "is degraded"],
  offline: ["wifi-off", "is offline"],
  unauthorised: ["lock", "refuses our sign-in"],
  replaced: ["replace", "was replaced by another device"],
};

const bell = document.querySelector("[data-notices]");

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? { unseen: 0, items: [] };
  } catch {
    return { unseen: 0, items: [] };
  }
}

function store(notices) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(notices));
  } catch {
    // Without storage the list lives on this page only.
  }
}

let notices = stored();

function line({ at, state, name, error }) {
  const [symbol, words] = WORDS[state];
  const item = document.createElement("li");
  item.className = "notice";
  item.dataset.tone = state === "online" ? "good" : state === "degraded" ? "warn" : "bad";
  const text = document.createElement("p");
  text.textContent = `${name} ${words}`;
  const time = document.createElement("time");
  time.dateTime = at;
  time.textContent = at.slice(11, 19);
  item.append(icon(symbol), text, time);
  if (error && state !== "online") {
    const why = document.createElement("p");
    why.className = "why";
    why.textContent = error;
    item.append(why);
  }
  return item;
}

function show() {
  bell.querySelector("[data-notices-list]").replaceChildren(...notices.items.map(line));
  bell.querySelector("[data-notices-none]").hidden = notices.items.length > 0;
  const count = bell.querySelector("[data-notices-count]");
  count.hidden = notices.unseen === 0;
  count.textContent = notices.unseen;
  bell.querySelector("summary").setAttribute(
    "aria-label",
    notices.unseen ? `What has happened: ${notices.unseen} new` : "What has happened",
  );
}

function change(next) {
  notices = next;
  store(notices);
  show();
}

function add({ state, name, error }) {
  if (!(state in WORDS) || !name) return;
  const item = { at: new Date().toISOString(), state, name, error };
  change({
    unseen: bell.open ? 0 : Math.min(notices.unseen + 1, MOST),
    items: [item, ...notices.items].slice(0, MOST),
  });
}

if (bell) {
  subscribe("device.state", add);
  bell.addEventListener("toggle", () => bell.open && change({ ...notices, unseen: 0 }));
  show();
} else {
  // Outside the frame nobody is signed in, or somebody else is about to be.
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was kept, then.
  }
}
