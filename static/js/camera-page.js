// The page of a camera: what its picture costs and delivers, beside it; how it is and what happened to it are asked for
// again when something about its device changes, and now and then. A double click makes the picture as large as the screen.
import { call } from "./api.js";
import { subscribe } from "./events.js";

const CALM = 700; // ms; events come in groups
const EVERY = 20000; // ms: when it last answered changes without an event
const DIAGNOSE_EVERY = 5000; // ms

const about = document.querySelector("[data-about-device]");
const device = Number(about.dataset.aboutDevice);
const camera = Number(about.dataset.aboutCamera);
const player = document.querySelector("live-player");
const figures = document.querySelector("[data-figures]");

// --- How it is, and what happened ---------------------------------------------------------------------------------------
let timer = 0;

function lookAgain() {
  if (document.hidden) return;
  if (!player) return location.reload(); // perhaps it has told of its streams meanwhile
  if (!document.querySelector("#beside :focus-visible")) htmx.trigger("#beside", "refresh");
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(lookAgain, CALM);
}

// Whoever has scrolled in a part of it stays there.
let scrolled = [];
const parts = () => [...document.querySelectorAll("#beside > section")];
document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id === "beside") scrolled = parts().map((part) => part.scrollTop);
});
document.body.addEventListener("htmx:afterSwap", () => {
  for (const [index, part] of parts().entries()) part.scrollTop = scrolled[index] ?? 0;
  scrolled = [];
});

let synchronised = false; // the page is as new as the first one
subscribe("resync", () => {
  if (synchronised) soon();
  synchronised = true;
});
subscribe("event", (message) => message.type.startsWith("device.") && message.device === device && soon());
document.addEventListener("visibilitychange", lookAgain);
if (player) setInterval(lookAgain, EVERY);

// --- What the picture delivers ------------------------------------------------------------------------------------------
function show(name, text) {
  const place = figures.querySelector(`[data-figure="${name}"]`);
  if (place && place.textContent !== text) place.textContent = text;
}

const known = (...parts) => parts.filter(Boolean).join(", ") || "–";
const ms = (value) => (value === null || value === undefined ? "" : `${Math.round(value)} ms`);

function showStream({ width, height, fps, received, bitRate, transport, transcoded, stream, latency, dropped }) {
  const runs = received > 0;
  show("picture", known(width && `${width} × ${height}`, stream, transcoded && "transcoded"));
  show("rate", known(runs && `${fps.toFixed(1)} / s`, runs && `${(bitRate / 1e6).toFixed(2)} Mbit/s`, dropped && `${dropped} dropped`));
  show("way", known(transport?.toUpperCase()));
  show("latency", known(ms(latency)));
}

/* What the server knows besides, for who may know it: the line, and what a recorder writes into its pictures. */
const LABELS = {
  line: "Line",
  viewers: "Watched by",
  clock: "Recorder's clock",
  recorded: "Recorded with",
  doing: "Recorder shows",
};

function told({ upstream, jitter, viewers, recorder }) {
  const lost = upstream.lost ?? 0;
  const off = recorder?.clock_off;
  return {
    line: known(`${lost} packet${lost === 1 ? "" : "s"} lost`, `${ms(1000 * jitter)} jitter`),
    viewers: String(viewers.length),
    clock: off === null || off === undefined ? "" : `${Math.abs(off).toFixed(1)} s ${off < 0 ? "behind" : "ahead"}`,
    recorded: recorder?.recording_rate ? `${recorder.recording_rate} / s` : "",
    doing: recorder?.doing ?? "",
  };
}

function showTold(facts) {
  for (const [name, label] of Object.entries(LABELS)) {
    const text = facts[name] ?? "";
    let place = figures.querySelector(`[data-figure="${name}"]`);
    if (!text) {
      place?.previousElementSibling.remove();
      place?.remove();
      continue;
    }
    if (!place) {
      place = document.createElement("dd");
      place.dataset.figure = name;
      figures.append(Object.assign(document.createElement("dt"), { textContent: label }), place);
    }
    show(name, text);
  }
}

async function diagnose() {
  if (!document.hidden) {
    const shown = player.statistics.stream;
    const running = await call("GET", "streams?limit=500").catch(() => null);
    const mine = running?.results.find((each) => each.camera === camera && each.stream.split("~")[0] === shown);
    showTold(mine ? told(mine) : {});
  }
  setTimeout(diagnose, DIAGNOSE_EVERY);
}

if (player) {
  player.addEventListener("live-statistics", ({ detail }) => showStream(detail));
  player.addEventListener("dblclick", () => player.toggleFullscreen());
  if (figures.dataset.diagnose !== undefined) setTimeout(diagnose, 2000); // by then there is something to tell
}
