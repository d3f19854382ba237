"""The player in a real browser, told by a socket that follows a script: what a real camera does only now and then."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import av
import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Locator, Page, WebSocketRoute, expect
from pytest_django.live_server_helper import LiveServer

from devices.models import Camera
from simulators.picture import Picture, jpeg
from streaming.media import AccessUnit, AudioTrack
from streaming.wire import fmp4
from tests.streaming.film import RATE, TICKS, Film, make_film, units_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AAC_RATE, AAC_SAMPLES = 48_000, 1024


@dataclass(frozen=True)
class Sound:
    track: AudioTrack
    pieces: list[bytes]


@pytest.fixture(scope="module")
def sound() -> Sound:
    """Silence in AAC, which is all a player needs to have a track of it."""
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = AAC_RATE, "mono", "fltp"
    pieces = []
    for number in range(200):
        frame = av.AudioFrame(format="fltp", layout="mono", samples=AAC_SAMPLES)
        frame.sample_rate, frame.pts = AAC_RATE, number * AAC_SAMPLES
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        pieces += [bytes(packet) for packet in encoder.encode(frame)]
    assert encoder.extradata
    return Sound(AudioTrack("aac", "mp4a.40.2", AAC_RATE, 1, bytes(encoder.extradata)), pieces)


@pytest.fixture(scope="module")
def large() -> list[AccessUnit]:
    return units_of(make_film(60, width=1280, height=720))


@dataclass
class Line:
    """The server's end of one player's socket."""

    page: Page
    route: WebSocketRoute
    query: dict[str, str]
    heard: list[dict[str, Any]] = field(default_factory=list)
    sequence: int = 0
    position: int = 0  # on the timeline, in ticks
    sounded: int = 0

    def tell(self, **message: Any) -> None:
        self.route.send(json.dumps(message))

    def begin(self, unit: AccessUnit, sound: Sound | None = None) -> None:
        self.tell(type="status", state="live", detail="")
        codecs = unit.track.codec + (f", {sound.track.codec}" if sound else "")
        size = {"width": unit.track.width, "height": unit.track.height}
        mime = f'video/mp4; codecs="{codecs}"'
        self.tell(
            type="init", mime=mime, stream="h264", transcoded=False, sound=sound is not None, transport="rtp", **size
        )
        self.route.send(fmp4.init_segment(unit.track, sound.track if sound else None))
        self.sounded = self.position * AAC_RATE // 90_000

    def show(self, units: list[AccessUnit], sound: Sound | None = None, lasting: int = TICKS) -> None:
        """Each as it would come: one after the other, and sound up to the picture's end."""
        for unit in units:
            made = fmp4.fragment(self.sequence, self.position, lasting, unit.key, time.time(), unit.data)
            self.route.send(made)
            self.sequence += 1
            self.position += lasting
            while sound and self.sounded * 90_000 < self.position * AAC_RATE:
                piece = sound.pieces[self.sequence % len(sound.pieces)]
                self.route.send(fmp4.audio_fragment(self.sequence, self.sounded, AAC_SAMPLES, time.time(), piece))
                self.sounded += AAC_SAMPLES
            self.page.wait_for_timeout(1000 / RATE)

    def wait_to_hear(self, kind: str) -> dict[str, Any]:
        for _ in range(200):
            for message in self.heard:
                if message["type"] == kind:
                    return message
            self.page.wait_for_timeout(50)
        raise AssertionError(f"the player said {self.heard}, nothing of {kind}")


@dataclass
class Scene:
    page: Page
    url: str
    lines: list[Line] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def player(self) -> Locator:
        return self.page.locator("live-player")

    @property
    def line(self) -> Line:
        """The newest one."""
        for _ in range(200):
            if self.lines:
                return self.lines[-1]
            self.page.wait_for_timeout(50)
        raise AssertionError("the player opened no socket")

    def take(self, route: WebSocketRoute) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(route.url).query).items()}
        line = Line(self.page, route, query)
        route.on_message(lambda text: line.heard.append(json.loads(text)))
        self.lines.append(line)

    def asks(self, script: str) -> Any:
        return self.player.evaluate(script)

    def press(self, key: str) -> None:
        self.player.focus()
        self.player.press(key)


@pytest.fixture
def scene(
    chromium: Browser, live_server: LiveServer, new_camera: Callable[..., Camera], new_person: Callable[..., Any]
) -> Iterator[Scene]:
    camera = new_camera()
    client = Client()
    client.force_login(new_person("ann", camera).user, backend="django.contrib.auth.backends.ModelBackend")
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    page = context.new_page()
    scene = Scene(page, f"{live_server.url}/cameras/{camera.pk}/")
    page.on("pageerror", lambda error: scene.complaints.append(str(error)))
    page.route_web_socket("**/ws/live/**", scene.take)
    page.route_web_socket("**/ws/events/", lambda route: None)
    page.goto(scene.url)
    yield scene
    assert scene.complaints == []
    context.close()


def test_sound_that_begins_comes_with_a_media_source_of_its_own_behind_the_last_picture(
    scene: Scene, film: Film, sound: Sound
) -> None:
    units = units_of(film)
    line = scene.line
    line.begin(units[0])
    line.show(units[:20])
    expect(scene.player).to_have_attribute("data-picture", "")
    before = scene.asks("player => player.video.src")
    scene.press("m")
    assert line.wait_to_hear("sound") == {"type": "sound", "on": True}
    scene.asks("""player => {
      window.stills = [];
      const still = player.shadowRoot.querySelector("canvas");
      const look = { attributes: true, attributeFilter: ["hidden"] };
      new MutationObserver(() => stills.push(still.hidden)).observe(still, look);
    }""")
    line.begin(units[30], sound)
    line.show(units[30:55], sound)
    assert scene.asks("player => player.video.src") != before
    assert scene.asks("player => player.video.muted") is False
    assert scene.page.evaluate("stills") == [False, True], "the last picture stayed until there was a new one"
    assert scene.asks("player => player.video.currentTime") > 20 / RATE
    assert len(scene.lines) == 1


def test_another_size_goes_on_in_the_same_media_source(scene: Scene, film: Film, large: list[AccessUnit]) -> None:
    units = units_of(film)
    line = scene.line
    line.begin(units[0])
    line.show(units[:20])
    before = scene.asks("player => player.video.src")
    line.begin(large[0])
    line.show(large[:20])
    assert scene.asks("player => [player.video.videoWidth, player.video.videoHeight]") == [1280, 720]
    assert scene.asks("player => player.video.src") == before


def test_lost_pictures_are_jumped_over_at_once(scene: Scene, film: Film) -> None:
    units = units_of(film)
    line = scene.line
    line.begin(units[0])
    line.show(units[:20])
    line.show(units[30:31], lasting=5 * 90_000)  # a key picture that lasts over what was lost
    line.show(units[31:45])
    behind = line.position / 90_000 - scene.asks("player => player.video.currentTime")
    assert 0 < behind < 1
    assert scene.asks("player => player.statistics.target") <= 250


def test_a_server_that_falls_silent_is_left_for_a_new_connection(scene: Scene, film: Film) -> None:
    units = units_of(film)
    scene.line.begin(units[0])
    scene.line.show(units[:20])
    expect(scene.player).to_have_attribute("data-stale", "")
    expect(scene.player).not_to_have_attribute("data-state", "live")
    for _ in range(200):
        if len(scene.lines) == 2:
            break
        scene.page.wait_for_timeout(50)
    scene.line.begin(units[30])
    scene.line.position = 1000 * 90_000  # another process, another clock
    scene.line.show(units[30:50])
    expect(scene.player).to_have_attribute("data-state", "live")
    expect(scene.player).not_to_have_attribute("data-stale", "")
    assert scene.asks("player => player.video.currentTime") > 1000


def test_what_the_server_dropped_and_converted_is_told(scene: Scene, film: Film) -> None:
    units = units_of(film)
    line = scene.line
    line.begin(units[0])
    line.tell(type="dropped", frames=12)
    line.show(units[:20])
    scene.press("i")
    line.show(units[20:40])
    figures = scene.player.locator(".statistics")
    expect(figures).to_contain_text("12 by the server")
    expect(figures).to_contain_text("RTP")
    line.tell(type="init", mime='video/mp4; codecs="avc1.640016"', stream="h264", transcoded=True, sound=False)
    expect(scene.player.locator(".chip", has_text="Transcoded")).to_be_visible()


def test_a_snapshot_is_what_is_seen_in_its_full_size(scene: Scene, film: Film) -> None:
    units = units_of(film)
    scene.line.begin(units[0])
    scene.line.show(units[:20])
    with scene.page.expect_download() as downloading:
        scene.press("s")
    download = downloading.value
    assert download.suggested_filename.endswith("UTC.jpg")
    with av.open(str(download.path())) as container:
        picture = next(container.decode(video=0))
    assert (picture.width, picture.height) == (640, 360)


def test_until_there_are_pictures_a_still_is_shown_with_its_age(scene: Scene, film: Film) -> None:
    still = io.BytesIO(jpeg(Picture(320, 180, seed=7, name="Then").draw(3, datetime(2026, 1, 1, tzinfo=UTC)), 80))
    headers = {"Last-Modified": formatdate(time.time() - 300, usegmt=True), "Content-Type": "image/jpeg"}
    scene.page.route("**/still.jpg", lambda route: route.fulfill(body=still.getvalue(), headers=headers))
    scene.page.evaluate("""() => {
      const player = document.querySelector("live-player").cloneNode();
      player.setAttribute("snapshot", "/still.jpg");
      document.querySelector("live-player").replaceWith(player);
    }""")
    age = scene.player.locator(".chip", has_text="picture of")
    expect(age).to_have_text("picture of 5 min ago")
    expect(scene.player).not_to_have_attribute("data-stale", "")
    units = units_of(film)
    scene.line.begin(units[0])
    scene.line.show(units[:20])
    expect(age).to_be_hidden()


# --- Where in the buffer to be: the arithmetic alone ------------------------------------------------------------------
EDGE = """async ({delays, lasting}) => {
  const { LiveEdge } = await import("/static/js/live-edge.js");
  const edge = new LiveEdge();
  const began = performance.now();
  let now = began;
  const targets = delays.map((delay, n) => {
    now = began + 1000 * n * lasting + delay;
    edge.arrived(n * lasting, lasting, now);
    return edge.target(now);
  });
  const at = (behind, more = {}) => {
    const position = edge.arriving(now) - edge.target(now) - behind;
    const there = { position, start: position - 5, end: position + 5, now, begun: true, stalled: false, ...more };
    return edge.advise(there);
  };
  return {
    targets,
    there: at(0), behind: at(0.2), ahead: at(-0.5), far: at(1.2),
    stalled: at(0.4, { stalled: true }), early: at(-0.08, { begun: false }), gone: at(0, { start: 1e6, end: 1e6 + 1 }),
  };
}"""


def advice(scene: Scene, delays: list[float], lasting: float = 1 / 15) -> Any:
    return scene.page.evaluate(EDGE, {"delays": delays, "lasting": lasting})


def test_an_even_line_is_followed_closely_and_an_uneven_one_at_a_distance(scene: Scene) -> None:
    even = advice(scene, [5.0] * 900, lasting=1 / 40)["targets"]
    assert even[-1] == pytest.approx(0.075)
    uneven = advice(scene, [0.0 if n % 9 else 120.0 for n in range(300)])["targets"]
    assert 0.15 < uneven[-1] <= 0.25
    worst = advice(scene, [0.0 if n % 9 else 900.0 for n in range(300)])["targets"]
    assert max(worst) == pytest.approx(0.25)


def test_slow_pictures_are_followed_at_a_distance_of_pictures(scene: Scene) -> None:
    assert advice(scene, [5.0] * 300, lasting=1 / 15)["targets"][-1] == pytest.approx(2.4 / 15)
    assert advice(scene, [5.0] * 300, lasting=1 / 5)["targets"][-1] == pytest.approx(0.25)


def test_lateness_is_forgotten_slowly(scene: Scene) -> None:
    targets = advice(scene, [0.0] * 50 + [180.0 - 25.0 * n for n in range(8)] + [0.0] * 2400, lasting=1 / 40)["targets"]
    assert targets[50] > 0.22
    assert targets[-1] == pytest.approx(0.075)
    assert all(after <= before + 1e-9 for before, after in pairwise(targets[50:]))


def test_small_distances_are_caught_up_and_large_ones_jumped(scene: Scene) -> None:
    told = advice(scene, [0.0] * 100)
    assert told["there"] == {"rate": 1}
    assert 1 < told["behind"]["rate"] <= 1.25
    assert told["ahead"] == {"rate": 0.93}
    assert "seek" in told["far"]
    assert "seek" in told["stalled"]
    assert told["early"] == {"wait": True}
    assert told["gone"]["seek"] >= 1e6


# --- What browsers, pages and people do -------------------------------------------------------------------------------
MANAGED = """
window.ManagedMediaSource = class extends MediaSource {
  constructor() { super(); window.managed = (window.managed ?? 0) + 1; }
};
delete window.MediaSource;
"""
# A page that is hidden closes its sockets after a while, which a test need not wait for.
SOON = """
const later = window.setTimeout;
window.setTimeout = (act, after, ...rest) => later(act, after === 15000 ? 50 : after, ...rest);
"""
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def again(scene: Scene, script: str) -> None:
    """Load the page again, with something of the browser's replaced."""
    scene.page.add_init_script(script)
    scene.lines.clear()
    scene.page.reload()


def until(scene: Scene, holds: Callable[[], bool], what: str) -> None:
    for _ in range(300):
        if holds():
            return
        scene.page.wait_for_timeout(50)
    raise AssertionError(what)


def test_a_telephone_that_has_only_managed_media_source_plays_with_it(scene: Scene, film: Film) -> None:
    again(scene, MANAGED)
    units = units_of(film)
    assert "avc1" in scene.line.query["codecs"]
    scene.line.begin(units[0])
    scene.line.show(units[:20])
    expect(scene.player).to_have_attribute("data-picture", "")
    assert scene.page.evaluate("[window.managed, typeof MediaSource]") == [1, "undefined"]
    assert scene.asks("player => player.video.disableRemotePlayback") is True
    assert scene.asks("player => player.video.paused") is False


def test_what_a_stream_already_has_is_shown_at_once_and_the_present_right_after(scene: Scene, film: Film) -> None:
    units = units_of(film)
    line = scene.line
    line.begin(units[0])
    scene.asks("""player => {
      window.shown = [];
      const note = (now, { mediaTime }) => { shown.push(mediaTime); player.video.requestVideoFrameCallback(note); };
      player.video.requestVideoFrameCallback(note);
    }""")
    for unit in units[:15]:  # a second of pictures that came before, in one go
        line.route.send(fmp4.fragment(line.sequence, line.position, TICKS, unit.key, time.time() - 1, unit.data))
        line.sequence += 1
        line.position += TICKS
    line.show(units[15:45])
    shown = scene.page.evaluate("shown")
    assert shown[0] < 0.3, "the first picture is the oldest: nothing has to be decoded before it"
    skipped = max(after - before for before, after in pairwise(shown))
    assert skipped > 0.25, "what was there before is not played to its end"
    behind = line.position / 90_000 - scene.asks("player => player.video.currentTime")
    assert 0 < behind < 1


def test_a_hidden_page_closes_its_sockets_and_opens_them_when_it_is_seen_again(scene: Scene, film: Film) -> None:
    again(scene, SOON)
    units = units_of(film)
    scene.line.begin(units[0])
    scene.line.show(units[:10])
    closed: list[int] = []
    scene.line.route.on_close(lambda code, reason: closed.append(1))
    scene.page.evaluate(HIDE, True)
    expect(scene.player).to_have_attribute("data-state", "hidden")
    until(scene, lambda: bool(closed), "its socket stayed open")
    scene.page.evaluate(HIDE, False)
    until(scene, lambda: len(scene.lines) == 2, "it did not connect again")
    scene.line.begin(units[15])
    scene.line.position = 10 * 90_000
    scene.line.show(units[15:30])
    expect(scene.player).to_have_attribute("data-state", "live")
    assert scene.asks("player => player.video.currentTime") > 10


def test_a_picture_that_stands_while_others_come_is_begun_anew(scene: Scene, film: Film) -> None:
    units = units_of(film)
    line = scene.line
    line.begin(units[0])
    line.show(units[:15])
    # As a decoder that hangs: nothing more is counted as shown.
    scene.asks("player => { player.video.getVideoPlaybackQuality = () => ({ totalVideoFrames: 7 }); }")
    for _ in range(20):
        if len(scene.lines) == 2:
            break
        line.show(units[15:30])
    assert len(scene.lines) == 2, "it went on waiting"


def test_sound_that_the_browser_does_not_let_begin_is_muted_and_the_picture_plays(
    scene: Scene, film: Film, sound: Sound
) -> None:
    again(
        scene,
        """
        const play = HTMLMediaElement.prototype.play;
        HTMLMediaElement.prototype.play = function () {
          return this.muted ? play.call(this) : Promise.reject(new DOMException("not touched", "NotAllowedError"));
        };
        """,
    )
    scene.asks("player => player.toggleAttribute('sound', true)")
    units = units_of(film)
    scene.line.begin(units[0], sound)
    scene.line.show(units[:30], sound)
    expect(scene.player).not_to_have_attribute("sound", "")
    assert scene.asks("player => [player.video.muted, player.video.paused]") == [True, False]


def test_how_loud_it_is_can_be_set_and_is_kept_for_all(scene: Scene, film: Film, sound: Sound) -> None:
    units = units_of(film)
    scene.line.begin(units[0], sound)
    scene.line.show(units[:10], sound)
    level = scene.player.get_by_label("Volume")
    assert scene.asks("player => player.video.muted") is True
    expect(level).to_be_hidden()
    scene.press("m")
    expect(level).to_be_visible()
    level.fill("0.3")
    assert scene.asks("player => [player.video.muted, player.video.volume]") == [False, 0.3]
    scene.page.reload()
    assert scene.asks("player => [player.video.muted, player.video.volume]") == [True, 0.3]


def test_it_fills_the_screen_and_goes_back(scene: Scene, film: Film) -> None:
    units = units_of(film)
    scene.line.begin(units[0])
    scene.line.show(units[:10])
    scene.press("f")
    filled = "document.fullscreenElement === document.querySelector('live-player')"
    until(scene, lambda: bool(scene.page.evaluate(filled)), "it does not fill the screen")
    scene.press("f")
    until(scene, lambda: not scene.page.evaluate(filled), "it stays there")
    expect(scene.player).to_have_attribute("data-picture", "")


def test_a_stall_keeps_more_in_hand_for_some_time(scene: Scene) -> None:
    targets = scene.page.evaluate(
        """async () => {
      const { LiveEdge } = await import("/static/js/live-edge.js");
      const edge = new LiveEdge();
      const began = performance.now();
      for (let n = 0; n < 2400; n++) edge.arrived(n / 40, 1 / 40, began + (1000 * n) / 40);
      const now = began + 60_000;
      const before = edge.target(now);
      edge.stalled(now);
      const once = edge.target(now);
      for (let n = 0; n < 9; n++) edge.stalled(now);
      return [before, once, edge.target(now), edge.target(now + 600_000)];
    }"""
    )
    before, once, often, later = targets
    assert before == later == pytest.approx(0.075)
    assert before < once < often <= 0.25
