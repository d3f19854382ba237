// One Media Source and what waits to go into it. It ends with itself: a new connection, and a change of tracks, make a new
// one. ManagedMediaSource is what a phone has that offers no MediaSource.

const LONGEST_QUEUE = 600; // pieces waiting for a Media Source that takes none: start anew
const LARGEST_APPEND = 1024 * 1024; // bytes of several pieces taken at once
const NTP_EPOCH = 2208988800;

const MediaSourceClass = window.ManagedMediaSource ?? window.MediaSource;

export const canPlay = Boolean(MediaSourceClass);

/* What this browser can play, in the words of the socket's `codecs` parameter. */
export function playableCodecs() {
  const tried = { avc1: "avc1.64001f", hvc1: "hvc1.1.6.L120.90", mp4a: "mp4a.40.2", opus: "opus", flac: "flac" };
  return Object.entries(tried)
    .filter(([, codec]) => MediaSourceClass?.isTypeSupported(`video/mp4; codecs="${codec}"`))
    .map(([name]) => name);
}

export const codecsOf = (mime) => (mime?.match(/codecs="([^"]*)"/)?.[1] ?? "").split(/\s*,\s*/).filter(Boolean);

const PICTURES = 1; // the track

/* What a picture's fragment tells of it: the wall-clock time (ms) at which it reached the server, its media time and how
   long it lasts (s). Null for sound, and for anything else. */
export function productionTime(fragment) {
  const view = new DataView(fragment);
  const is = (at, kind) => view.byteLength >= at + 4 && view.getUint32(at) === kind;
  if (!is(4, 0x70726674 /* prft */) || !is(104, 0x7472756e /* trun */) || view.byteLength < 124) return null;
  if (view.getUint32(12) !== PICTURES) return null;
  const wall = (view.getUint32(16) - NTP_EPOCH) * 1000 + (view.getUint32(20) / 2 ** 32) * 1000;
  return { wall, media: Number(view.getBigUint64(24)) / 90000, lasting: view.getUint32(120) / 90000 };
}

export class Feed {
  #queue = [];
  #buffer = null;
  #mime = null;
  #closed = false;
  #source = new MediaSourceClass();
  #url = URL.createObjectURL(this.#source);

  /* `owner` is whatever the pieces come from. */
  constructor(video, owner, { onTrouble, onAppended }) {
    this.video = video;
    this.owner = owner;
    this.onTrouble = onTrouble;
    this.onAppended = onAppended;
    video.disableRemotePlayback = true; // ManagedMediaSource opens only then
    this.#source.addEventListener("sourceopen", () => this.#pump(), { once: true });
    video.src = this.#url;
  }

  /* Whether what comes after this init goes into the same buffer: only with as many tracks. */
  takes(mime) {
    return !this.#closed && (this.#mime === null || codecsOf(mime).length === codecsOf(this.#mime).length);
  }

  init(mime) {
    this.#mime ??= mime; // decides `takes` before it comes to the buffer
    this.#add({ mime });
  }

  append(bytes) {
    this.#add(bytes);
  }

  #add(piece) {
    if (this.#closed) return;
    if (this.#queue.length > LONGEST_QUEUE) return this.#fail("The browser takes no more pictures.");
    this.#queue.push(piece);
    this.#pump();
  }

  #pump() {
    if (this.#source.readyState !== "open" || this.#buffer?.updating) return;
    try {
      while (this.#queue.length && !this.#buffer?.updating) {
        const next = this.#queue[0];
        let taken = 1;
        if (next.mime) this.#use(next.mime);
        else if (this.#buffer) taken = this.#appendSeveral();
        this.#queue.splice(0, taken);
      }
    } catch (error) {
      if (error.name === "QuotaExceededError" && this.trim(1)) return;
      this.#fail(error.name === "NotSupportedError" ? "This browser cannot play this stream." : error.message);
    }
  }

  /* What has gathered while the buffer was busy goes into it in one go; how many pieces that were. */
  #appendSeveral() {
    let taken = 0;
    let size = 0;
    for (const { mime, byteLength } of this.#queue) {
      if (mime || (taken && size + byteLength > LARGEST_APPEND)) break;
      size += byteLength;
      taken += 1;
    }
    if (taken === 1) {
      this.#buffer.appendBuffer(this.#queue[0]);
      return 1;
    }
    const all = new Uint8Array(size);
    let at = 0;
    for (const piece of this.#queue.slice(0, taken)) {
      all.set(new Uint8Array(piece), at);
      at += piece.byteLength;
    }
    this.#buffer.appendBuffer(all);
    return taken;
  }

  #use(mime) {
    if (this.#buffer) {
      if (mime !== this.#mime) this.#buffer.changeType?.(mime);
    } else {
      this.#buffer = this.#source.addSourceBuffer(mime);
      this.#buffer.mode = "segments";
      this.#buffer.addEventListener("updateend", () => {
        this.#pump();
        this.onAppended();
      });
      this.#buffer.addEventListener("error", () => this.#fail("The browser could not decode a picture."));
    }
    this.#mime = mime;
  }

  /* Remove what was played more than `keep` seconds ago; true if there was something to remove. */
  trim(keep) {
    if (!this.#buffer || this.#buffer.updating || !this.#buffer.buffered.length) return false;
    const end = this.video.currentTime - keep;
    if (this.#buffer.buffered.start(0) >= end) return false;
    this.#buffer.remove(0, end);
    return true;
  }

  #fail(sentence) {
    if (this.#closed) return;
    this.close();
    this.onTrouble(sentence);
  }

  close() {
    this.#closed = true;
    this.#queue = [];
    URL.revokeObjectURL(this.#url);
  }
}
