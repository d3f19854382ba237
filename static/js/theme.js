// The chosen theme, applied before the first paint: this one script is not a module and blocks, so that nothing flashes.
// js/appearance.js offers the choice and stores it.
(() => {
  const system = matchMedia("(prefers-color-scheme: light)");

  window.applyTheme = () => {
    let theme = "dark";
    try {
      theme = localStorage.getItem("theme") || "dark";
    } catch {
      // Storage can be forbidden; dark it is.
    }
    if (theme === "system") theme = system.matches ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
  };

  applyTheme();
  system.addEventListener("change", applyTheme);
  addEventListener("storage", applyTheme); // chosen in another tab
})();
