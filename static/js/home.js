// The home page keeps itself up to date: a state change of a device shows at once on its tiles, leaves and row.
import { subscribe } from "./events.js";
import { icon } from "./icon.js";

const looks = JSON.parse(document.getElementById("state-looks").textContent);

function show({ device, state }) {
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
  }
}

subscribe("device.state", show);
