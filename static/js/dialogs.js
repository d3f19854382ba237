// Dialogs: <button data-dialog="ID"> opens <dialog id=ID>; [data-close] in it closes. The browser keeps the focus inside,
// closes by Escape and gives the focus back. A dialog with [data-confirm-word] arms its last button only when exactly
// that word was typed: for what cannot be undone.

export function openDialog(dialog) {
  dialog.querySelector("form")?.reset();
  for (const field of dialog.querySelectorAll("[data-confirm-word]")) arm(field);
  dialog.showModal();
}

function arm(field) {
  const armed = field.value.trim() === field.dataset.confirmWord;
  field.form.querySelector("[data-armed]").disabled = !armed;
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.dialog);
    opener.closest("details.menu")?.removeAttribute("open");
    openDialog(dialog);
    return;
  }
  if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
  // The backdrop belongs to the dialog element itself; everything within lies on a child that fills it.
  if (event.target instanceof HTMLDialogElement) event.target.close();
});

// A form that was refused is shown again as it was, with its errors.
for (const dialog of document.querySelectorAll("dialog[data-open]")) dialog.showModal();

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-confirm-word]")) arm(event.target);
});
