"""The player in a real browser, against the real application and a simulated recorder."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
import uvicorn
import uvloop
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from accounts.models import Grant
from devices.models import Camera, Device
from simulators.picture import STRIP_BLOCKS, crc8
from simulators.povcam import PovcamSimulator
from simulators.video import VideoFormat
from streaming import relay

SEED = 7

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_client"),
]


@dataclass
class Running:
    """The application and a recorder on one event loop in a thread."""

    loop: asyncio.AbstractEventLoop
    recorder: PovcamSimulator
    url: str

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def inject(self, kind: str, **details: Any) -> None:
        self.loop.call_soon_threadsafe(lambda: self.recorder.inject(kind, **details))


@pytest.fixture
def running() -> Iterator[Running]:
    from vms.asgi import application

    started = threading.Event()
    found: list[Running] = []
    config = uvicorn.Config(
        application, port=0, lifespan="off", log_config=None, ws_per_message_deflate=False, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)

    async def serve() -> None:
        streams = {1: VideoFormat(640, 360, Fraction(15), 1000), 2: VideoFormat(320, 180, Fraction(15), 500)}
        async with PovcamSimulator(seed=SEED, name="Gate", streams=streams) as recorder:
            serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 — uvicorn announces it so
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            found.append(Running(asyncio.get_running_loop(), recorder, f"http://localhost:{port}"))
            started.set()
            await serving
            await relay.close_all()

    thread = threading.Thread(target=lambda: uvloop.run(serve()), daemon=True)
    thread.start()
    assert started.wait(20), "the server did not start"
    yield found[0]
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive(), "the server did not stop"


@pytest.fixture
def camera(running: Running, new_camera: Callable[..., Camera]) -> Camera:
    told = {
        "streams": {"h264": {"transmits": True, "width": 640, "max_fps": 15}, "h264_2": {"width": 320, "max_fps": 15}}
    }
    return new_camera(host="127.0.0.1", port=running.recorder.port, username="admin", password="12345", status=told)


@pytest.fixture
def person(new_person: Callable[..., Any], camera: Camera) -> Any:
    return new_person("ann", camera)


@pytest.fixture
def page(chromium: Browser, running: Running, person: Any, camera: Camera) -> Iterator[Page]:
    """The camera's page, signed in."""
    client = Client()
    client.force_login(person.user, backend="django.contrib.auth.backends.ModelBackend")
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": running.url}])
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(f"{running.url}/cameras/{camera.pk}/")
    yield page
    context.close()


def player(page: Page, state: str) -> Any:
    return page.locator(f'live-player[data-state="{state}"]')


STRIP = """(blocks) => {
  const video = document.querySelector("live-player").video;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null; // its size is known before its first picture
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const y = Math.floor(canvas.height * 23 / 24);
  return Array.from({length: blocks}, (_, i) =>
    context.getImageData(Math.floor((i + 0.5) * canvas.width / blocks), y, 1, 1).data[1]);
}"""


# Notes the states of the player, and that the last picture was held while it connected again.
WATCH_STILL = """() => {
  window.seen = [];
  const player = document.querySelector("live-player");
  player.addEventListener("live-state", (event) => window.seen.push(event.detail.state));
  const canvas = player.shadowRoot.querySelector("canvas");
  new MutationObserver(() => canvas.hidden || window.seen.push("still")).observe(canvas, { attributes: true });
}"""


def number_shown(page: Page) -> int | None:
    """The frame number in the pixels of the playing video."""
    levels = page.evaluate(STRIP, STRIP_BLOCKS)
    if levels is None or any(96 <= level <= 160 for level in levels):
        return None
    word = sum((level > 160) << (STRIP_BLOCKS - 1 - index) for index, level in enumerate(levels)).to_bytes(4, "big")
    assert crc8(word[:3]) == word[3], "the picture's strip is damaged"
    assert word[0] == SEED, "another camera's picture"
    return int.from_bytes(word[1:3], "big")


def numbers_shown(page: Page, count: int) -> list[int]:
    """The numbers of so many different pictures, as they come."""
    seen: list[int] = []
    deadline = time.monotonic() + 30
    while len(seen) < count:
        assert time.monotonic() < deadline, f"only these pictures were shown: {seen}"
        number = number_shown(page)
        if number is not None and (not seen or number != seen[-1]):
            seen.append(number)
        page.wait_for_timeout(15)
    return seen


def test_the_picture_plays_and_moves_on(page: Page, camera: Camera):
    expect(player(page, "live")).to_be_visible()
    seen = numbers_shown(page, 30)
    assert seen == sorted(seen)
    assert seen[-1] - seen[0] < 60  # it plays; it does not jump from key picture to key picture
    statistics = page.evaluate("document.querySelector('live-player').statistics")
    assert statistics["dropped"] == 0
    assert (statistics["width"], statistics["height"]) == (640, 360)
    assert statistics["latency"] is not None
    assert page.complaints == []


def test_it_tells_how_old_pictures_are_by_the_servers_clock(page: Page):
    expect(player(page, "live")).to_be_visible()
    numbers_shown(page, 30)
    statistics = page.evaluate("document.querySelector('live-player').statistics")
    assert statistics["clock"] is not None, "the clocks were not compared"
    assert 0 < statistics["latency"] <= statistics["latencyP90"]
    assert 100 <= statistics["target"] <= 250
    assert statistics["startedAfter"] > 0


def test_it_stands_still_and_goes_on_with_the_present(page: Page):
    expect(player(page, "live")).to_be_visible()
    numbers_shown(page, 3)
    page.keyboard.press(" ")
    expect(player(page, "paused")).to_be_visible()
    page.wait_for_timeout(300)
    still = number_shown(page)
    page.wait_for_timeout(1500)
    assert number_shown(page) == still
    page.keyboard.press(" ")
    expect(player(page, "live")).to_be_visible()
    numbers = numbers_shown(page, 6)
    assert still is not None
    assert numbers[-1] > still + 15
    assert page.complaints == []


def test_a_tile_made_large_gets_the_large_picture_on_the_same_socket(page: Page, running: Running):
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto(f"{running.url}/")
    page.get_by_role("button", name="16", exact=True).click()  # until now it was alone
    page.reload()
    expect(player(page, "live")).to_be_visible()
    numbers_shown(page, 10)
    size = "(({ videoWidth, videoHeight }) => [videoWidth, videoHeight])(document.querySelector('live-player').video)"
    assert page.evaluate(size) == [320, 180]
    sockets.clear()
    page.locator(".spot").first.click()
    page.keyboard.press("Enter")
    for _ in range(200):
        if page.evaluate(size) == [640, 360]:
            break
        page.wait_for_timeout(50)
    assert page.evaluate(size) == [640, 360]
    numbers = numbers_shown(page, 10)
    assert numbers == sorted(numbers)
    assert [url for url in sockets if "/ws/live/" in url] == []
    assert page.complaints == []


def test_figures_are_shown_on_request(page: Page):
    expect(player(page, "live")).to_be_visible()
    figures = page.locator("live-player .statistics")
    expect(figures).to_be_hidden()
    page.locator("live-player").press("i")
    expect(figures).to_contain_text("640 × 360")
    expect(figures).to_contain_text("avc1.64")
    page.locator("live-player").press("i")
    expect(figures).to_be_hidden()


def test_a_camera_that_falls_silent_is_unmissable_and_comes_back(page: Page, running: Running):
    expect(player(page, "live")).to_be_visible()
    before = numbers_shown(page, 3)[-1]
    running.inject("stop-frames", seconds=5)
    expect(player(page, "stalled")).to_be_visible()
    expect(page.locator("live-player[data-stale] .stale")).to_contain_text("stale for")
    assert number_shown(page) is not None  # the last picture stays
    expect(player(page, "live")).to_be_visible(timeout=20_000)
    expect(page.locator("live-player .stale")).to_be_hidden()
    after = numbers_shown(page, 3)
    assert after[-1] > before


def test_a_lost_connection_is_made_again_behind_the_last_picture(page: Page, running: Running):
    expect(player(page, "live")).to_be_visible()
    numbers_shown(page, 3)
    page.evaluate(WATCH_STILL)
    running.call(relay.close_all())
    deadline = time.monotonic() + 15
    seen: list[str] = []
    while not {"still", "live"} <= set(seen):
        assert time.monotonic() < deadline, seen
        page.wait_for_timeout(20)
        seen = page.evaluate("window.seen")
    assert seen[0] == "offline"
    numbers = numbers_shown(page, 6)
    assert numbers == sorted(numbers)
    expect(page.locator("live-player canvas")).to_be_hidden()


def test_a_withdrawn_grant_ends_the_picture_with_a_sentence(page: Page, person: Any):
    expect(player(page, "live")).to_be_visible()
    Grant.objects.filter(user=person.user).delete()
    expect(player(page, "refused")).to_be_visible()
    expect(page.locator("live-player .message")).to_contain_text("gone, or you may no longer see it")


def test_a_device_that_cannot_be_watched_says_why(page: Page, running: Running, camera: Camera):
    expect(player(page, "live")).to_be_visible()
    Device.objects.filter(pk=camera.device_id).update(enabled=False)
    running.call(relay.close_all())
    expect(player(page, "refused")).to_be_visible()
    expect(page.locator("live-player .message")).to_contain_text("is switched off in this system")


def test_somebody_elses_camera_is_not_found(page: Page, running: Running, new_camera: Callable[..., Camera]):
    other = new_camera("Yard")
    answer = page.goto(f"{running.url}/cameras/{other.pk}/")
    assert answer is not None
    assert answer.status == 404
