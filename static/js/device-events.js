// The list of events shows new ones as they happen, while its first page is looked at.
import { subscribe } from "./events.js";

const CALM = 700; // ms
const QUIET = new Set(["device.changed", "device.settings", "device.added"]); // nothing of these is in the list
let timer = 0;

function lookAgain() {
  timer = 0;
  if (document.getElementById("events").dataset.page === "1") htmx.trigger("#filters", "refresh");
}

subscribe("event", ({ type }) => {
  if ((type.startsWith("device.") && !QUIET.has(type)) || type === "resync") timer ||= setTimeout(lookAgain, CALM);
});
