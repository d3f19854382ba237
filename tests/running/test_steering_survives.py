"""A movement ends although the web process that began it was killed, and when the whole product ends."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.devices.conftest import PASSWORD, USER, Simulator, start_simulators
from vms.bench.product import Product

pytestmark = pytest.mark.running
PATIENCE = 60.0


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with start_simulators() as start:
        yield start()


def until(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if found := holds():
                return found
        except (OSError, httpx.HTTPError):
            pass  # the simulator, or the web process, is still starting
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def zoom_speed(simulator: Simulator) -> int:
    return int(simulator.side_door("state")["state"]["head"]["zoom_speed"])


def test_a_killed_web_process_leaves_no_camera_moving(product: Product, simulator: Simulator) -> None:
    token = product.manage("apitoken", "admin").stdout.strip()
    api = httpx.Client(base_url=f"{product.url}/api/v1/", headers={"Authorization": f"Bearer {token}"}, timeout=20)
    until(lambda: zoom_speed(simulator) == 0, "the simulator did not start")
    body = {"family": "povcam", "host": "127.0.0.1", "port": simulator.port, "username": USER, "password": PASSWORD}
    device = api.post("devices", json=body)
    assert device.status_code == 201, device.text

    def camera() -> int | None:
        found = [each["id"] for each in api.get("cameras").json()["results"] if each["device"] == device.json()["id"]]
        return found[0] if found else None

    camera_id = until(camera, "the device was never looked at")
    assert api.post(f"cameras/{camera_id}/ptz", json={"zoom": 1}).status_code == 204
    assert zoom_speed(simulator) > 0
    os.kill(product.children()["web"], signal.SIGKILL)
    until(lambda: zoom_speed(simulator) == 0, "it went on moving")

    until(lambda: api.get("cameras").status_code == 200, "the web process did not come back")
    assert api.post(f"cameras/{camera_id}/ptz", json={"zoom": -1}).status_code == 204
    assert zoom_speed(simulator) < 0
    product.stop()
    assert zoom_speed(simulator) == 0, "the product that ends stops what it moves"
