// What `manage.py bench player` runs in the page: it looks at <live-player> from outside.

const STRIP_BLOCKS = 32;

/* The number in the strip at the lower edge of a simulated picture; null where there is no readable strip. */
function readStrip(video, canvas) {
  // Only the middle of the strip, one pixel a block: the page is busy with pictures.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const { videoWidth, videoHeight } = video;
  context.imageSmoothingEnabled = false;
  context.drawImage(video, 0, Math.floor((videoHeight * 23) / 24), videoWidth, 1, 0, 0, STRIP_BLOCKS, 1);
  const { data } = context.getImageData(0, 0, STRIP_BLOCKS, 1);
  const bytes = [0, 0, 0, 0];
  for (let block = 0; block < STRIP_BLOCKS; block++) {
    const level = data[4 * block + 1];
    if (level >= 96 && level <= 160) return null;
    bytes[block >> 3] = (bytes[block >> 3] << 1) | (level > 160);
  }
  let crc = 0xff;
  for (const byte of bytes.slice(0, 3)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
  }
  return crc === bytes[3] ? (bytes[1] << 8) | bytes[2] : null;
}

/* Note every picture that this player shows until `stop`. Every `each`-th one is looked at; 0: none. */
function watch(player, each) {
  const { video } = player;
  const canvas = document.createElement("canvas");
  canvas.width = STRIP_BLOCKS;
  canvas.height = 1;
  const seen = { pictures: [], waits: 0, seeks: 0 };
  let count = 0;
  let on = true;
  const waiting = () => video.seeking || seen.waits++;
  const seeking = () => seen.seeks++;
  video.addEventListener("waiting", waiting);
  video.addEventListener("seeking", seeking);
  const note = (now, { mediaTime, expectedDisplayTime, presentationTime, presentedFrames }) => {
    if (!on) return;
    const number = each && count++ % each === 0 ? readStrip(video, canvas) : null;
    seen.pictures.push([mediaTime, expectedDisplayTime, presentationTime, presentedFrames, number]);
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
  const before = player.statistics;
  return () => {
    on = false;
    video.removeEventListener("waiting", waiting);
    video.removeEventListener("seeking", seeking);
    const after = player.statistics;
    return {
      ...seen,
      origin: performance.timeOrigin,
      state: player.dataset.state,
      dropped: { server: after.dropped - before.dropped, late: after.late - before.late },
      stalls: after.stalls - before.stalls,
      told: { latency: after.latency, target: after.target, size: [after.width, after.height] },
    };
  };
}

/* Replace the page's player by a new one: ms from connecting it until its first picture has been painted, and until it
   shows the present, which is a picture not older than `young` ms by the player's own reckoning. */
async function appear(young) {
  const old = document.querySelector("live-player");
  const player = document.createElement("live-player");
  // Without what was seen before: only a picture of the stream counts.
  for (const { name, value } of old.attributes) if (!/^(data-|snapshot$)/.test(name)) player.setAttribute(name, value);
  const [place, next] = [old.parentNode, old.nextSibling];
  old.remove();
  await new Promise((done) => setTimeout(done, 300));
  const began = performance.now();
  place.insertBefore(player, next);
  const { video } = player;
  let first = null;
  while (performance.now() - began < 10_000) {
    await new Promise((done) => video.requestVideoFrameCallback(done));
    if (first === null) {
      // What is unveiled now is painted before the next turn of the page, at the latest.
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      first = performance.now() - began;
    }
    const { age } = player.statistics;
    if (age !== null && age < young) return { first, present: performance.now() - began };
  }
  return { first, present: null };
}

window.bench = { watch, appear };
