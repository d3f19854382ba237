"""Many at once, tags and search, probing an address, and a removal that leaves nothing running."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from accounts.models import AuditEntry, Role
from accounts.problems import Problem
from devices import probing, ptz, uids
from devices.models import Camera, Device, Event, Site, Tag
from tests.devices.certificates import make_certificate, serving
from tests.devices.conftest import PASSWORD, USER, Api, Scripted, Simulator, free_port, http

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"family": "povcam", "username": USER, "password": PASSWORD}


def add(admin: Api, host: str, **fields: object) -> int:
    status, device = admin("POST", "devices", BODY | {"host": host} | fields)
    assert status == 201, device
    return int(device["id"])


def names(admin: Api, query: str) -> list[str]:
    status, page = admin("GET", f"devices?{query}")
    assert status == 200
    return [device["name"] for device in page["results"]]


def test_devices_are_found_by_what_is_known_of_them(admin: Api) -> None:
    for site in ("Main site", "South"):
        Site.objects.create(name=site)
    add(admin, "10.0.0.1", name="Gate", tags=["outside", "night  shift", "outside"])
    add(admin, "10.0.0.2", name="Hall", site="South", enabled=False)
    Device.objects.filter(name="Hall").update(serial="L6TQD0048", state="offline")
    assert names(admin, "search=gate") == ["Gate"]
    assert names(admin, "search=10.0.0") == ["Gate", "Hall"]
    assert names(admin, "search=l6tq%20south") == ["Hall"]
    assert names(admin, "search=night") == ["Gate"]
    assert names(admin, "tag=outside") == ["Gate"]
    assert names(admin, "state=offline") == ["Hall"]
    assert names(admin, "enabled=true&family=povcam") == ["Gate"]
    assert names(admin, f"site={Site.objects.get(name='South').pk}") == ["Hall"]
    assert admin("GET", "devices?search=gate")[1]["results"][0]["tags"] == ["night shift", "outside"]
    assert [tag["name"] for tag in admin("GET", "tags")[1]["results"]] == ["night shift", "outside"]
    assert admin("GET", "devices?site=x")[0] == 400


def test_tags_are_changed_and_the_last_use_of_one_ends_it(admin: Api) -> None:
    device = add(admin, "10.0.0.1", tags=["a", "b"])
    assert admin("PATCH", f"devices/{device}", {"tags": ["b", "c"]})[1]["tags"] == ["b", "c"]
    assert AuditEntry.objects.filter(action="change device").latest("pk").detail == {
        "changed": {"tags": ["a, b", "b, c"]}
    }
    assert set(Tag.objects.values_list("name", flat=True)) == {"b", "c"}
    for bad in (["x" * 41], ["a,b"], ["\u0007"], [str(n) for n in range(21)], [1], "a"):
        assert admin("PATCH", f"devices/{device}", {"tags": bad})[0] == 400


def test_rows_of_many_are_changed_at_once(admin: Api, api_of: Callable[..., Api]) -> None:
    ids = [add(admin, f"10.0.0.{n}") for n in range(3)]
    status, done = admin("POST", "devices/bulk", {"devices": [*ids, 999], "action": "disable"})
    assert status == 200
    assert [each["ok"] for each in done["results"]] == [True, True, True, False]
    assert done["results"][3]["error"] == "There is no such device."
    assert not Device.objects.filter(enabled=True).exists()
    Site.objects.create(name="South")
    admin("POST", "devices/bulk", {"devices": ids, "action": "move", "site": "South"})
    assert set(Device.objects.values_list("site__name", flat=True)) == {"South"}
    admin("POST", "devices/bulk", {"devices": ids, "action": "tag", "tags": ["a", "b"]})
    admin("POST", "devices/bulk", {"devices": ids[:1], "action": "untag", "tags": ["a"]})
    assert names(admin, "tag=a") == ["10.0.0.1", "10.0.0.2"]
    _, done = admin("POST", "devices/bulk", {"devices": ids, "action": "move", "site": "Nowhere"})
    assert {each["error"] for each in done["results"]} == {"There is no site Nowhere."}
    assert api_of(Role.OPERATOR)("POST", "devices/bulk", {"devices": ids, "action": "enable"})[0] == 403
    other = api_of(Role.ADMIN, Site.objects.create(name="East"))
    assert [
        each["ok"] for each in other("POST", "devices/bulk", {"devices": ids, "action": "enable"})[1]["results"]
    ] == [False] * 3


@pytest.mark.parametrize(
    "body",
    [
        {"devices": [], "action": "enable"},
        {"devices": [1], "action": "explode"},
        {"devices": list(range(1001)), "action": "enable"},
        {"devices": list(range(201)), "action": "poll"},
        {"devices": [1], "action": "move"},
        {"devices": [1], "action": "tag"},
        {"devices": [1], "action": "set_ntp"},
        {"devices": [1], "action": "set_ntp", "server": "a b"},
        {"devices": ["1"], "action": "enable"},
    ],
)
def test_what_makes_no_sense_for_many_is_refused(admin: Api, body: dict[str, object]) -> None:
    assert admin("POST", "devices/bulk", body)[0] == 400


def test_many_are_asked_at_once(admin: Api, simulator: Simulator) -> None:
    here = add(admin, "127.0.0.1", port=simulator.port)
    away = add(admin, "127.0.0.1", port=free_port())
    for action, more in (("poll", {}), ("set_clock", {}), ("set_ntp", {"server": "192.168.0.1"})):
        _, done = admin("POST", "devices/bulk", {"devices": [here, away], "action": action} | more)
        assert [each["ok"] for each in done["results"]] == [True, False], (action, done)
        assert "Nothing answers" in done["results"][1]["error"]
    _, ntp = admin("GET", f"devices/{here}/settings/ntp")
    assert ntp["values"]["ntp_addr"] == "192.168.0.1"
    assert {"set clock", "set time server"} <= set(AuditEntry.objects.values_list("action", flat=True))
    assert simulator.violations == []


# --- Probing ----------------------------------------------------------------------------------------------------------
def test_an_address_is_probed(admin: Api, simulator: Simulator) -> None:
    body = {"host": "127.0.0.1", "port": simulator.port, "username": USER, "password": PASSWORD}
    status, found = admin("POST", "devices/probe", body)
    assert status == 200, found
    assert found["family"] == "povcam"
    assert found["model"].startswith("AG-")
    assert [camera["number"] for camera in found["cameras"]] == [1]
    assert "ptz" in found["capabilities"]
    assert found["device"] is None
    assert not Device.objects.exists()
    ours = add(admin, "127.0.0.1", port=simulator.port)
    assert admin("POST", "devices/probe", body)[1]["device"] == ours


@pytest.mark.parametrize("family", ["povcam", "ipro", "ipcam", "hama"])
def test_a_probe_tells_the_family(admin: Api, start_simulator: Callable[..., Simulator], family: str) -> None:
    simulator = start_simulator(family=family, password="abc12345")
    body = {"host": "127.0.0.1", "port": simulator.port, "username": USER, "password": "abc12345"}
    status, found = admin("POST", "devices/probe", body)
    assert (status, found.get("family")) == (200, family), found
    assert found["cameras"]


def probing_body(simulator: Simulator, **more: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": simulator.port, "username": USER, "password": "abc12345", **more}


@pytest.mark.parametrize("family", ["povcam", "ipro", "ipcam", "hama"])
def test_a_device_whose_family_is_said_is_asked_in_its_way_only(
    admin: Api, start_simulator: Callable[..., Simulator], family: str
) -> None:
    simulator = start_simulator(family=family, password="abc12345")
    assert admin("POST", "devices/probe", probing_body(simulator, family=family))[0] == 200
    assert simulator.violations == []
    assert "/" not in simulator.targets, "there was nothing to find out"


@pytest.mark.parametrize("family", ["povcam", "ipcam", "hama"])
def test_a_home_page_that_tells_the_family_spares_the_device_all_others(
    admin: Api, start_simulator: Callable[..., Simulator], family: str
) -> None:
    simulator = start_simulator(family=family, password="abc12345")
    assert admin("POST", "devices/probe", probing_body(simulator))[1]["family"] == family
    assert simulator.violations == []


def test_a_recorder_that_tells_nothing_is_asked_one_thing_too_much(
    admin: Api, start_simulator: Callable[..., Simulator]
) -> None:
    simulator = start_simulator(family="ipro", password="abc12345")
    assert admin("POST", "devices/probe", probing_body(simulator))[1]["family"] == "ipro"
    assert len([each for each in simulator.violations if each["kind"] == "unknown_command"]) <= 1
    assert len(simulator.violations) <= 1, simulator.violations


@pytest.mark.parametrize(
    ("head", "body", "first"),
    [
        ("Server: GoAhead-Webs", "", "/camera-cgi/admin/param.cgi"),
        ("server: Camera Web Server/1.0", "", "/isystem.cgi"),
        ('WWW-Authenticate: Digest realm="Network disk recorder", nonce="a"', "", "/cgi-bin/as_getinfo.cgi"),
        ("X: y", "<title>Network Disk Recorder WJ-NX400</title>", "/cgi-bin/as_getinfo.cgi"),
        ("Location: http://192.0.2.66/", "", "/cgi-bin/getinfo"),
    ],
)
async def test_what_the_home_page_says_decides_who_is_asked_first(
    scripted: Scripted, head: str, body: str, first: str
) -> None:
    scripted.answers = [http(401 if "WWW" in head else 200, body, head), http(404)]
    given = {"host": "127.0.0.1", "port": scripted.port, "username": "ADMIN", "password": "secret-of-it"}
    with pytest.raises(Problem):
        await probing.probe(None, given)
    home, *others = scripted.requests
    assert home.startswith(b"GET / HTTP/1.1\r\n")
    assert b"authorization" not in home.lower(), "nothing secret goes to who is not known yet"
    assert others[0].split()[1].decode().startswith(first)
    assert all(b"secret-of-it" not in each for each in scripted.requests)
    assert not any(b"192.0.2.66" in each for each in scripted.requests), "no redirect is followed"


@dataclass
class Securing:
    port: int
    in_plain_text: list[bytes]


@contextlib.contextmanager
def securing(path: Path, to: int, *, alert: bool = True, port: int = 0) -> Iterator[Securing]:
    """Whoever begins a conversation in plain text is answered with an alert and closed, or just closed."""
    plain: list[bytes] = []
    context = serving(path)
    listening = socket.create_server(("127.0.0.1", port))

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if client.recv(1, socket.MSG_PEEK) != b"\x16":
                plain.append(client.recv(65536))
                if alert:
                    client.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
                return
            with context.wrap_socket(client, server_side=True) as secured:
                asked = secured.recv(65536)
                with socket.create_connection(("127.0.0.1", to), 10) as device:
                    device.sendall(asked)
                    while piece := device.recv(65536):
                        secured.sendall(piece)
                        if b"Connection: keep-alive" in piece:
                            return

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                client.settimeout(10)
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield Securing(listening.getsockname()[1], plain)
    listening.close()


@pytest.fixture
def start_securing(tmp_path: Path) -> Iterator[Callable[..., Securing]]:
    """Puts HTTPS before a simulated device; HTTP gets TLS's alert there, or a closed connection."""
    path = make_certificate(tmp_path, "recorder")
    with contextlib.ExitStack() as stack:
        yield lambda port, **how: stack.enter_context(securing(path, port, **how))


@pytest.mark.parametrize("alert", [True, False])
@pytest.mark.parametrize("family", ["", "ipro"])
def test_a_recorder_that_speaks_https_alone_is_found(
    admin: Api,
    start_simulator: Callable[..., Simulator],
    start_securing: Callable[..., Securing],
    alert: bool,
    family: str,
) -> None:
    simulator = start_simulator(family="ipro", password="abc12345")
    secured = start_securing(simulator.port, alert=alert)
    body = {**probing_body(simulator, **({"family": family} if family else {})), "port": secured.port}
    status, found = admin("POST", "devices/probe", body)
    assert (status, found.get("family"), found.get("scheme")) == (200, "ipro", "https"), found
    assert simulator.violations == []
    assert secured.in_plain_text
    assert all(b"uthorization" not in each and b"abc12345" not in each for each in secured.in_plain_text)
    assert family or [each.split(b"\r\n")[0] for each in secured.in_plain_text] == [b"GET / HTTP/1.1"]
    status, _ = admin("POST", "devices/probe", body | {"scheme": "http"})
    assert status == 422, "who says http means it"


async def test_port_443_is_https(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    async def noted(by: object, given: dict[str, Any], **how: Any) -> None:
        asked.append(given)

    monkeypatch.setattr(probing, "_probe", noted)
    await probing.probe(None, {"host": "192.0.2.1", "port": 443})
    assert [each["scheme"] for each in asked] == ["https"]


@pytest.mark.parametrize("family", ["povcam", "ipro", "ipcam", "hama"])
def test_a_wrong_password_is_told_by_the_probe(
    admin: Api, start_simulator: Callable[..., Simulator], family: str
) -> None:
    simulator = start_simulator(family=family, password="abc12345")
    status, error = admin("POST", "devices/probe", probing_body(simulator, family=family, password="wrong123"))
    assert status == 409, error
    assert "user name and password" in error["error"]


def test_a_probe_says_what_is_wrong(admin: Api, simulator: Simulator) -> None:
    body = {"host": "127.0.0.1", "port": simulator.port, "username": USER}
    assert admin("POST", "devices/probe", body | {"password": "wrong"})[0] == 409
    assert admin("POST", "devices/probe", body | {"port": free_port()})[0] == 504
    assert admin("POST", "devices/probe", body | {"host": "a b"})[1]["field"] == "host"
    assert admin("POST", "devices/probe", body | {"family": "betamax"})[1]["field"] == "family"


def test_what_is_of_no_family_is_said(admin: Api, simulator: Simulator) -> None:
    simulator.side_door("fault", {"kind": "status", "status": 404, "path": ""})
    body = {"host": "127.0.0.1", "port": simulator.port, "username": USER, "password": PASSWORD, "family": "povcam"}
    status, error = admin("POST", "devices/probe", body)
    assert status == 422
    assert "not as Panasonic POVCAM does" in error["error"]


# --- Removing ---------------------------------------------------------------------------------------------------------
def test_a_removed_device_is_told_to_stop_and_its_places_are_given_back(admin: Api, simulator: Simulator) -> None:
    device = add(admin, "127.0.0.1", port=simulator.port, name="Gate")
    camera = Camera.objects.create(device_id=device, name="Gate")
    lease = uids.UidLease(device=device, uid="77", mode="h264", port=40000, keep_alive_seconds=30)
    async_to_sync(uids.hold)(lease)
    assert admin("POST", f"cameras/{camera.pk}/ptz", {"zoom": 1})[0] == 204
    assert admin("DELETE", f"devices/{device}")[0] == 204
    assert simulator.side_door("state")["state"]["head"]["zoom_speed"] == 0
    assert any("connect=stop" in target and "UID=77" in target for target in simulator.targets)
    assert async_to_sync(uids.leases)() == []
    assert ptz.overdue() == []
    event = Event.objects.get(type="device.removed")
    assert (event.device, event.text) == (None, "Gate was removed.")


def test_a_device_that_is_away_is_removed_all_the_same(admin: Api) -> None:
    device = add(admin, "127.0.0.1", port=free_port())
    lease = uids.UidLease(device=device, uid="77", mode="h264", port=40000, keep_alive_seconds=30)
    async_to_sync(uids.hold)(lease)
    assert admin("DELETE", f"devices/{device}")[0] == 204
    assert not Device.objects.exists()
    assert async_to_sync(uids.leases)() == []


def test_events_move_with_their_device(admin: Api) -> None:
    device = add(admin, "10.0.0.1", name="Gate")
    Site.objects.create(name="South")
    assert admin("PATCH", f"devices/{device}", {"site": "South"})[0] == 200
    assert set(Event.objects.values_list("site__name", flat=True)) == {"South"}


@pytest.fixture(autouse=True)
def _redis(redis_client: object) -> None:
    """Every test here needs one."""
