// Saved views of the wall: the menu that lists them, the digits that call them, saving and deleting.
import { call } from "./api.js";
import { icon } from "./icon.js";
import { toast } from "./toasts.js";

const menu = document.querySelector("[data-views]");
const form = document.querySelector("[data-save-view]");

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
// Empty tiles at the end are no difference.
const filled = (cameras) => cameras.slice(0, cameras.findLastIndex((camera) => camera !== null) + 1);

export class Views {
  #views = JSON.parse(document.getElementById("wall-views").textContent);

  /* wall: {current(): what is on it, use({layout, cameras, view}), saved(view id or null)} */
  constructor(wall) {
    this.wall = wall;
    menu.querySelector("[data-view-list]").addEventListener("click", (event) => {
      const button = event.target.closest("[data-view]");
      if (button) this.#use(this.get(Number(button.dataset.view)));
    });
    menu.querySelector("[data-view-update]").addEventListener("click", () => this.#update());
    menu.querySelector("[data-view-remove]").addEventListener("click", () => this.#remove());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add();
    });
    this.#list();
  }

  get(id) {
    return this.#views.find((view) => view.id === id);
  }

  first() {
    return this.#views[0];
  }

  /* The view of a digit; true if there is one. */
  useNumber(number) {
    const view = this.#views[number - 1];
    if (view) this.#use(view);
    else toast(`There is no view ${number} yet. Save one in the menu of views.`, "info");
    return true;
  }

  #use(view) {
    menu.open = false;
    this.wall.use({ ...view, view: view.id });
  }

  /* Say in the bar which view is on the wall, and whether it was changed since. */
  show(now) {
    const view = this.get(now.view);
    const changed = view && (view.layout !== now.layout || !same(filled(view.cameras), filled(now.cameras)));
    menu.querySelector("[data-view-name]").textContent = view ? `${view.name}${changed ? " (changed)" : ""}` : "Views";
    const update = menu.querySelector("[data-view-update]");
    const remove = menu.querySelector("[data-view-remove]");
    update.hidden = !(view?.own && changed);
    remove.hidden = !view?.own;
    if (view) {
      update.querySelector("span").textContent = `Save the changes to ${view.name}`;
      remove.querySelector("span").textContent = `Delete ${view.name}`;
    }
    for (const button of menu.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.view) === view?.id));
    }
  }

  #list() {
    menu.querySelector("[data-no-views]").hidden = this.#views.length > 0;
    const items = this.#views.map((view, index) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.view = view.id;
      const name = document.createElement("span");
      name.className = "truncate";
      name.textContent = view.name;
      button.append(icon("layout-grid"), name);
      if (view.shared) {
        const shared = document.createElement("span");
        shared.className = "shared";
        shared.textContent = view.own ? "shared" : `of ${view.owner}`;
        button.append(shared);
      }
      if (index < 9) {
        const digit = document.createElement("kbd");
        digit.textContent = index + 1;
        button.append(digit);
      }
      item.append(button);
      return item;
    });
    menu.querySelector("[data-view-list]").replaceChildren(...items);
  }

  async #add() {
    const error = form.querySelector("[data-save-error]");
    const { layout, cameras } = this.wall.current();
    error.hidden = true;
    try {
      const shared = form.elements.shared?.checked ?? false;
      const view = await call("POST", "views", { name: form.elements.name.value, layout, cameras, shared });
      const own = this.#views.filter((each) => each.own).length;
      this.#views.splice(own, 0, view);
      form.closest("dialog").close();
      this.#list();
      this.wall.saved(view.id);
      toast(`${view.name} is saved.`, "success");
    } catch (problem) {
      error.textContent = problem.message;
      error.hidden = false;
    }
  }

  async #update() {
    const { view: id, layout, cameras } = this.wall.current();
    menu.open = false;
    try {
      const view = await call("PATCH", `views/${id}`, { layout, cameras });
      Object.assign(this.get(id), view);
      this.wall.saved(id);
      toast(`${view.name} is saved.`, "success");
    } catch (problem) {
      toast(problem.message, "error");
    }
  }

  async #remove() {
    const view = this.get(this.wall.current().view);
    menu.open = false;
    try {
      await call("DELETE", `views/${view.id}`);
      this.#views = this.#views.filter((each) => each !== view);
      this.#list();
      this.wall.saved(null);
      toast(`${view.name} is deleted. The wall stays as it is.`, "success");
    } catch (problem) {
      toast(problem.message, "error");
    }
  }
}
