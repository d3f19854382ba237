// States stay up to date by themselves: a change of a device's state shows at once wherever the page speaks of it
// ([data-device]): on tiles, leaves, rows and in the bar above.
import { subscribe } from "./events.js";
import { icon } from "./icon.js";

const looks = JSON.parse(document.getElementById("state-looks").textContent);

function show({ device, state, error }) {
  const look = looks[state];
  if (!look) return;
  for (const place of document.querySelectorAll(`[data-device="${Number(device)}"]`)) {
    if (place.classList.contains("tile")) {
      place.dataset.tone = look.tone;
      const playable = look.tone === "good" || look.tone === "warn";
      place.querySelector(".middle").replaceChildren(icon(playable ? "play" : look.icon));
    }
    const dot = place.querySelector(".dot");
    if (dot) dot.className = `dot ${look.tone}`;
    const word = place.querySelector("[data-state-word]");
    if (word) word.textContent = look.word;
    const chip = place.querySelector(".chip[data-state]");
    if (chip) {
      chip.className = `chip ${look.tone}`;
      chip.dataset.state = state;
      chip.replaceChildren(icon(look.icon), look.word);
    }
    const why = place.querySelector("[data-why]");
    if (why) {
      why.textContent = (state !== "online" && error) || "";
      why.hidden = !why.textContent;
    }
  }
}

subscribe("device.state", show);
