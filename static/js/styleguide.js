// The styleguide's buttons that show a toast.
import { toast } from "./toasts.js";

const SENTENCES = { success: "Parking East is saved.", error: "Gate B does not answer. Is it switched on and on this network?" };

for (const button of document.querySelectorAll("[data-toast]")) {
  button.addEventListener("click", () => toast(SENTENCES[button.dataset.toast], button.dataset.toast));
}
