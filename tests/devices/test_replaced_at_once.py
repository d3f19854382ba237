"""Another device is put behind an address between two looks: what is changed next reaches nobody, and all are told."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync, sync_to_async

from devices import events, ptz, trust
from devices.errors import Replaced
from devices.models import Camera, Device, Event, Site, Snapshot, State
from tests.devices.conftest import USER, Api, Simulator, free_port, start_simulators, unsaved_device

pytestmark = pytest.mark.django_db(transaction=True)

WORD = "abc12345"
# A change of settings in each family, and a command of the console.
CHANGES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "povcam": ("basic", {"cam_title": "Stranger"}, "set_basic", {"cam_title": "Stranger"}),
    "ipcam": ("image", {"FrameRate": "5"}, "set_image", {"FrameRate": "5"}),
    "hama": ("flip", {"enet_avs_flip_mode": "3"}, "set_flip_mode", {"enet_avs_flip_mode": "3"}),
}
SPEEDS = {"povcam": {"zoom": 1}, "ipcam": {"pan": 1}, "hama": {"pan": 1}}


@pytest.fixture
def place() -> Iterator[Callable[..., Simulator]]:
    """Puts a simulated device behind a port, in place of the one that was there."""
    there: dict[int, Simulator] = {}
    with start_simulators() as start:

        def put(family: str, port: int, seed: int) -> Simulator:
            if old := there.pop(port, None):
                old.process.terminate()
                old.process.wait(10)
            there[port] = start(family=family, port=port, password=WORD, seed=seed)
            return there[port]

        yield put


@pytest.fixture
def added(admin: Api) -> Callable[..., Device]:
    def add(family: str, port: int) -> Device:
        body = {"name": "Gate", "family": family, "host": "127.0.0.1", "port": port}
        status, row = admin("POST", "devices", body | {"username": USER, "password": WORD})
        assert status == 201, row
        assert admin("POST", f"devices/{row['id']}/poll")[0] == 200
        return Device.objects.get()

    return add


def heard(client: "redis.client.PubSub") -> list[dict[str, Any]]:
    found = []
    while (message := client.get_message(timeout=0.2)) is not None:
        if message["type"] == "message":
            found.append(json.loads(message["data"]))
    return found


def reads_only(simulator: Simulator, family: str) -> bool:
    """Are all that it was asked reads of its document?"""
    changing = {"povcam": ("/set_", "/camctrl", "/sdctrl", "/initial", "/rec"), "ipcam": ("?",), "hama": ("/form/",)}
    return not any(word in target for target in simulator.targets for word in changing[family])


LACKS = {"povcam": {"password"}, "ipcam": set(), "hama": {"password", "restart", "bulk"}}


@pytest.mark.parametrize("family", ["povcam", "ipcam", "hama"])
def test_nothing_is_written_to_a_stranger(
    admin: Api,
    added: Callable[..., Device],
    place: Callable[..., Simulator],
    redis_client: redis.Redis,
    family: str,
) -> None:
    port = free_port()
    place(family, port, 7)
    device = added(family, port)
    assert device.mac or device.serial
    group, values, command, params = CHANGES[family]
    path = f"devices/{device.pk}"
    snapshot = Snapshot.objects.create(device=device, kind="manual", values={group: values})
    stranger = place(family, port, 8)
    bodies: dict[str, tuple[str, str, Any]] = {
        "settings": ("PUT", f"{path}/settings/{group}", {"values": values, "confirm": True}),
        "command": ("POST", f"{path}/commands/{command}", {"params": params, "confirm": True}),
        "ptz": ("POST", f"cameras/{Camera.objects.get().pk}/ptz", SPEEDS[family]),
        "password": ("POST", f"{path}/password", {"password": "new12345"}),
        "restart": ("POST", f"{path}/restart", {"confirm": True}),
        "bulk": ("POST", "devices/bulk", {"devices": [device.pk], "action": "set_ntp", "server": "192.0.2.1"}),
        "restore": ("POST", f"{path}/snapshots/{snapshot.pk}/restore", {"confirm": True}),
    }
    for what, body in bodies.items():
        if what in LACKS[family]:
            continue
        Device.objects.update(state=State.ONLINE, last_error="")  # the polling has not noticed
        Event.objects.all().delete()
        with redis_client.pubsub(ignore_subscribe_messages=True) as listener:  # type: ignore[no-untyped-call]
            listener.subscribe(events.CHANNEL)
            listener.get_message(timeout=1)
            status, answer = admin(*body)
            told = heard(listener)
        if what == "bulk":
            answer = answer["results"][0]
        device.refresh_from_db()
        assert stranger.violations == []
        assert reads_only(stranger, family), (what, stranger.targets)
        assert (status, "Another device answers" in answer["error"]) == (200 if what == "bulk" else 409, True), answer
        if what != "restore":  # which is refused already when it reads how the device is
            assert (device.state, "Another device answers" in device.last_error) == (State.REPLACED, True)
            assert [each["state"] for each in told if each["type"] == "device.state"] == ["replaced"]
            assert Event.objects.get(type="device.state").detail["state"] == "replaced"
            assert admin(*bodies["settings"])[0] == 409, "and it stays so"
            assert Event.objects.count() == 1
    place(family, port, 7)  # the device we know is back
    assert admin("POST", f"{path}/poll")[0] == 200
    assert admin(*bodies["settings"])[0] == 200


def asked(simulator: Simulator, *words: str) -> list[str]:
    return [target for target in simulator.targets if any(word in target for word in words)]


@pytest.mark.parametrize(
    ("family", "mark"),
    [("povcam", "/cgi-bin/getinfo"), ("ipcam", "/isystem.cgi"), ("hama", "Network.Interface.I0.Active.MACAddress")],
)
def test_a_change_costs_one_read(
    admin: Api, added: Callable[..., Device], place: Callable[..., Simulator], family: str, mark: str
) -> None:
    port = free_port()
    simulator = place(family, port, 7)
    device = added(family, port)
    group, values, *_ = CHANGES[family]
    before = len(asked(simulator, mark))
    assert admin("PUT", f"devices/{device.pk}/settings/{group}", {"values": values})[0] == 200
    assert len(asked(simulator, mark)) == before + 1
    assert simulator.violations == []


def test_a_hold_is_confirmed_once_and_anew_after_a_pause(
    admin: Api,
    added: Callable[..., Device],
    place: Callable[..., Simulator],
    redis_client: redis.Redis,
) -> None:
    port = free_port()
    simulator = place("povcam", port, 7)
    added("povcam", port)
    path = f"cameras/{Camera.objects.get().pk}/ptz"
    before = len(asked(simulator, "/getinfo"))
    for zoom in (0.2, 0.6, 1, 0):
        assert admin("POST", path, {"zoom": zoom})[0] == 204
    assert len(asked(simulator, "/getinfo")) == before + 1
    confirmed = next(iter(redis_client.scan_iter("vms:confirmed:*")))
    redis_client.pexpire(confirmed, int(1000 * (trust.STOP_SECONDS - trust.STEERING_SECONDS)) - 1)  # so much later
    assert admin("POST", path, {"zoom": 0})[0] == 204
    assert len(asked(simulator, "/getinfo")) == before + 1, "a stop does not wait for it"
    assert admin("POST", path, {"zoom": 1})[0] == 204
    assert len(asked(simulator, "/getinfo")) == before + 2
    async_to_sync(ptz.stop)(Camera.objects.select_related("device").get())
    assert simulator.violations == []


def test_a_recorder_that_tells_no_identity_is_asked_nothing_more(
    admin: Api, added: Callable[..., Device], place: Callable[..., Simulator]
) -> None:
    port = free_port()
    simulator = place("ipro", port, 7)
    device = added("ipro", port)
    assert (device.mac, device.serial) == (None, None)
    camera = Camera.objects.first()
    assert camera is not None
    before = len(simulator.targets)
    assert admin("POST", f"cameras/{camera.pk}/focus", {"mode": "near"})[0] == 204
    sent = simulator.targets[before:]
    assert all("/cgi-bin/" in target for target in sent)
    assert not any("getinfo" in target and "login" not in target for target in sent[1:]), sent
    assert simulator.violations == []


def test_a_device_that_was_never_asked_who_it_is_passes(admin: Api, saved_device: Device, simulator: Simulator) -> None:
    values = {"values": {"cam_title": "New"}}
    assert admin("PUT", f"devices/{saved_device.pk}/settings/basic", values)[0] == 200
    assert asked(simulator, "/getinfo") == []


def test_one_that_no_longer_tells_who_it_is_gets_nothing(
    admin: Api, saved_device: Device, simulator: Simulator
) -> None:
    Device.objects.update(mac="00:80:45:01:02:03", state=State.ONLINE)
    simulator.side_door("fault", {"kind": "status", "status": 404, "path": "/cgi-bin/getinfo"})
    status, answer = admin("PUT", f"devices/{saved_device.pk}/settings/basic", {"values": {"cam_title": "New"}})
    assert status == 422, answer
    assert asked(simulator, "/set_basic") == []
    assert Device.objects.get().state == State.ONLINE, "which does not say that it is another one"


@pytest.mark.usefixtures("redis_client")
async def test_who_knew_the_device_before_it_was_accepted_marks_nothing() -> None:
    """The row has another MAC address by then, or none."""
    stale = await sync_to_async(_row)()
    await Device.objects.aupdate(mac=None, state=State.UNKNOWN)

    async def marks() -> tuple[str | None, str | None]:
        return "00:80:45:09:09:09", None

    with pytest.raises(Replaced):
        await trust.confirm(stale, marks, within=2)
    assert (await Device.objects.aget()).state == State.UNKNOWN
    assert not await Event.objects.aexists()


def _row() -> Device:
    row = unsaved_device(80, mac="00:80:45:01:02:03")
    row.pk = None
    row.site = Site.objects.create(name="Yard")
    row.save()
    return row
