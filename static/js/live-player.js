/* <live-player camera="1">: plays /ws/live/<camera>/ with Media Source Extensions.
 *
 * Strategy. The server sends one fragment per picture on a timeline without gaps; each is appended as it comes
 * (live-feed.js). Playing stays a little behind the newest picture (live-edge.js). When the connection goes, the last
 * picture stays, with a badge that says how old it is, and a new connection starts with a fresh Media Source behind it.
 * Whoever is not seen closes the socket: a hidden page after 15 s, a player off the screen after a few.
 *
 * Attributes
 *   camera       whose pictures
 *   stream       auto (what suits the size and the chosen quality), or the id of one
 *   name         shown on the picture; without it only the state is
 *   label        what the picture is called for who does not see it
 *   sound        is heard: set and removed by its button too; at first it is muted
 *   paused       stands still: so, too
 *   statistics   shows the figures: so, too
 *   target       ms behind the newest picture, instead of what the line needs (100 to 250)
 *   width        pixels to ask for, instead of those it has on the screen
 *   snapshot     address of a still that is shown, with its age, until there are pictures
 *   simulated    says that nothing of it is real
 *   no-keys      leaves the keys to the page; no-quality, no-audio: leaves out these controls
 *   tabindex, role, aria-label get values where they have none.
 * Kept by the element, for styles and tests
 *   data-state   connecting, live, stalled, offline, hidden, paused, refused, error
 *   data-picture there is one to see; data-stale: it is older than 3 s
 *   data-withdrawn  who looks may not see this camera now; it is tried again
 * Properties and methods
 *   video        the <video>
 *   latency      ms from the server's receiving a picture to its being shown, lately; null while unknown
 *   statistics   all figures
 *   snapshot()   a promise of {blob, name}: what is shown, as JPEG; saveSnapshot() hands it to the user
 *   toggleSound(), toggleFullscreen(), retry(), press(key): true if the key meant something
 * Keys, while it has the focus or is alone on its page
 *   f full screen, m sound, s snapshot, i figures, Space stand still
 * Events (bubbling)
 *   live-state {state, detail}, live-statistics {…} each second, live-picture {after: ms} for the first picture of a
 *   connection, live-init {…} as the server told it, live-sound {on}, live-snapshot {name}
 * A <button slot="tools"> inside joins the buttons on the picture.
 */
import { icon } from "./icon.js";
import { isTyping, keysAreOn } from "./keys.js";
import { QUALITIES, chooseQuality, chooseVolume, quality, volume } from "./live-choices.js";
import { clockOffset, serverNow } from "./live-clock.js";
import { LiveEdge } from "./live-edge.js";
import { Feed, canPlay, codecsOf, playableCodecs, productionTime } from "./live-feed.js";
import { sheet } from "./live-style.js";
import { DEFAULTS, STATES, ageInWords, closed, codecName } from "./live-words.js";

const TICK_MS = 100;
const SILENCE_MS = 4000; // the server watches the camera for 3 s; this watches the connection to the server
const CONNECT_MS = 8000;
const FROZEN_MS = 4000; // pictures come and none is shown
const HIDDEN_MS = 15000; // of a page
const OFF_SCREEN_MS = 4000; // of a player in a page that is seen
const STALE_MS = 3000;
const CAME_LATELY_MS = 500; // pictures come: what stands still does so for another reason
const FRESH_MS = 500; // after so long all has come that was there before
const SEEK_MS = 500; // a seek is given so long to show its picture
const STILL_MS = 200; // a stream that runs already shows a picture sooner than this; then no still is asked for
const FIRST_RETRY_MS = 300;
const LONGEST_RETRY_MS = 8000;
const REFUSED_RETRY_MS = 15000; // a device that said no may be set right by somebody
const WITHDRAWN_RETRY_MS = 2000; // at first; a right that was taken may be given back
const KEEP_BEHIND = 8; // seconds of played pictures kept; trimming is not worth doing often
const PRODUCTIONS = 120; // pictures whose production time is remembered: more than are ever buffered and not shown
const LATENCIES = 60;
const WIDTH_CHANGED = 0.1; // a smaller change of size is not worth another stream
const REMEMBERED_WIDTH = 640;
const REMEMBERED = 64; // cameras

const remembered = new Map(); // camera → {canvas, at}: what was last seen of it on this page

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function quantile(values, share) {
  if (!values.length) return null;
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];
}

class LivePlayer extends HTMLElement {
  static observedAttributes = ["camera", "stream", "statistics", "sound", "paused", "name", "width", "no-audio"];

  #video = element("video", { muted: true, playsInline: true, preload: "auto" });
  #still = element("canvas", { hidden: true }); // the last picture of the connection before, or a snapshot
  #parts = {};
  #socket = null;
  #feed = null;
  #edge = null;
  #timers = { retry: 0, tick: 0, away: 0, resize: 0 };
  #observers = [];
  #alive = false; // between connecting to the page and leaving it; attributes are told before that
  #retryMs = FIRST_RETRY_MS;
  #retryAt = 0;
  #told = { state: "connecting", detail: "" }; // by the server
  #asked = {}; // of the server: stream, quality, width
  #onScreen = true;
  #openedAt = 0;
  #heardAt = 0;
  #cameAt = 0; // when a picture last came
  #pictureAt = null; // when what is seen was a picture of the present, performance.now(); null: nothing is seen
  #played = false; // a picture of this camera's stream was shown by this element
  #decoded = { frames: -1, at: 0 };
  #productions = []; // {wall, media} of the newest pictures
  #latencies = [];
  #begun = false; // playing, in this Media Source
  #begunAt = 0;
  #fresh = true; // what comes may still be what was there before
  #seen = false; // a picture of this Media Source
  #seekAt = 0;
  #stalled = false;
  #firstShown = false;
  #info = {};
  #counts = { came: 0, shown: 0, bytes: 0, since: 0 };
  #figures = { received: 0, fps: 0, bitRate: 0, dropped: 0, stalls: 0, startedAfter: null };

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(this.#video, this.#still, ...this.#build());
    const video = this.#video;
    video.addEventListener("error", () => this.#trouble("The browser could not decode a picture."));
    video.addEventListener("waiting", () => {
      if (this.#fresh || !this.#firstShown || video.seeking || this.#stalled || this.hasAttribute("paused")) return;
      this.#stalled = true;
      this.#figures.stalls += 1;
      if (performance.now() - this.#cameAt < CAME_LATELY_MS) this.#edge.stalled(performance.now());
    });
  }

  #build() {
    const tool = (label, picture, act) => {
      const button = element("button", { type: "button", title: label, onclick: act }, picture);
      button.setAttribute("aria-label", label);
      return button;
    };
    const parts = this.#parts;
    parts.name = element("span", { className: "name", hidden: true });
    parts.state = element("span", { className: "chip idle" });
    parts.stale = element("span", { className: "chip stale", hidden: true });
    parts.transcoded = element("span", { className: "chip warn", hidden: true, textContent: "Transcoded" });
    parts.transcoded.title = "This browser gets the picture converted by the server.";
    parts.pause = tool("Stand still (Space)", icon("pause"), () => this.toggleAttribute("paused"));
    parts.sound = tool("Sound (M)", icon("volume-x"), () => this.toggleSound());
    parts.volume = element("input", { type: "range", min: 0, max: 1, step: 0.05, value: volume(), hidden: true });
    parts.volume.setAttribute("aria-label", "Volume");
    parts.volume.oninput = () => chooseVolume(Number(parts.volume.value));
    parts.quality = element("select", { title: "Quality of the picture" });
    parts.quality.setAttribute("aria-label", "Quality");
    parts.quality.append(...Object.entries(QUALITIES).map(([value, word]) => element("option", { value, textContent: word })));
    parts.quality.onchange = () => chooseQuality(parts.quality.value);
    parts.figures = tool("Figures (I)", icon("gauge"), () => this.toggleAttribute("statistics"));
    parts.full = tool("Full screen (F)", icon("maximize"), () => this.toggleFullscreen());
    parts.tools = element(
      "div",
      { className: "tools" },
      parts.quality, parts.volume, parts.pause, parts.sound,
      tool("Snapshot (S)", icon("camera"), () => this.saveSnapshot()),
      parts.figures, parts.full, element("slot", { name: "tools" }),
    );
    // What is done to a tool is not done to the picture, on which one may steer or drag.
    for (const kind of ["click", "dblclick", "pointerdown", "mousedown", "touchstart", "wheel"]) {
      parts.tools.addEventListener(kind, (event) => event.target.closest('[slot="tools"]') || event.stopPropagation(), { passive: true });
    }
    parts.simulated = element("span", { className: "chip sim", hidden: true, title: "Simulated" }, icon("flask-conical"));
    parts.simulated.append(element("span", { textContent: "Simulated" }));
    parts.simulated.setAttribute("role", "img");
    parts.simulated.setAttribute("aria-label", "Simulated");
    const chips = element("span", { className: "chips" }, parts.state, parts.stale, parts.transcoded, parts.simulated);
    const top = element("div", { className: "bar top" }, parts.name, chips, parts.tools);
    parts.what = element("span");
    parts.how = element("span");
    parts.foot = element("div", { className: "bar foot", hidden: true }, parts.what, parts.how);
    parts.sentence = element("p");
    parts.sentence.setAttribute("role", "status");
    parts.again = element("span", { className: "again", hidden: true });
    parts.again.setAttribute("aria-hidden", "true");
    parts.retry = element("button", { type: "button", textContent: "Try now", onclick: () => this.retry(), hidden: true });
    parts.message = element("div", { className: "message", hidden: true }, parts.sentence, parts.again, parts.retry);
    parts.statistics = element("dl", { className: "statistics", hidden: true });
    return [parts.foot, top, parts.message, parts.statistics];
  }

  // --- Its life -----------------------------------------------------------------------------------------------------
  connectedCallback() {
    this.#alive = true;
    if (!this.hasAttribute("tabindex")) this.tabIndex = 0;
    if (!this.hasAttribute("role")) this.setAttribute("role", "group");
    const label = this.getAttribute("label") ?? `Live picture of ${this.getAttribute("name") ?? `camera ${this.camera}`}`;
    if (!this.hasAttribute("aria-label")) this.setAttribute("aria-label", label);
    this.#video.setAttribute("aria-label", label);
    this.#start();
    this.#parts.quality.hidden = this.hasAttribute("no-quality");
    this.#parts.simulated.hidden = !this.hasAttribute("simulated");
    document.addEventListener("visibilitychange", this.#lookAround);
    document.addEventListener("fullscreenchange", this.#lookAround);
    document.addEventListener("keydown", this.#onKey);
    document.addEventListener("vms:live-quality", this.#onQuality);
    document.addEventListener("vms:live-volume", this.#onVolume);
    this.#observers = [
      new IntersectionObserver((entries) => {
        this.#onScreen = entries.at(-1).isIntersecting;
        this.#lookAround();
      }),
      new ResizeObserver(() => {
        clearTimeout(this.#timers.resize);
        this.#timers.resize = setTimeout(() => this.#tellWishes(), 300);
      }),
    ];
    for (const each of this.#observers) each.observe(this);
    this.#timers.tick = setInterval(() => this.#tick(), TICK_MS);
    this.#onQuality();
    this.#onVolume();
    this.#showName();
    this.#showSound();
    this.#showStatistics();
    this.#watchPictures();
    if (this.hasAttribute("paused")) this.#standStill();
    this.#lookAround(); // the page may have been opened in the background
  }

  /* It is moved within its page, and goes on. */
  connectedMoveCallback() {}

  disconnectedCallback() {
    this.#alive = false;
    document.removeEventListener("visibilitychange", this.#lookAround);
    document.removeEventListener("fullscreenchange", this.#lookAround);
    document.removeEventListener("keydown", this.#onKey);
    document.removeEventListener("vms:live-quality", this.#onQuality);
    document.removeEventListener("vms:live-volume", this.#onVolume);
    for (const each of this.#observers) each.disconnect();
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#rememberPicture();
    this.#close();
    this.#feed?.close();
    this.#feed = null;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  attributeChangedCallback(name, before, after) {
    if (!this.#alive || before === after) return;
    if (name === "statistics") this.#showStatistics();
    else if (name === "name") this.#showName();
    else if (name === "paused") this.#standStill();
    else if (name === "sound") this.#hear();
    else if (name === "no-audio") this.#showSound();
    else if (name === "camera") this.#start();
    else this.#tellWishes();
  }

  get camera() {
    return this.getAttribute("camera");
  }

  get video() {
    return this.#video;
  }

  /* Begin with a camera: nothing of the one before stays. */
  #start() {
    this.#feed?.close();
    this.#feed = null;
    this.#played = false;
    this.#pictureAt = null;
    this.#still.hidden = true;
    this.#info = {};
    this.#latencies = [];
    this.#figures = { ...this.#figures, dropped: 0, stalls: 0, fps: 0, received: 0, bitRate: 0 };
    this.toggleAttribute("data-picture", false);
    this.#retryMs = FIRST_RETRY_MS;
    this.#showOlder();
    this.#open();
  }

  // --- The connection ----------------------------------------------------------------------------------------------
  #open() {
    this.#close();
    if (!canPlay) return this.#state("error", "This browser cannot play live pictures; use a newer one.");
    if (this.dataset.state === "hidden" && this.#away) return;
    if (this.hasAttribute("paused")) return this.#state("paused", "");
    if (!this.hasAttribute("data-withdrawn")) this.#state("connecting", "");
    this.#asked = this.#wishes();
    const query = new URLSearchParams({ ...this.#asked, codecs: playableCodecs().join(), audio: this.hasAttribute("sound") ? 1 : 0 });
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws/live/${encodeURIComponent(this.camera)}/?${query}`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#tellWishes();
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#closed(event);
    this.#socket = socket;
    this.#openedAt = this.#heardAt = performance.now();
    this.#firstShown = false;
    if (!this.#feed) this.#freshFeed(); // it opens while the server is asked
  }

  #close() {
    clearTimeout(this.#timers.retry);
    this.#retryAt = 0;
    if (!this.#socket) return;
    const socket = this.#socket;
    this.#socket = socket.onopen = socket.onmessage = socket.onclose = null;
    // To close one that is only being opened is taken for a failure, and complained about by the browser.
    if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
    else socket.close();
  }

  #closed(event) {
    this.#socket = null;
    const { sentence, state, final, patient, withdrawn } = closed(event);
    this.toggleAttribute("data-withdrawn", withdrawn);
    if (withdrawn) this.#forget();
    if (this.hasAttribute("paused")) {
      if (withdrawn) this.removeAttribute("paused"); // there is nothing to look at; asked again, it is told why
      return; // it opens again when it goes on
    }
    this.#state(state, sentence);
    if (final) return;
    this.#retryLater(patient ? REFUSED_RETRY_MS : withdrawn ? Math.max(WITHDRAWN_RETRY_MS, this.#retryMs) : this.#retryMs);
  }

  /* Nothing of what was seen stays. */
  #forget() {
    remembered.delete(this.camera);
    this.#feed?.close();
    this.#feed = null;
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#still.hidden = true;
    this.#still.width = this.#still.height = 0;
    this.#played = false;
    this.#pictureAt = null;
    this.#info = {};
    this.removeAttribute("data-picture");
  }

  #retryLater(delay) {
    clearTimeout(this.#timers.retry);
    // Many players lose their server together; they should not all come back in the same instant.
    const pause = delay * (0.7 + 0.6 * Math.random());
    this.#retryAt = performance.now() + pause;
    this.#timers.retry = setTimeout(() => this.#open(), pause);
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    this.#showRetry();
  }

  retry() {
    this.#retryMs = FIRST_RETRY_MS;
    this.removeAttribute("paused");
    this.#open();
  }

  #trouble(sentence) {
    if (!this.#feed) return;
    this.#keepStill();
    this.#feed.close();
    this.#feed = null;
    this.#close();
    this.#state("error", sentence);
    this.#retryLater(this.#retryMs);
  }

  #say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /* What this player wants to see, in the words of the socket. */
  #wishes() {
    const own = Math.round(this.clientWidth * devicePixelRatio);
    const width = Math.min(99999, Number(this.getAttribute("width")) || own);
    return { stream: this.getAttribute("stream") || "auto", quality: quality(), width };
  }

  /* Tell the server when they have changed. */
  #tellWishes() {
    if (this.#socket?.readyState !== WebSocket.OPEN || this.#away) return;
    const wishes = this.#wishes();
    const resized = wishes.width > 0 && Math.abs(wishes.width - this.#asked.width) > WIDTH_CHANGED * this.#asked.width;
    if (!resized) wishes.width = this.#asked.width;
    const changed = Object.entries(wishes).filter(([name, value]) => value !== this.#asked[name]);
    if (!changed.length) return;
    this.#asked = wishes;
    this.#say({ type: "show", ...Object.fromEntries(changed) });
  }

  #receive(data) {
    this.#heardAt = performance.now();
    if (typeof data !== "string") return this.#take(data);
    this.removeAttribute("data-withdrawn");
    const message = JSON.parse(data);
    if (message.type === "init") this.#begin(message);
    else if (message.type === "status") this.#learn(message);
    else if (message.type === "dropped") this.#figures.dropped += message.frames;
  }

  #learn({ state, detail = "" }) {
    this.#told = { state, detail };
    if (!this.hasAttribute("paused")) this.#state(state, detail);
  }

  #begin(message) {
    this.#info = message;
    if (!this.#feed || this.#feed.owner !== this.#socket || !this.#feed.takes(message.mime)) this.#freshFeed();
    this.#feed.init(message.mime);
    this.#showSound();
    this.#parts.transcoded.hidden = !message.transcoded;
    this.#dispatch("live-init", message);
  }

  #freshFeed() {
    this.#keepStill();
    this.#feed?.close();
    this.#begun = false;
    this.#fresh = true;
    this.#seen = false;
    this.#stalled = false;
    this.#productions = [];
    const target = this.getAttribute("target");
    this.#edge = new LiveEdge(target === null ? null : Number(target) / 1000);
    this.#decoded = { frames: -1, at: performance.now() };
    this.#feed = new Feed(this.#video, this.#socket, {
      onTrouble: (sentence) => this.#trouble(sentence),
      onAppended: () => this.#begun || this.#followEdge(),
    });
  }

  #take(bytes) {
    if (!this.#feed) return;
    this.#counts.bytes += bytes.byteLength;
    const production = productionTime(bytes);
    if (production) {
      this.#cameAt = performance.now();
      this.#edge.arrived(production.media, production.lasting, this.#cameAt);
      this.#productions.push(production);
      if (this.#productions.length > PRODUCTIONS) this.#productions.shift();
      this.#counts.came += 1;
    }
    this.#feed.append(bytes);
  }

  // --- Holding the live edge ----------------------------------------------------------------------------------------
  #tick() {
    const now = performance.now();
    this.#followEdge();
    this.#watchConnection(now);
    this.#showAge(now);
    this.#showRetry();
    const { since, came, shown, bytes } = this.#counts;
    if (now - since < 1000) return;
    const seconds = (now - since) / 1000;
    Object.assign(this.#figures, { received: came / seconds, fps: shown / seconds, bitRate: (8 * bytes) / seconds });
    this.#counts = { came: 0, shown: 0, bytes: 0, since: now };
    this.#showStatistics();
  }

  #followEdge() {
    const video = this.#video;
    const { buffered } = video;
    if (!this.#feed || !buffered.length || !this.#edge.known || this.hasAttribute("paused")) return;
    const now = performance.now();
    const unseen = video.seeking || (this.#begun && !this.#seen);
    if (unseen && now - this.#seekAt < SEEK_MS) return;
    const last = buffered.length - 1;
    const end = buffered.end(last);
    const advice = this.#edge.advise({
      position: video.currentTime,
      start: buffered.start(last),
      end,
      now,
      begun: this.#begun,
      stalled: this.#stalled || this.#fresh,
    });
    if (advice.wait) return;
    if ("seek" in advice) {
      video.currentTime = advice.seek;
      video.playbackRate = 1;
      this.#seekAt = now;
    } else {
      if (this.#begun && now - this.#begunAt > FRESH_MS) this.#fresh = false;
      if (Math.abs(advice.rate - video.playbackRate) > 0.004) video.playbackRate = advice.rate;
    }
    if (!this.#begun) this.#begunAt = now;
    this.#begun = true;
    if (this.#stalled && end - video.currentTime > 0.05) this.#stalled = false;
    if (video.paused) this.#play();
    if (buffered.start(0) < video.currentTime - 2 * KEEP_BEHIND) this.#feed.trim(KEEP_BEHIND);
  }

  #play() {
    this.#video.play().catch((error) => {
      // A browser lets sound begin only after somebody has touched the page. The next tick plays without it.
      if (error.name === "NotAllowedError" && !this.#video.muted) this.removeAttribute("sound");
    });
  }

  #watchConnection(now) {
    const connecting = this.#socket?.readyState === WebSocket.CONNECTING;
    const live = this.#socket?.readyState === WebSocket.OPEN && this.dataset.state === "live";
    if ((live || connecting) && now - this.#heardAt > (connecting ? CONNECT_MS : SILENCE_MS)) {
      this.#close();
      this.#state("offline", connecting ? "The server does not answer." : "The server has sent nothing for a while.");
      return this.#retryLater(this.#retryMs);
    }
    const frames = this.#video.getVideoPlaybackQuality?.().totalVideoFrames ?? this.#counts.shown;
    const idle = !live || now - this.#cameAt > 1000 || document.hidden || !this.#onScreen;
    if (idle || frames !== this.#decoded.frames) this.#decoded = { frames, at: now };
    else if (now - this.#decoded.at > FROZEN_MS) this.#trouble("Pictures come, but the browser shows none; beginning anew.");
  }

  #watchPictures() {
    const video = this.#video;
    const shown = (now, picture) => {
      const mediaTime = picture?.mediaTime ?? video.currentTime;
      const ours = this.#productions.length && mediaTime > this.#productions[0].media - 5;
      if (ours && !this.hasAttribute("paused")) this.#shown(mediaTime, picture?.expectedDisplayTime ?? now);
      if (this.#alive) video.requestVideoFrameCallback?.(shown);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(shown);
    else video.ontimeupdate = () => video.paused || shown(performance.now());
  }

  /* A picture of the stream is on the screen. */
  #shown(mediaTime, at) {
    this.#pictureAt = performance.now();
    this.#played = true;
    this.#retryMs = FIRST_RETRY_MS;
    this.#counts.shown += 1;
    const wall = this.#wallOf(mediaTime);
    if (wall !== null) {
      this.#latencies.push(serverNow() + (at - performance.now()) - wall);
      if (this.#latencies.length > LATENCIES) this.#latencies.shift();
    }
    if (!this.#still.hidden) this.#still.hidden = true;
    if (!this.hasAttribute("data-picture")) this.setAttribute("data-picture", "");
    this.#seen = true;
    if (this.#fresh) this.#followEdge(); // from the first picture to the present
    if (this.#firstShown) return;
    this.#firstShown = true;
    this.#showChip();
    this.#figures.startedAfter = Math.round(performance.now() - this.#openedAt);
    this.#dispatch("live-picture", { after: this.#figures.startedAfter });
  }

  /* When the picture of this media time reached the server, by the server's clock. */
  #wallOf(mediaTime) {
    const made = this.#productions.findLast(({ media }) => media <= mediaTime + 0.001);
    return made ? made.wall : null;
  }

  // --- What is seen while there are no new pictures -----------------------------------------------------------------
  /* Keep the last picture on the screen while the <video> gets a new source. */
  #keepStill() {
    const { videoWidth, videoHeight } = this.#video;
    if (!videoWidth || !this.#still.hidden || !this.hasAttribute("data-picture")) return;
    this.#drawStill(this.#video, videoWidth, videoHeight);
  }

  #drawStill(source, width, height) {
    this.#still.width = width;
    this.#still.height = height;
    this.#still.getContext("2d").drawImage(source, 0, 0, width, height);
    this.#still.hidden = false;
    this.setAttribute("data-picture", "");
  }

  #rememberPicture() {
    const { videoWidth, videoHeight } = this.#video;
    if (!this.#played || !videoWidth || this.#pictureAt === null) return;
    const scale = Math.min(1, REMEMBERED_WIDTH / videoWidth);
    const canvas = element("canvas", { width: Math.round(videoWidth * scale), height: Math.round(videoHeight * scale) });
    canvas.getContext("2d").drawImage(this.#still.hidden ? this.#video : this.#still, 0, 0, canvas.width, canvas.height);
    remembered.delete(this.camera);
    remembered.set(this.camera, { canvas, at: this.#pictureAt });
    if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value);
  }

  /* What was seen before, here or by the server, until there is something new. */
  async #showOlder() {
    const { camera } = this;
    const known = remembered.get(camera);
    if (known) {
      this.#drawStill(known.canvas, known.canvas.width, known.canvas.height);
      this.#pictureAt = known.at;
      return;
    }
    const address = this.getAttribute("snapshot");
    if (!address) return;
    await new Promise((after) => setTimeout(after, STILL_MS));
    if (this.#played || this.camera !== camera || !this.#alive) return;
    try {
      const response = await fetch(address, { signal: AbortSignal.timeout(10_000) });
      if (response.status !== 200) return; // there is none
      const picture = await createImageBitmap(await response.blob());
      if (this.#played || this.camera !== camera || this.hasAttribute("data-withdrawn")) return;
      this.#drawStill(picture, picture.width, picture.height);
      const made = Date.parse(response.headers.get("Last-Modified") ?? "");
      const age = Number.isNaN(made) ? 0 : Math.max(0, serverNow() - made);
      this.#pictureAt = performance.now() - age;
    } catch {
      // A still is only something to look at meanwhile.
    }
  }

  #showAge(now) {
    const age = this.#pictureAt === null ? 0 : now - this.#pictureAt;
    const old = age > STALE_MS;
    this.toggleAttribute("data-stale", old && this.#played);
    const { stale } = this.#parts;
    stale.hidden = !old;
    if (!old) return;
    stale.classList.toggle("idle", !this.#played);
    stale.classList.toggle("stale", this.#played);
    const text = this.#played ? `stale for ${ageInWords(age)}` : `picture of ${ageInWords(age)} ago`;
    if (stale.textContent !== text) stale.textContent = text;
  }

  // --- Not seen, standing still, heard ------------------------------------------------------------------------------
  get #away() {
    const covered = document.fullscreenElement && !document.fullscreenElement.contains(this);
    return document.hidden || !this.#onScreen || Boolean(covered);
  }

  #lookAround = () => {
    clearTimeout(this.#timers.away);
    if (this.#away) {
      this.#timers.away = setTimeout(() => {
        if (this.hasAttribute("paused")) return;
        this.#rememberPicture();
        this.#close();
        this.#state("hidden", "Paused while it is not seen.");
      }, document.hidden ? HIDDEN_MS : OFF_SCREEN_MS);
    } else if (this.dataset.state === "hidden") {
      this.#open();
    }
    const full = document.fullscreenElement === this;
    this.#parts.full.replaceChildren(full ? icon("minimize") : icon("maximize"));
  };

  #standStill() {
    const still = this.hasAttribute("paused");
    const { pause } = this.#parts;
    pause.replaceChildren(still ? icon("play") : icon("pause"));
    pause.setAttribute("aria-pressed", String(still));
    if (still) {
      clearTimeout(this.#timers.retry);
      this.#retryAt = 0;
      this.#say({ type: "pause" });
      this.#video.pause();
      return this.#state("paused", "");
    }
    if (this.#socket?.readyState !== WebSocket.OPEN) return this.#open();
    this.#say({ type: "resume" });
    this.#heardAt = performance.now();
    this.#state(this.#told.state, this.#told.detail);
  }

  #hear() {
    this.#say({ type: "sound", on: this.hasAttribute("sound") });
    this.#showSound();
    this.#dispatch("live-sound", { on: this.hasAttribute("sound") });
  }

  toggleSound() {
    if (!this.hasAttribute("no-audio")) this.toggleAttribute("sound");
  }

  #showSound() {
    const on = this.hasAttribute("sound");
    const { sound, volume: level } = this.#parts;
    const silent = on && this.#info.sound === false;
    this.#video.muted = !on;
    sound.hidden = this.hasAttribute("no-audio");
    level.hidden = sound.hidden || !on;
    sound.replaceChildren(on ? icon("volume-2") : icon("volume-x"));
    sound.setAttribute("aria-pressed", String(on));
    sound.title = silent ? "No sound comes from this camera" : on ? "Mute (M)" : "Sound (M)";
  }

  #onVolume = () => {
    this.#video.volume = volume();
    this.#parts.volume.value = volume();
  };

  #onQuality = () => {
    this.#parts.quality.value = quality();
    this.#tellWishes();
  };

  // --- What one can do with it --------------------------------------------------------------------------------------
  #onKey = (event) => {
    if (this.hasAttribute("no-keys") || event.defaultPrevented || event.repeat) return;
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || !keysAreOn()) return;
    if (document.querySelector("dialog[open]")) return;
    const within = event.composedPath()[0] === this;
    const alone = !event.target.closest?.("button, a, summary, input, live-player") && document.querySelectorAll("live-player").length === 1;
    if ((within || alone) && this.press(event.key)) event.preventDefault();
  };

  press(key) {
    const act = {
      f: () => this.toggleFullscreen(),
      m: () => this.toggleSound(),
      s: () => this.saveSnapshot(),
      i: () => this.toggleAttribute("statistics"),
      " ": () => this.toggleAttribute("paused"),
    }[key.toLowerCase()];
    act?.();
    return Boolean(act);
  }

  async toggleFullscreen() {
    try {
      if (document.fullscreenElement === this) await document.exitFullscreen();
      else if (this.requestFullscreen) await this.requestFullscreen();
      else this.#video.webkitEnterFullscreen?.(); // a telephone that makes only videos that large
    } catch {
      // The browser or the page around it forbids it.
    }
  }

  async snapshot() {
    const source = this.#still.hidden ? this.#video : this.#still;
    const [width, height] = source === this.#video ? [source.videoWidth, source.videoHeight] : [source.width, source.height];
    if (!width || !this.hasAttribute("data-picture")) throw new Error("There is no picture yet.");
    const canvas = element("canvas", { width, height });
    canvas.getContext("2d").drawImage(source, 0, 0);
    const age = this.#still.hidden ? (this.latency ?? 0) : performance.now() - this.#pictureAt;
    const time = new Date(serverNow() - age).toISOString().slice(0, 19).replace("T", " ").replaceAll(":", "-");
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
    return { blob, name: `${this.getAttribute("name") ?? `Camera ${this.camera}`} ${time} UTC.jpg` };
  }

  async saveSnapshot() {
    const { blob, name } = await this.snapshot().catch(() => ({}));
    if (!blob) return;
    const link = element("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    this.#dispatch("live-snapshot", { name });
  }

  // --- What is told -------------------------------------------------------------------------------------------------
  #dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  }

  #state(state, detail) {
    const text = detail || DEFAULTS[state] || "";
    const { sentence, message } = this.#parts;
    if (this.dataset.state === state && sentence.textContent === text) return;
    this.dataset.state = state;
    this.#showChip();
    sentence.textContent = text;
    message.hidden = state === "paused" || state === "hidden" || (state === "live" && !detail) || !text;
    this.#showRetry();
    this.#dispatch("live-state", { state, detail: text });
  }

  /* Live is said of pictures of this connection that are seen, not of one that was kept. */
  #showChip() {
    const state = this.dataset.state === "live" && !this.#firstShown ? "connecting" : this.dataset.state;
    const [word, tone, picture] = STATES[state] ?? STATES.error;
    const { state: chip } = this.#parts;
    chip.className = `chip ${tone}${state === "connecting" ? " busy" : ""}`;
    chip.replaceChildren(icon(picture), word);
  }

  #showRetry() {
    const { again, retry } = this.#parts;
    retry.hidden = !["offline", "refused", "error"].includes(this.dataset.state) || !canPlay;
    again.hidden = !this.#retryAt;
    const seconds = Math.max(1, Math.ceil((this.#retryAt - performance.now()) / 1000));
    const text = this.#retryAt ? `Trying again in ${seconds} s` : "";
    if (again.textContent !== text) again.textContent = text;
  }

  #showName() {
    const name = this.getAttribute("name");
    this.#parts.name.hidden = !name;
    this.#parts.name.textContent = this.#parts.name.title = name ?? "";
  }

  get latency() {
    return quantile(this.#latencies, 0.5);
  }

  get statistics() {
    const late = this.#video.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0;
    const { buffered, currentTime, playbackRate } = this.#video;
    return {
      latency: this.latency,
      latencyP90: quantile(this.#latencies, 0.9),
      age: this.#latencies.at(-1) ?? null,
      target: this.#edge ? Math.round(1000 * this.#edge.target(performance.now())) : null,
      lead: buffered.length ? Math.round(1000 * (buffered.end(buffered.length - 1) - currentTime)) : null,
      rate: playbackRate,
      late,
      clock: clockOffset(),
      quality: quality(),
      asked: this.#asked.width,
      ...this.#figures,
      ...this.#info,
    };
  }

  #showStatistics() {
    const figures = this.statistics;
    this.#dispatch("live-statistics", figures);
    const { latency, latencyP90, fps, received, bitRate, dropped, late, stalls, mime, width, height, clock } = figures;
    const ms = (value) => (value === null || value === undefined ? "–" : `${Math.round(value)} ms`);
    const codecs = codecsOf(mime);
    const { what, how, foot, statistics, figures: button } = this.#parts;
    foot.hidden = !codecs.length || !this.#parts.message.hidden;
    what.textContent = [width && `${width} × ${height}`, codecName(codecs[0] ?? ""), `${fps.toFixed(1)} fps`].filter(Boolean).join(" · ");
    how.textContent = [`${(bitRate / 1e6).toFixed(1)} Mbit/s`, ms(latency), `${dropped} dropped`].join(" · ");
    const shown = this.hasAttribute("statistics");
    button.setAttribute("aria-pressed", String(shown));
    statistics.hidden = !shown;
    if (!shown) return;
    const rows = {
      Latency: `${ms(latency)} (90 %: ${ms(latencyP90)})`,
      "Clock offset": clock === null ? "not measured" : ms(clock),
      Buffer: `${ms(figures.lead)} (wanted ${ms(figures.target)})`,
      Pictures: `${fps.toFixed(1)} / s shown, ${received.toFixed(1)} / s received`,
      "Bit rate": `${(bitRate / 1e6).toFixed(2)} Mbit/s`,
      Dropped: `${dropped} by the server, ${late} by the browser`,
      Stalls: String(stalls),
      Started: `after ${ms(figures.startedAfter)}`,
      Size: width ? `${width} × ${height}` : "–",
      Codec: codecs.join(", ") || "–",
      Stream: `${figures.stream ?? "–"}${figures.transcoded ? ", transcoded" : ""}`,
      Transport: figures.transport?.toUpperCase() ?? "–",
      Quality: QUALITIES[figures.quality],
    };
    statistics.replaceChildren(
      ...Object.entries(rows).flatMap(([name, value]) => [
        element("dt", { textContent: name }),
        element("dd", { textContent: value }),
      ]),
    );
  }
}

customElements.define("live-player", LivePlayer);
