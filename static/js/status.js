// The status bar, the clock, the banner of a lost connection. Asks /status/ every 10 s, which also keeps the session alive.
import { connect, connectionState, subscribe } from "./events.js";

const EVERY = 10000; // ms
const PATIENCE = 8000; // ms for one answer
const BANNER_AFTER = 1200; // ms: a reconnect that is quicker is nobody's business

const bar = document.querySelector("[data-status]");
const clock = document.querySelector("[data-clock]");
const banner = document.querySelector("[data-lost]");
const WORDS = {
  connecting: "Connecting…",
  connected: "Connected",
  lost: "Reconnecting…",
  silent: "The server does not answer…",
  "signed-out": "Signed out",
};
const TONES = { connecting: "warn", connected: "good", lost: "bad", silent: "bad", "signed-out": "bad" };

function part(name) {
  return bar.querySelector(`[data-part="${name}"]`);
}

function showConnection(state) {
  part("connection").textContent = WORDS[state];
  part("dot").className = `dot ${TONES[state]}`;
}

function showCameras(cameras) {
  const total = Object.values(cameras).reduce((sum, count) => sum + count, 0);
  const states = Object.entries(cameras).filter(([state, count]) => count || (total && state === "online"));
  const words = [`${total} ${total === 1 ? "camera" : "cameras"}`, ...states.map(([state, count]) => `${count} ${state}`)];
  const text = words.join(" · ");
  if (part("cameras").textContent !== text) part("cameras").textContent = text;
}

function showProblems(sentences) {
  const box = part("problems");
  box.hidden = sentences.length === 0;
  if (box.hidden) return;
  const more = sentences.length > 1 ? ` (+${sentences.length - 1})` : "";
  part("problem").textContent = sentences[0] + more;
  const items = sentences.map((sentence) => {
    const item = document.createElement("li");
    item.textContent = sentence;
    return item;
  });
  document.querySelector("[data-problems]").replaceChildren(...items);
}

async function ask() {
  if (document.hidden && connectionState() === "connected") return;
  try {
    const response = await fetch(bar.dataset.status, {
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.redirected || response.status === 401 || response.status === 403) return signedOut();
    if (!response.ok) return;
    const status = await response.json();
    if (connectionState() === "connected") showConnection("connected");
    showCameras(status.cameras);
    showProblems(status.problems);
  } catch (error) {
    // A server that hangs keeps its sockets open: only that it does not answer tells. The figures stay as they were.
    if (error.name === "TimeoutError") showConnection("silent");
  }
}

function signedOut() {
  showConnection("signed-out");
  document.querySelector("[data-signed-out]").hidden = false;
  banner.hidden = true;
}

function tick() {
  const now = new Date();
  const [day, month, date] = now.toUTCString().split(" ").map((word) => word.replace(",", ""));
  clock.dateTime = now.toISOString();
  clock.querySelector(".day").textContent = `${day} ${month} ${date} ${now.getUTCFullYear()} ·`;
  clock.querySelector(".hour").textContent = `${now.toISOString().slice(11, 19)} UTC`;
  setTimeout(tick, 1000 - now.getMilliseconds());
}

function start() {
  let lost = 0;
  subscribe("connection", ({ state }) => {
    showConnection(state);
    if (state === "signed-out") return signedOut();
    if (state === "lost") {
      lost ||= setTimeout(() => (banner.hidden = false), BANNER_AFTER);
    } else if (state === "connected") {
      clearTimeout(lost);
      lost = 0;
      banner.hidden = true;
      ask();
    }
  });
  connect();
  ask();
  setInterval(ask, EVERY);
  document.addEventListener("visibilitychange", ask);
}

if (clock) tick();
if (bar) start();
