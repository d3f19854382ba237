// The choice of a theme: buttons with data-theme-choice="dark|light|contrast|system", anywhere.
import { remember, remembered } from "./storage.js";

function mark() {
  const chosen = remembered("theme", "dark");
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-theme-choice]");
  if (!button) return;
  remember("theme", button.dataset.themeChoice);
  window.applyTheme();
  mark();
});
addEventListener("storage", mark);
mark();
