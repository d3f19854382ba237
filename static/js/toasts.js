// Short messages in the corner. Good news goes away by itself; bad news stays until it is dismissed.
import { icon } from "./icon.js";

const STAYS = 6000; // ms
const MOST = 4;
const ICONS = { success: "circle-check", info: "info", warning: "triangle-alert", error: "octagon-alert" };

const box = document.querySelector("[data-toasts]");

function dismissLater(toast) {
  if (toast.classList.contains("error") || toast.classList.contains("warning")) return;
  let timer = 0;
  const wait = () => (timer = setTimeout(() => toast.remove(), STAYS));
  // Whoever is reading it keeps it.
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", wait);
  toast.addEventListener("focusin", () => clearTimeout(timer));
  toast.addEventListener("focusout", wait);
  wait();
}

export function toast(sentence, kind = "info") {
  const existing = [...box.children].find((each) => each.querySelector("p").textContent === sentence);
  existing?.remove();
  const item = document.createElement("div");
  item.className = `toast ${kind}`;
  const text = document.createElement("p");
  text.textContent = sentence;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button quiet small icon-only";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", "Dismiss");
  close.append(icon("x"));
  item.append(icon(ICONS[kind]), text, close);
  box.append(item);
  while (box.children.length > MOST) box.firstElementChild.remove();
  dismissLater(item);
}

function sentenceOf(request) {
  try {
    const { error } = JSON.parse(request.responseText);
    if (error) return error;
  } catch {
    // Not JSON: a page. Its status says enough.
  }
  const id = request.getResponseHeader("X-Request-ID");
  const what =
    request.status >= 500
      ? "The server could not do that. Try again; the log has the details"
      : request.status === 403
        ? "You may not do that, or this page is too old. Load it again"
        : request.status === 404
          ? "That does not exist any more. Load the page again"
          : `The server refused (${request.status})`;
  return id ? `${what} (request ${id}).` : `${what}.`;
}

if (box) {
  document.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest(".toast")?.remove());
  document.body.addEventListener("htmx:responseError", (event) => toast(sentenceOf(event.detail.xhr), "error"));
  for (const failure of ["htmx:sendError", "htmx:timeout"]) {
    document.body.addEventListener(failure, () =>
      toast("The server did not answer. It may be restarting; try again in a moment.", "error"),
    );
  }
  for (const item of box.children) dismissLater(item);
}
