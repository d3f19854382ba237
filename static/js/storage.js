// What a browser remembers for its user. Storage can be full or forbidden: then the choice lasts for this page only.

const here = new Map();

export function remembered(name, otherwise) {
  try {
    return localStorage.getItem(name) ?? here.get(name) ?? otherwise;
  } catch {
    return here.get(name) ?? otherwise;
  }
}

export function remember(name, value) {
  here.set(name, value);
  try {
    localStorage.setItem(name, value);
  } catch {
    // Kept in `here`.
  }
}
