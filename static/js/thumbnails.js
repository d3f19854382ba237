// Small pictures that cannot be had leave their place to the icon behind them.
const gone = (image) => image.remove();

document.addEventListener("error", ({ target }) => target.matches?.("img[data-thumbnail]") && gone(target), true);
for (const image of document.querySelectorAll("img[data-thumbnail]")) {
  if (image.complete && !image.naturalWidth && image.currentSrc) gone(image); // it failed before this was there
}
