"""One simulated recorder, polled, its H.264 asked for by CGI, received as RTP, relayed, and seen in a browser."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.conftest import ADMIN_PASSWORD
from vms.bench.product import Product

pytestmark = pytest.mark.running
PATIENCE = 60.0

# The lowest twelfth of the picture is 32 blocks, black or white: 8 bits seed, 16 bits frame number, 8 bits CRC-8.
READ_STRIP = """
(player) => {
  const video = player.shadowRoot.querySelector("video");
  if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const y = Math.floor(canvas.height * 23 / 24);
  let bits = "";
  for (let i = 0; i < 32; i++) {
    const x = Math.floor((i + 0.5) / 32 * canvas.width);
    const [r, g, b] = context.getImageData(x, y, 1, 1).data;
    bits += (r + g + b) / 3 > 128 ? "1" : "0";
  }
  return bits;
}
"""


def strip(bits: str | None) -> tuple[int, int] | None:
    """(seed, frame) of what the browser shows; None where the checksum does not agree."""
    if bits is None:
        return None
    number = int(bits, 2)
    seed, frame, told = number >> 24, number >> 8 & 0xFFFF, number & 0xFF
    crc = 0xFF
    for byte in (number >> 8).to_bytes(3, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return (seed, frame) if crc == told else None


@pytest.fixture(scope="module")
def headers(product: Product) -> dict[str, str]:
    made = product.manage("apitoken", "admin")
    assert made.returncode == 0, made.stderr
    assert made.stdout.count("\n") == 1
    return {"Authorization": f"Bearer {made.stdout.strip()}"}


def api(product: Product, headers: dict[str, str], path: str) -> Any:
    answer = httpx.get(f"{product.url}/api/v1/{path}", headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def cameras(product: Product, headers: dict[str, str]) -> list[dict[str, Any]]:
    """The demo fleet's cameras, once polling has found them."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        devices = api(product, headers, "devices")["results"]
        if devices and all(device["state"] == "online" for device in devices):
            found: list[dict[str, Any]] = api(product, headers, "cameras")["results"]
            return found
        time.sleep(0.2)
    pytest.fail(f"the demo fleet was not polled: {devices}")


def live(product: Product, headers: dict[str, str], camera: int, query: str = "codecs=avc1") -> ClientConnection:
    address = f"{product.url.replace('http', 'ws', 1)}/ws/live/{camera}/?{query}"
    return connect(address, additional_headers=headers, max_size=None)


def fragments(socket: ClientConnection, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        message = socket.recv(timeout=PATIENCE)
        if isinstance(message, bytes):
            found.append(message)
    return found


def close_code(socket: ClientConnection) -> int:
    """Take what still comes until the server closes; its code."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=PATIENCE)
    assert socket.close_code is not None
    return socket.close_code


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def test_polling_tells_what_the_devices_are(
    product: Product, headers: dict[str, str], cameras: list[dict[str, Any]]
) -> None:
    devices = api(product, headers, "devices")["results"]
    assert {device["family"] for device in devices} == {"povcam", "ipro", "ipcam", "hama"}
    assert len(cameras) == 2 + 8 + 1 + 1
    for device in devices:
        assert "password" not in device
        if device["family"] == "povcam":
            assert device["model"]
            assert device["serial"]
            assert device["firmware"]


@pytest.mark.browser
def test_the_picture_plays_in_a_browser_behind_sign_in(
    product: Product, cameras: list[dict[str, Any]], page: Page
) -> None:
    camera = cameras[0]
    page.goto(f"{product.url}/cameras/{camera['id']}/")
    expect(page).to_have_title(re.compile("Sign in"))
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type(ADMIN_PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{product.url}/cameras/{camera['id']}/")
    player = page.locator("live-player")
    expect(player).to_have_attribute("data-state", "live", timeout=20_000)

    seen: list[tuple[int, int]] = []
    deadline = time.monotonic() + PATIENCE
    while len(seen) < 20 and time.monotonic() < deadline:
        now = strip(player.evaluate(READ_STRIP))
        if now is not None and now not in seen:
            seen.append(now)
        page.wait_for_timeout(60)
    assert len(seen) == 20, f"read from the playing picture: {seen}"
    assert len({seed for seed, _ in seen}) == 1, "all pictures are of one camera"
    numbers = [frame for _, frame in seen]
    assert numbers == sorted(numbers), "in order"


def test_a_picture_goes_on_while_redis_hangs(
    product: Product, headers: dict[str, str], cameras: list[dict[str, Any]]
) -> None:
    with live(product, headers, cameras[0]["id"]) as socket:
        fragments(socket, 10)
        redis = product.children()["redis"]
        os.kill(redis, signal.SIGSTOP)
        try:
            deadline = time.monotonic() + 8
            counted = 0
            while time.monotonic() < deadline:
                counted += len(fragments(socket, 1))
            # Nothing about speed: only that pictures came to the end of a hang longer than every deadline of ours.
            assert counted > 20
            answer = httpx.get(f"{product.url}/readyz", timeout=20)
            assert answer.status_code == 503
        finally:
            os.kill(redis, signal.SIGCONT)
        fragments(socket, 30)


def test_a_picture_comes_back_by_itself_after_the_web_process_was_killed(
    product: Product, headers: dict[str, str], cameras: list[dict[str, Any]]
) -> None:
    with live(product, headers, cameras[0]["id"]) as socket:
        fragments(socket, 5)
        os.kill(product.children()["web"], signal.SIGKILL)
        with contextlib.suppress(ConnectionClosed, EOFError):
            while True:
                socket.recv(timeout=PATIENCE)
    with live(product, headers, cameras[0]["id"]) as socket:
        fragments(socket, 5)


def test_a_withdrawn_grant_ends_the_picture(
    product: Product, headers: dict[str, str], cameras: list[dict[str, Any]]
) -> None:
    base = f"{product.url}/api/v1"
    body = {
        "username": "guard",
        "password": "a long enough one",
        "role": "viewer",
        "grants": [{"camera": cameras[0]["id"]}],
    }
    made = httpx.post(f"{base}/users", json=body, headers=headers, timeout=20)
    assert made.status_code in (200, 201), made.text
    token = product.manage("apitoken", "guard").stdout.strip()
    guard = {"Authorization": f"Bearer {token}"}
    assert [each["id"] for each in api(product, guard, "cameras")["results"]] == [cameras[0]["id"]]
    with live(product, guard, cameras[0]["id"]) as socket:
        fragments(socket, 5)
        changed = httpx.patch(f"{base}/users/{made.json()['id']}", json={"grants": []}, headers=headers, timeout=20)
        assert changed.status_code == 200, changed.text
        assert close_code(socket) == 4404
    assert httpx.get(f"{base}/cameras/{cameras[0]['id']}", headers=guard, timeout=20).status_code == 404


def test_a_camera_that_is_not_yours_does_not_exist(
    product: Product, headers: dict[str, str], cameras: list[dict[str, Any]]
) -> None:
    for camera in (cameras[0]["id"], 999_999):
        token = product.manage("apitoken", "guard").stdout.strip()
        with live(product, {"Authorization": f"Bearer {token}"}, camera) as socket:
            assert close_code(socket) == 4404


def test_no_secret_is_in_the_log(product: Product, headers: dict[str, str]) -> None:
    import json

    secrets = [device["password"] for device in json.loads((product.data / "demo.json").read_text())["devices"]]
    secrets += [ADMIN_PASSWORD, headers["Authorization"].split()[1]]
    assert all(secrets)
    assert [secret for secret in secrets if secret in product.log] == []
