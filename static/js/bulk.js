// One action on more devices than a page holds: asked first with how many they are, then done some at a time, with what
// was done and what went wrong told as it goes. It can be stopped between two pieces; what was done stays done.
//
// The dialog #bulk-run says it all. Leaving the page while it runs is asked about by the browser.
import { call } from "./api.js";
import { openDialog } from "./dialogs.js";

const PIECE = 20; // devices at a time: as many as the server asks at once
const LONGEST = 120000; // ms for a piece; the server gives each device one minute
const FAILURES_SHOWN = 50;
const WORDS = {
  enable: ["Enable", "They are asked how they are again, and their pictures can be opened."],
  disable: ["Disable", "They are not asked any more, and their pictures cannot be opened."],
  poll: ["Ask", "Each is asked now how it is."],
  move: ["Move", "Who reaches them by their present site alone does not see them any more."],
  tag: ["Tag", "The tags are added to those that they have."],
  untag: ["Take tags from", "Other tags stay."],
  set_clock: ["Set the clocks of", "Those whose document has no such command are told."],
  set_ntp: ["Give a time server to", "Those whose document has no such command are told."],
};

const dialog = document.getElementById("bulk-run");
const part = (name) => dialog.querySelector(`[data-run="${name}"]`);
let running = false;
let stopped = false;
let done = () => {};

/* Ask whether these devices ([{id, name}]) shall be acted upon with the values of the form; `over` is called when all is
   done, or as much as was. */
export function askToRun(devices, body, over) {
  const [verb, consequence] = WORDS[body.action];
  const where = body.site ? ` to ${body.site}` : "";
  part("title").textContent = `${verb} ${devices.length} devices${where}?`;
  part("text").textContent = consequence;
  for (const name of ["progress", "failures", "stop", "close"]) part(name).hidden = true;
  for (const name of ["cancel", "go"]) part(name).hidden = false;
  part("failures").replaceChildren();
  openDialog(dialog);
  done = over;
  part("go").onclick = () => run(devices, body, verb);
}

async function run(devices, body, verb) {
  running = true;
  stopped = false;
  for (const name of ["cancel", "go"]) part(name).hidden = true;
  for (const name of ["progress", "stop"]) part(name).hidden = false;
  part("title").textContent = `${verb} ${devices.length} devices`;
  const bar = part("bar");
  bar.max = devices.length;
  let well = 0;
  let failed = 0;
  for (let at = 0; at < devices.length && !stopped; at += PIECE) {
    tell(bar, at, well, failed);
    const piece = devices.slice(at, at + PIECE);
    const results = await pieceOf(piece, body);
    for (const [index, { ok, error }] of results.entries()) {
      if (ok) well += 1;
      else if (failed++ < FAILURES_SHOWN) fail(piece[index].name, error);
    }
    tell(bar, at + piece.length, well, failed);
  }
  running = false;
  finish(devices.length, well, failed);
}

async function pieceOf(piece, body) {
  try {
    return (await call("POST", "devices/bulk", { ...body, devices: piece.map(({ id }) => id) }, { longest: LONGEST })).results;
  } catch (error) {
    return piece.map(() => ({ ok: false, error: error.message }));
  }
}

function tell(bar, at, well, failed) {
  bar.value = at;
  part("text").textContent = `${at} of ${bar.max}: ${well} done${failed ? `, ${failed} not` : ""}.`;
}

function fail(name, error) {
  part("failures").hidden = false;
  const line = document.createElement("li");
  line.textContent = error.includes(name) ? error : `${name}: ${error}`;
  part("failures").append(line);
}

function finish(count, well, failed) {
  const rest = count - well - failed;
  part("title").textContent = rest ? "Stopped" : failed ? "Done, but not all" : "Done";
  const more = failed > FAILURES_SHOWN ? ` The first ${FAILURES_SHOWN} that failed:` : "";
  part("text").textContent =
    `${well} of ${count} devices are done` + (failed ? `, ${failed} failed` : "") + (rest ? `, ${rest} were left alone` : "") + `.${more}`;
  part("stop").hidden = true;
  part("close").hidden = false;
  part("close").focus();
  done();
}

if (dialog) {
  part("stop").addEventListener("click", () => {
    stopped = true;
    part("stop").hidden = true;
    part("text").textContent += " Stopping after these…";
  });
  // While it runs, only "Stop" ends it: Escape and a click beside it would hide what goes on.
  dialog.addEventListener("cancel", (event) => running && event.preventDefault());
  dialog.addEventListener("click", (event) => running && event.target === dialog && event.stopPropagation());
  addEventListener("beforeunload", (event) => running && event.preventDefault());
}
