/* <live-player camera="1" [stream="auto"] [label="Gate"] [target="100"] [statistics]>
 *
 * Plays /ws/live/<camera>/ with Media Source Extensions (or ManagedMediaSource where a phone has only that).
 *
 * Strategy. The server sends one fragment per picture on a timeline without gaps; each is appended as it comes. The
 * player sits `target` milliseconds behind the newest picture: it seeks there once, then holds that distance with the
 * playback rate, and seeks again only when it is more than a second off. When the connection goes, the last picture
 * stays, with a badge that says how old it is, and a new connection starts with a fresh Media Source behind it. A page
 * that is hidden for 15 s closes its socket, and comes back when it is shown.
 *
 * For tests and styles the element carries data-state: connecting, live, stalled, offline, hidden, refused, error.
 * Events (bubbling): "live-state" {state, detail}, "live-statistics" {…}.
 */

const SILENCE_MS = 4000; // the server watches the camera for 3 s; this watches the connection to the server
const HIDDEN_MS = 15000;
const STALE_MS = 3000;
const FIRST_RETRY_MS = 300;
const LONGEST_RETRY_MS = 8000;
const REFUSED_RETRY_MS = 15000; // a device that said no may be set right by somebody
const FAR_OFF = 1.0; // seconds from the wanted place at which seeking beats hurrying
const KEEP_BEHIND = 8; // seconds of played pictures kept; trimming is not worth doing often
const LONGEST_QUEUE = 600; // pictures waiting for a Media Source that takes none: start anew
const NTP_EPOCH = 2208988800;

const SENTENCES = {
  1006: "The connection to the server was lost.",
  1011: "Something went wrong on the server.",
  1012: "The server is restarting.",
  1013: "The server asks to try again in a moment.",
  4400: "This player asked for something the server does not know.",
  4401: "You are signed out. Sign in again to go on watching.",
  4403: "You may see this camera, but not watch it.",
  4404: "There is no such camera, or you may not see it.",
  4409: "The camera refuses to send pictures.",
  4422: "This camera cannot be shown here.",
};
// After these, trying again by itself cannot help.
const FINAL = new Set([4400, 4401, 4403, 4404, 4422]);

const STYLE = `
  :host { display: block; position: relative; overflow: hidden; background: #000; color: #fff;
    font: 500 0.875rem/1.4 var(--font, system-ui, sans-serif); font-variant-numeric: tabular-nums; }
  :host([hidden]) { display: none; }
  video { display: block; width: 100%; height: 100%; object-fit: contain; background: #000; }
  canvas { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; pointer-events: none; }
  [hidden] { display: none !important; }
  .message { position: absolute; inset: auto 0 0 0; margin: 0; padding: 0.6rem 0.8rem; background: rgb(0 0 0 / 72%); }
  :host(:not([data-picture])) .message { inset: 0; display: grid; place-content: center; text-align: center;
    background: none; padding: 1rem; }
  .stale { position: absolute; top: 0.5rem; left: 0.5rem; padding: 0.2rem 0.6rem; border-radius: 4px;
    background: #b3261e; color: #fff; font-size: 1rem; font-weight: 650; }
  .statistics { position: absolute; top: 0.5rem; right: 0.5rem; margin: 0; padding: 0.4rem 0.6rem; border-radius: 4px;
    display: grid; grid-template-columns: auto auto; gap: 0 0.8rem; background: rgb(0 0 0 / 72%); font-size: 0.75rem; }
  .statistics dt { color: #b8c0c8; }
  .statistics dd { margin: 0; text-align: right; }
  :host(:focus-visible) { outline: 2px solid var(--focus, #6cb0ff); outline-offset: -2px; }
`;

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);

const MediaSourceClass = window.ManagedMediaSource ?? window.MediaSource;

/* What this browser can play, in the words of the socket's `codecs` parameter. */
function playableCodecs() {
  const tried = { avc1: "avc1.64001f", hvc1: "hvc1.1.6.L120.90", mp4a: "mp4a.40.2", opus: "opus", flac: "flac" };
  return Object.entries(tried)
    .filter(([, codec]) => MediaSourceClass?.isTypeSupported(`video/mp4; codecs="${codec}"`))
    .map(([name]) => name);
}

/* The wall-clock time (ms) and the media time (s) that a fragment's prft box tells. */
function productionTime(fragment) {
  const view = new DataView(fragment);
  if (view.byteLength < 32 || view.getUint32(4) !== 0x70726674) return null;
  const seconds = view.getUint32(16) - NTP_EPOCH;
  const wall = seconds * 1000 + (view.getUint32(20) / 2 ** 32) * 1000;
  return { wall, media: Number(view.getBigUint64(24)) / 90000 };
}

/* One Media Source and what waits to go into it. Ends with itself: a new connection makes a new one. */
class Feed {
  constructor(video, onTrouble) {
    this.video = video;
    this.onTrouble = onTrouble;
    this.queue = [];
    this.buffer = null;
    this.mime = null;
    this.source = new MediaSourceClass();
    video.disableRemotePlayback = true; // ManagedMediaSource opens only then
    this.url = URL.createObjectURL(this.source);
    this.source.addEventListener("sourceopen", () => this.pump(), { once: true });
    video.src = this.url;
  }

  init(mime) {
    this.queue.push({ mime });
    this.pump();
  }

  append(bytes) {
    if (this.queue.length > LONGEST_QUEUE) return this.fail("The browser takes no more pictures.");
    this.queue.push(bytes);
    this.pump();
  }

  pump() {
    if (this.source.readyState !== "open" || this.buffer?.updating) return;
    try {
      while (this.queue.length && !this.buffer?.updating) {
        const next = this.queue[0];
        if (next.mime) this.use(next.mime);
        else if (this.buffer) this.buffer.appendBuffer(next);
        this.queue.shift();
      }
    } catch (error) {
      if (error.name === "QuotaExceededError" && this.trim(1)) return;
      this.fail(error.name === "NotSupportedError" ? "This browser cannot play this stream." : error.message);
    }
  }

  use(mime) {
    if (this.buffer) {
      if (mime !== this.mime) this.buffer.changeType?.(mime);
    } else {
      this.buffer = this.source.addSourceBuffer(mime);
      this.buffer.mode = "segments";
      this.buffer.addEventListener("updateend", () => this.pump());
      this.buffer.addEventListener("error", () => this.fail("The browser could not decode a picture."));
    }
    this.mime = mime;
  }

  /* Remove what was played more than `keep` seconds ago; true if there was something to remove. */
  trim(keep) {
    if (!this.buffer || this.buffer.updating || !this.buffer.buffered.length) return false;
    const end = this.video.currentTime - keep;
    if (this.buffer.buffered.start(0) >= end) return false;
    this.buffer.remove(0, end);
    return true;
  }

  fail(sentence) {
    if (this.closed) return;
    this.close();
    this.onTrouble(sentence);
  }

  close() {
    this.closed = true;
    this.queue = [];
    URL.revokeObjectURL(this.url);
  }
}

class LivePlayer extends HTMLElement {
  static observedAttributes = ["camera", "stream", "statistics"];

  #video = document.createElement("video");
  #still = document.createElement("canvas"); // the last picture of the connection before
  #message = document.createElement("p");
  #stale = document.createElement("span");
  #statistics = document.createElement("dl");
  #socket = null;
  #feed = null;
  #timers = { retry: 0, tick: 0, hidden: 0 };
  #retryMs = FIRST_RETRY_MS;
  #heardAt = 0;
  #pictureAt = 0; // when a picture was last shown, performance.now()
  #latest = null; // production time of the newest fragment
  #sought = false;
  #counts = { frames: 0, bytes: 0, dropped: 0, since: 0, fps: 0, bitRate: 0 };
  #info = {};

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    this.#video.muted = true;
    this.#video.autoplay = true;
    this.#video.playsInline = true;
    this.#still.hidden = true;
    this.#message.className = "message";
    this.#message.setAttribute("role", "status");
    this.#stale.className = "stale";
    this.#stale.hidden = true;
    this.#statistics.className = "statistics";
    this.#statistics.hidden = true;
    root.append(this.#video, this.#still, this.#message, this.#stale, this.#statistics);
    this.addEventListener("keydown", (event) => {
      if (event.key === "s" && !event.ctrlKey && !event.metaKey && !event.altKey) this.toggleAttribute("statistics");
    });
    this.#video.addEventListener("error", () => this.#trouble("The browser could not decode a picture."));
  }

  /* The <video>, for snapshots and tests. */
  get video() {
    return this.#video;
  }

  connectedCallback() {
    if (!this.hasAttribute("tabindex")) this.tabIndex = 0;
    this.#video.setAttribute("aria-label", this.getAttribute("label") ?? `Live picture of camera ${this.camera}`);
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#timers.tick = setInterval(() => this.#tick(), 100);
    this.#watchPictures();
    this.#open();
    this.#onVisibility(); // the page may have been opened in the background
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#onVisibility);
    clearInterval(this.#timers.tick);
    clearTimeout(this.#timers.hidden);
    this.#close();
    this.#feed?.close();
    this.#feed = null;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || before === after) return;
    if (name === "statistics") this.#showStatistics();
    else {
      this.#retryMs = FIRST_RETRY_MS;
      this.#open();
    }
  }

  get camera() {
    return this.getAttribute("camera");
  }

  /* Seconds that are kept between what is shown and the newest picture. */
  get #target() {
    return Number(this.getAttribute("target") ?? 100) / 1000;
  }

  // --- The connection ----------------------------------------------------------------------------------------------
  #open() {
    this.#close();
    if (!MediaSourceClass) return this.#state("error", "This browser cannot play live pictures; use a newer one.");
    if (document.hidden && this.dataset.state === "hidden") return;
    this.#state("connecting", "Connecting …");
    const query = new URLSearchParams({ stream: this.getAttribute("stream") ?? "auto", codecs: playableCodecs().join() });
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws/live/${encodeURIComponent(this.camera)}/?${query}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#closed(event);
    this.#socket = socket;
    this.#heardAt = performance.now();
  }

  #close() {
    clearTimeout(this.#timers.retry);
    if (!this.#socket) return;
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #closed(event) {
    this.#socket = null;
    const sentence = event.reason || SENTENCES[event.code] || SENTENCES[1006];
    if (FINAL.has(event.code)) return this.#state("refused", sentence);
    const refused = event.code === 4409;
    this.#state(refused ? "refused" : "offline", sentence);
    this.#retry(refused ? REFUSED_RETRY_MS : this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
  }

  #retry(delay) {
    clearTimeout(this.#timers.retry);
    // Many players lose their server together; they should not all come back in the same instant.
    this.#timers.retry = setTimeout(() => this.#open(), delay * (0.7 + 0.6 * Math.random()));
  }

  #trouble(sentence) {
    if (!this.#feed) return;
    this.#keepStill();
    this.#feed.close();
    this.#feed = null;
    this.#close();
    this.#state("error", sentence);
    this.#retry(this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
  }

  #receive(data) {
    this.#heardAt = performance.now();
    if (typeof data !== "string") return this.#take(data);
    const message = JSON.parse(data);
    if (message.type === "init") this.#begin(message);
    else if (message.type === "status") this.#state(message.state, message.detail);
    else if (message.type === "dropped") this.#counts.dropped += message.frames;
  }

  #begin(message) {
    this.#info = message;
    if (this.#feed && this.#feed.socket === this.#socket) return this.#feed.init(message.mime);
    this.#keepStill();
    this.#feed?.close();
    this.#feed = new Feed(this.#video, (sentence) => this.#trouble(sentence));
    this.#feed.socket = this.#socket;
    this.#sought = false;
    this.#latest = null;
    this.#counts = { ...this.#counts, frames: 0, bytes: 0, since: performance.now() };
    this.#feed.init(message.mime);
  }

  #take(bytes) {
    if (!this.#feed) return;
    const production = productionTime(bytes);
    if (production) {
      this.#latest = production;
      this.#counts.frames += 1;
      this.#counts.bytes += bytes.byteLength;
      this.#retryMs = FIRST_RETRY_MS;
    }
    this.#feed.append(bytes);
  }

  // --- Holding the live edge ----------------------------------------------------------------------------------------
  #tick() {
    this.#followEdge();
    this.#watchConnection();
    this.#showAge();
    const { since } = this.#counts;
    const now = performance.now();
    if (now - since >= 1000) {
      const seconds = (now - since) / 1000;
      const { frames, bytes } = this.#counts;
      Object.assign(this.#counts, { fps: frames / seconds, bitRate: (8 * bytes) / seconds, frames: 0, bytes: 0, since: now });
      this.#showStatistics();
    }
  }

  #followEdge() {
    const video = this.#video;
    const { buffered } = video;
    if (!this.#feed || !buffered.length) return;
    const last = buffered.length - 1;
    const wanted = Math.max(buffered.start(last), buffered.end(last) - this.#target);
    const off = wanted - video.currentTime; // positive: behind
    // Outside the newest range there is nothing to play: pictures were skipped for this viewer.
    const outside = video.currentTime < buffered.start(last);
    // At the start playing may have begun by itself; it is never taken back then, only forward over the pictures that
    // were sent to begin with.
    if (outside || Math.abs(off) > FAR_OFF || (!this.#sought && off > 0.05)) {
      video.currentTime = wanted;
      video.playbackRate = 1;
    } else {
      // A third of a second behind plays 10 % faster; within 20 ms nothing is changed, so that motion stays even.
      const rate = Math.abs(off) < 0.02 ? 1 : Math.min(1.25, Math.max(0.93, 1 + 0.3 * off));
      if (Math.abs(rate - video.playbackRate) > 0.005) video.playbackRate = rate;
    }
    this.#sought = true;
    if (video.paused) video.play().catch(() => {}); // refused only while hidden or by policy; the next tick asks again
    if (buffered.start(0) < video.currentTime - 2 * KEEP_BEHIND) this.#feed.trim(KEEP_BEHIND);
  }

  #watchConnection() {
    const live = this.#socket?.readyState === WebSocket.OPEN && this.dataset.state === "live";
    const connecting = this.#socket?.readyState === WebSocket.CONNECTING;
    if ((live || connecting) && performance.now() - this.#heardAt > (connecting ? 2 * SILENCE_MS : SILENCE_MS)) {
      this.#state("offline", "The server has sent nothing for a while; connecting again.");
      this.#close();
      this.#retry(FIRST_RETRY_MS);
    }
  }

  #watchPictures() {
    const video = this.#video;
    const shown = () => {
      this.#pictureAt = performance.now();
      if (!this.hasAttribute("data-picture")) this.setAttribute("data-picture", "");
      this.#still.hidden = true;
      if (this.isConnected) video.requestVideoFrameCallback(shown);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(shown);
    else video.addEventListener("timeupdate", () => { if (!video.paused) shown(); });
  }

  /* Keep the last picture on the screen while the <video> gets a new source. */
  #keepStill() {
    const { videoWidth, videoHeight } = this.#video;
    if (!videoWidth || !this.#still.hidden) return;
    this.#still.width = videoWidth;
    this.#still.height = videoHeight;
    this.#still.getContext("2d").drawImage(this.#video, 0, 0);
    this.#still.hidden = false;
  }

  #onVisibility = () => {
    clearTimeout(this.#timers.hidden);
    if (document.hidden) {
      this.#timers.hidden = setTimeout(() => {
        this.#close();
        this.#state("hidden", "Paused while this page is not shown.");
      }, HIDDEN_MS);
    } else if (this.dataset.state === "hidden") {
      this.#state("connecting", "");
      this.#open();
    }
  };

  // --- What is told -------------------------------------------------------------------------------------------------
  #state(state, detail) {
    const text = detail || { connecting: "Connecting …", stalled: "The camera sends no pictures." }[state] || "";
    if (this.dataset.state !== state || this.#message.textContent !== text) {
      this.dataset.state = state;
      this.#message.textContent = text;
      this.#message.hidden = state === "live" || !text;
      this.dispatchEvent(new CustomEvent("live-state", { bubbles: true, detail: { state, detail: text } }));
    }
  }

  #showAge() {
    const age = performance.now() - this.#pictureAt;
    const stale = this.#pictureAt > 0 && age > STALE_MS;
    this.toggleAttribute("data-stale", stale);
    this.#stale.hidden = !stale;
    if (stale) {
      const text = `stale for ${Math.floor(age / 1000)} s`;
      if (this.#stale.textContent !== text) this.#stale.textContent = text;
    }
  }

  /* How old the picture on the screen is, by the server's clock and ours; they are assumed to agree. */
  get latency() {
    if (!this.#latest) return null;
    const shown = this.#latest.wall - (this.#latest.media - this.#video.currentTime) * 1000;
    return Date.now() - shown;
  }

  get statistics() {
    const { fps, bitRate, dropped } = this.#counts;
    return { latency: this.latency, fps, bitRate, dropped, rate: this.#video.playbackRate, ...this.#info };
  }

  #showStatistics() {
    const shown = this.hasAttribute("statistics");
    this.#statistics.hidden = !shown;
    const { latency, fps, bitRate, dropped, mime, width, height } = this.statistics;
    this.dispatchEvent(new CustomEvent("live-statistics", { bubbles: true, detail: this.statistics }));
    if (!shown) return;
    const rows = {
      Latency: latency === null ? "–" : `${Math.round(latency)} ms`,
      Pictures: `${fps.toFixed(1)} / s`,
      "Bit rate": `${(bitRate / 1e6).toFixed(2)} Mbit/s`,
      Dropped: String(dropped),
      Size: width ? `${width} × ${height}` : "–",
      Codec: mime?.match(/codecs="([^"]*)"/)?.[1] ?? "–",
    };
    this.#statistics.replaceChildren(
      ...Object.entries(rows).flatMap(([name, value]) => [
        Object.assign(document.createElement("dt"), { textContent: name }),
        Object.assign(document.createElement("dd"), { textContent: value }),
      ]),
    );
  }
}

customElements.define("live-player", LivePlayer);
