// The library: its small pictures, and the player of one file's page.
//
// A film in MP4 is the browser's own affair. One that is converted as it is played ([data-remuxed]) has no length and
// cannot be sought in: it is asked for again from where it shall go on, and a slider of ours stands for the browser's.
import "./asking.js";
import "./thumbnails.js";
import { isTyping, keysAreOn } from "./keys.js";

const video = document.querySelector("[data-player]");
const LEAP = 5; // seconds
const FRAME = 1 / 25; // seconds: no picture is missed at 25 per second, and none stands long at 60
const NEAR_THE_END = 2; // seconds

class Film {
  constructor(element) {
    this.video = element;
    this.remuxed = element.dataset.remuxed;
    this.length = Number(element.dataset.duration) || 0;
    this.from = 0; // where what is loaded begins
    this.slider = document.querySelector("[data-seek]");
    this.shown = document.querySelector("[data-now]");
    element.addEventListener("error", () => this.tell());
    element.addEventListener("playing", () => (document.querySelector("[data-unplayable]").hidden = true));
    if (!this.remuxed) return;
    element.addEventListener("timeupdate", () => this.moved());
    // The server gives the place of who stood still for long to others; from there it goes on.
    element.addEventListener("ended", () => this.now < this.length - NEAR_THE_END && this.goTo(this.now));
    this.slider?.addEventListener("change", () => this.goTo(this.slider.valueAsNumber));
  }

  get now() {
    return this.from + this.video.currentTime;
  }

  goTo(seconds) {
    if (!this.remuxed) {
      this.video.currentTime = Math.max(0, seconds);
      return;
    }
    const wasPlaying = !this.video.paused || this.video.ended;
    this.from = Math.max(0, this.length ? Math.min(seconds, this.length - 0.1) : seconds);
    this.video.src = `${this.remuxed}?start=${this.from.toFixed(3)}`;
    this.moved();
    if (wasPlaying) this.video.play().catch(() => {}); // "error" tells why not
    else this.video.preload = "auto";
  }

  moved() {
    if (!this.slider) return;
    if (!this.slider.matches(":active")) this.slider.value = this.now;
    const minutes = Math.floor(this.now / 60);
    this.shown.textContent = `${minutes}:${String(Math.floor(this.now % 60)).padStart(2, "0")}`;
    this.slider.setAttribute("aria-valuetext", this.shown.textContent);
  }

  step(direction) {
    if (this.video.paused) this.video.currentTime += direction * FRAME;
  }

  async tell() {
    const box = document.querySelector("[data-unplayable]");
    const why = box.querySelector("[data-why]");
    why.textContent = "This browser cannot play it. Download it, and open it with another player.";
    box.hidden = false;
    const answer = await fetch(this.video.currentSrc, { headers: { Range: "bytes=0-0" } }).catch(() => null);
    if (answer === null) why.textContent = "The server did not answer. It may be restarting; try again in a moment.";
    else if (!answer.ok) why.textContent = (await answer.json().catch(() => null))?.error ?? why.textContent;
    else answer.body?.cancel();
  }
}

if (video) {
  const film = new Film(video);
  const keys = {
    " ": () => (video.paused ? video.play() : video.pause()),
    ArrowLeft: () => film.goTo(film.now - LEAP),
    ArrowRight: () => film.goTo(film.now + LEAP),
    ",": () => film.step(-1),
    ".": () => film.step(1),
    f: () => (document.fullscreenElement ? document.exitFullscreen() : video.requestFullscreen()),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !keysAreOn()) return;
    // Buttons, fields and the browser's own controls have these keys for themselves.
    if (isTyping(event.target) || event.target.closest("button, a, summary, video, input, dialog")) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
