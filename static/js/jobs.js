// Jobs as they go: each message of the events socket moves its bar at once, and the page is asked for again when a job
// begins or ends, and now and then while one runs (its parts, and how long it will take).
import "./asking.js";
import "./thumbnails.js";
import { subscribe } from "./events.js";

const CALM = 400; // ms
const EVERY = 4000; // ms

const live = () => document.getElementById("live");
let timer = 0;
let due = Infinity;

function lookAgain(within) {
  const at = performance.now() + within;
  if (at >= due) return;
  clearTimeout(timer);
  due = at;
  timer = setTimeout(() => {
    due = Infinity;
    htmx.trigger(live(), "refresh");
  }, within);
}

function move(job, { progress, message }) {
  const bar = job.querySelector("progress");
  if (!bar) return;
  bar.value = progress;
  job.querySelector("[data-share]").textContent = `${Math.floor(progress * 100)} %`;
  const words = job.querySelector("[data-words]");
  words.textContent = message;
  words.hidden = !message;
}

subscribe("job", (told) => {
  const job = document.querySelector(`[data-job="${told.job}"]`);
  if (job?.dataset.state === told.state) {
    if (told.state === "running") move(job, told);
    lookAgain(EVERY);
  } else if (job || live().dataset.page === "1") lookAgain(CALM);
});
subscribe("resync", () => lookAgain(CALM));
document.addEventListener("asked", () => lookAgain(0));
