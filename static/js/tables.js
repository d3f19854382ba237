// Sorting and filtering of rows that are all on the page.
//
// <th data-sort="text|number|time"> gets a button; cells may say their value in data-value. A field with
// data-filter="CSS selector" hides what does not contain all its words; it filters whatever has [data-filter-item] within
// the selected element (rows, tiles, leaves of a tree) and empties groups ([data-filter-group]).
import { icon } from "./icon.js";

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function valueOf(row, column, kind) {
  const cell = row.cells[column];
  const text = (cell?.dataset.value ?? cell?.textContent ?? "").trim();
  if (kind !== "number") return text;
  return text === "" || Number.isNaN(Number(text)) ? null : Number(text);
}

function compare(a, b, kind) {
  // What has no value comes last, whichever way it is sorted.
  const missing = (value) => value === null || value === "";
  if (missing(a) || missing(b)) return { last: missing(a) - missing(b) };
  return { order: kind === "number" ? a - b : collator.compare(a, b) };
}

function sort(head) {
  const table = head.closest("table");
  const column = head.cellIndex;
  const kind = head.dataset.sort;
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, value: valueOf(row, column, kind) }));
  rows.sort((a, b) => {
    const { last, order } = compare(a.value, b.value, kind);
    return last ?? (down ? -order : order);
  });
  body.append(...rows.map(({ row }) => row));
}

function makeSortable(head) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes, icon("arrow-up"));
  button.addEventListener("click", () => sort(head));
  head.append(button);
}

function filter(field) {
  const scope = document.querySelector(field.dataset.filter);
  if (!scope) return;
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  const items = scope.querySelectorAll("[data-filter-item]");
  for (const item of items) {
    const text = (item.dataset.filterItem || item.textContent).toLowerCase();
    item.hidden = !words.every((word) => text.includes(word));
    if (!item.hidden) shown++;
  }
  for (const group of scope.querySelectorAll("[data-filter-group]")) {
    group.hidden = words.length > 0 && !group.querySelector("[data-filter-item]:not([hidden])");
    if (words.length && group instanceof HTMLDetailsElement) group.open = true;
  }
  const told = document.getElementById(field.dataset.filterCount ?? "");
  if (told) told.textContent = words.length ? `${shown} of ${items.length} shown` : "";
  for (const nothing of scope.querySelectorAll("[data-filter-nothing]")) nothing.hidden = shown > 0 || !items.length;
}

for (const head of document.querySelectorAll("th[data-sort]")) makeSortable(head);
// On the document, since parts of pages come later.
document.addEventListener("input", ({ target }) => target.matches("[data-filter]") && filter(target));
document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (!field.matches?.("[data-filter]")) return;
  if (event.key === "Enter") event.preventDefault(); // in a form it would send the form
  if (event.key !== "Escape" || !field.value) return;
  field.value = "";
  filter(field);
  event.preventDefault();
});
for (const field of document.querySelectorAll("[data-filter]")) if (field.value) filter(field); // the browser restored it
