// The events socket: one per page, whoever listens.
//
// What the server sends (JSON with a "type") is dispatched on document as a CustomEvent "vms:<type>" with the message as
// its detail, and as "vms:event" for those who want all. The state of the connection is told by "vms:connection"
// ({state: "connecting" | "connected" | "lost" | "signed-out"}). A lost connection is tried again, first at once, then
// with growing pauses, and immediately when the network or the tab comes back.

const PAUSES = [300, 1000, 2000, 4000, 8000, 15000]; // ms
const OPEN_WITHIN = 10000; // ms
const SIGNED_OUT = 4401;
const NOT_ALLOWED = 4403;

let socket = null;
let attempts = 0;
let timer = 0;
let current = "connecting";

export function connectionState() {
  return current;
}

export function subscribe(type, listener) {
  const handler = (event) => listener(event.detail);
  document.addEventListener(`vms:${type}`, handler);
  return () => document.removeEventListener(`vms:${type}`, handler);
}

function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(`vms:${name}`, { detail }));
}

function become(state, detail = {}) {
  if (state === current && state !== "lost") return;
  current = state;
  tell("connection", { state, ...detail });
}

function receive({ data }) {
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    return; // nothing we could understand; the server sends JSON only
  }
  if (!message || typeof message.type !== "string") return;
  tell(message.type, message);
  tell("event", message);
}

function open() {
  clearTimeout(timer);
  if (socket) return;
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const opening = new WebSocket(`${scheme}//${location.host}/ws/events/`);
  socket = opening;
  const deadline = setTimeout(() => opening.close(), OPEN_WITHIN);

  opening.addEventListener("open", () => {
    clearTimeout(deadline);
    attempts = 0;
    become("connected");
  });
  opening.addEventListener("message", receive);
  opening.addEventListener("close", ({ code }) => {
    clearTimeout(deadline);
    socket = null;
    if (code === SIGNED_OUT || code === NOT_ALLOWED) return become("signed-out");
    const pause = PAUSES[Math.min(attempts++, PAUSES.length - 1)] * (0.75 + Math.random() / 2);
    become("lost", { retryIn: pause });
    timer = setTimeout(open, pause);
  });
}

function tryNow() {
  if (current === "lost" && !document.hidden) open();
}

export function connect() {
  addEventListener("online", tryNow);
  document.addEventListener("visibilitychange", tryNow);
  // A page kept in the browser's back/forward cache has lost its socket.
  addEventListener("pageshow", (event) => event.persisted && tryNow());
  addEventListener("pagehide", () => socket?.close());
  open();
}
