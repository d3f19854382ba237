// Small helps in forms: a password that can be looked at, a secret that can be copied, a form that is sent once, fields
// that appear when a choice asks for them.

document.addEventListener("click", async (event) => {
  const reveal = event.target.closest("[data-reveal]");
  if (reveal) {
    const field = document.getElementById(reveal.dataset.reveal);
    const shown = field.type === "password";
    field.type = shown ? "text" : "password";
    reveal.setAttribute("aria-pressed", String(shown));
    return;
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const field = document.getElementById(copy.dataset.copy);
    const word = copy.querySelector("[data-copy-word]");
    word.textContent = (await copied(field)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (word.textContent = "Copy"), 2500);
  }
});

// A password for somebody else: 16 characters that cannot be mistaken for each other, some 90 random bits.
document.addEventListener("click", (event) => {
  const make = event.target.closest("[data-make-password]");
  if (!make) return;
  const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
  const random = crypto.getRandomValues(new Uint32Array(16));
  const field = document.getElementById(make.dataset.makePassword);
  field.value = [...random].map((number) => letters[number % letters.length]).join("");
  field.type = "text";
  field.select();
});

async function copied(field) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    return document.execCommand("copy"); // no clipboard on a plain-HTTP origin
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "1";
  event.submitter?.setAttribute("aria-busy", "true");
});
// Coming back by the browser's history, a form can be sent again.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
  }
});

// <div data-shown-for="name=value"> is shown while the radio or select called `name` has that value.
function showWanted() {
  for (const part of document.querySelectorAll("[data-shown-for]")) {
    const [name, value] = part.dataset.shownFor.split("=");
    const chosen = document.querySelector(`[name="${name}"]:checked, select[name="${name}"]`);
    part.hidden = chosen?.value !== value;
  }
}
document.addEventListener("change", showWanted);
showWanted();
