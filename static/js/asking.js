// A [data-call="path"] (a button, or a form whose fields are sent) asks the API to do something by [data-method], with
// [data-body] as the body, and says what became of it: the sentence of [data-about]. Then the page is loaded again
// (data-then="reload"), another is opened (data-then="/address/"), or whoever listens to "asked" does what there is to do.
import { call } from "./api.js";
import { toast } from "./toasts.js";

async function ask(element, body) {
  if (element.getAttribute("aria-busy") === "true") return;
  element.setAttribute("aria-busy", "true");
  try {
    await call(element.dataset.method ?? "POST", element.dataset.call, body);
    if (element.dataset.about) toast(element.dataset.about, "success");
    const { then } = element.dataset;
    if (then === "reload") location.reload();
    else if (then) location.assign(then);
  } catch (error) {
    element.closest("dialog")?.close(); // it would cover the sentence
    toast(error.message, "error");
  } finally {
    element.removeAttribute("aria-busy");
    document.dispatchEvent(new CustomEvent("asked"));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-call]");
  if (button) ask(button, button.dataset.body && JSON.parse(button.dataset.body));
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-call]")) return;
  event.preventDefault();
  ask(event.target, Object.fromEntries(new FormData(event.target)));
});
