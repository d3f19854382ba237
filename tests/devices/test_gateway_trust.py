"""Is it still the device we know? A certificate that changes, and another device at the address."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts.models import AuditEntry
from accounts.problems import Problem
from devices import events, exchanges, fleet, loop, polling, trust
from devices.cgi import Access, Command, Kind
from devices.errors import CertificateChanged, DeviceError, NoAnswer, Replaced, Unauthorised
from devices.families.base import Health, Identity
from devices.gateway import Gateway
from devices.models import Device, Site, State
from devices.polling import Memory, Outcome, look, state_after, store
from tests.devices.certificates import fingerprint, make_certificate, serving
from tests.devices.conftest import Scripted, http, unsaved_device


def command(kind: Kind = Kind.READ) -> Command:
    return Command(id="x", section="1", path="/x", methods=("GET",), access=Access.LIVE, kind=kind)


@asynccontextmanager
async def secured(path: Path, port: int = 0) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A device with this certificate; what it is sent is kept."""
    got: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            got.append(request)
            challenged = b"Authorization" not in request
            writer.write(http(401, "", 'WWW-Authenticate: Basic realm="x"') if challenged else http(200, "a=1"))
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", port, ssl=serving(path)) as server:
        yield server.sockets[0].getsockname()[1], got


def save(port: int, **fields: Any) -> Device:
    row = unsaved_device(port, scheme="https", **{"options": {"tls": "pin"}} | fields)
    row.pk = None
    row.site, _ = Site.objects.get_or_create(name="Yard")
    row.save()
    return row


def told(client: "redis.client.PubSub") -> list[dict[str, Any]]:
    found = []
    while (message := client.get_message(timeout=0.1)) is not None:
        if message["type"] == "message":
            found.append(json.loads(message["data"]))
    return found


@pytest.fixture
def listener(redis_client: "redis.Redis") -> "redis.client.PubSub":
    client = redis_client.pubsub()
    client.subscribe(events.CHANNEL)
    client.get_message(timeout=1)
    return client


# --- Certificates -----------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
async def test_the_first_certificate_is_remembered_and_another_one_gets_nothing(
    tmp_path: Path, listener: "redis.client.PubSub"
) -> None:
    first, second = make_certificate(tmp_path, "first"), make_certificate(tmp_path, "second")
    async with secured(first) as (port, _):
        row = await sync_to_async(save)(port)
        assert (await Gateway(row).ask(command())).text == "a=1"
        await row.arefresh_from_db()
        assert row.certificate == fingerprint(first)

    async with secured(second, port) as (_, got):
        for _ in range(3):
            with pytest.raises(CertificateChanged, match="nothing was sent") as caught:
                await Gateway(row).ask(command(Kind.WRITE))
        assert got == []
        assert caught.value.status == 409
        await row.arefresh_from_db()
        assert (row.certificate, row.certificate_offered) == (fingerprint(first), fingerprint(second))
        entry = await AuditEntry.objects.aget(action="certificate changed")
        assert (entry.result, entry.thing_id) == ("refused", str(row.pk))
        kept = await sync_to_async(exchanges.recent)(row.pk)
        assert "has changed" in kept[0].error

        stale = await Device.objects.aget(pk=row.pk)
        await sync_to_async(trust.trust_new_certificate)(None, row)
        assert (await Gateway(stale).ask(command())).text == "a=1", "also for who read the row before"
        assert (row.certificate, row.certificate_offered) == (fingerprint(second), "")
        assert await AuditEntry.objects.filter(action="trust certificate").acount() == 1

    events_told = [each for each in told(listener) if each["type"] == "device.certificate_changed"]
    assert [each["device"] for each in events_told] == [row.pk], "told once, not with every look"


@pytest.mark.django_db(transaction=True)
async def test_processes_that_meet_a_device_at_once_agree_on_its_certificate(
    tmp_path: Path, redis_client: "redis.Redis"
) -> None:
    path = make_certificate(tmp_path, "only")
    async with secured(path) as (port, _):
        row = await sync_to_async(save)(port)
        copies = [await Device.objects.aget(pk=row.pk) for _ in range(4)]
        await asyncio.gather(*(Gateway(each).ask(command()) for each in copies))
    assert {each.certificate for each in copies} == {fingerprint(path)}
    assert not await AuditEntry.objects.aexists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_pins_too(tmp_path: Path, redis_client: "redis.Redis") -> None:
    """Polling runs on a loop in a thread of its own, with no event loop around it."""
    path = make_certificate(tmp_path, "only")
    row = save(1)

    async def meet() -> None:
        async with secured(path) as (port, _):
            row.port = port
            await sync_to_async(row.save)()
            await Gateway(row).ask(command())

    loop.run(meet(), 20)
    row.refresh_from_db()
    assert row.certificate == fingerprint(path)


@pytest.mark.django_db(transaction=True)
async def test_a_probe_pins_nothing_and_needs_no_row(tmp_path: Path, redis_client: "redis.Redis") -> None:
    async with secured(make_certificate(tmp_path, "only")) as (port, _):
        probe = unsaved_device(port, scheme="https", options={"tls": "pin"})
        probe.pk = None
        assert (await Gateway(probe).ask(command())).text == "a=1"
    assert not await Device.objects.aexists()


@pytest.mark.django_db(transaction=True)
async def test_a_look_tells_that_the_certificate_changed(tmp_path: Path, redis_client: "redis.Redis") -> None:
    async with secured(make_certificate(tmp_path, "second")) as (port, got):
        row = await sync_to_async(save)(port, certificate="0" * 64)
        outcome = await look(row, Memory())
        await sync_to_async(store)([outcome], {})
        await row.arefresh_from_db()
    assert isinstance(outcome.error, CertificateChanged)
    assert (row.state, got) == (State.DEGRADED, [])
    assert "certificate" in row.last_error


@pytest.mark.django_db
def test_a_new_address_is_a_new_device_whose_certificate_nobody_knows(redis_client: "redis.Redis") -> None:
    row = save(443, certificate="0" * 64, certificate_offered="1" * 64)
    fleet.change_device(None, row, {"host": "127.0.0.9"})
    row.refresh_from_db()
    assert (row.certificate, row.certificate_offered) == ("", "")


@pytest.mark.django_db
def test_there_must_be_another_certificate_to_trust(redis_client: "redis.Redis") -> None:
    with pytest.raises(Problem, match="no other certificate"):
        trust.trust_new_certificate(None, save(443))


# --- Another device at the address ------------------------------------------------------------------------------------
KNOWN = {"mac": "00:80:45:01:02:03", "serial": "A1", "model": "AG-X", "state": State.ONLINE}


@pytest.mark.parametrize(
    ("told_mac", "told_serial", "replaced"),
    [
        ("00:80:45:01:02:03", "A1", False),
        ("00-80-45-01-02-03", "a1", False),
        ("008045010203", None, False),
        (None, None, False),
        ("00:80:45:01:02:04", "A1", True),
        ("00:80:45:01:02:03", "A2", True),
        (None, "A2", True),
    ],
)
def test_another_mac_or_serial_number_means_another_device(
    told_mac: str | None, told_serial: str | None, replaced: bool
) -> None:
    device = unsaved_device(80, **KNOWN)
    with pytest.raises(Replaced, match="Another device answers") if replaced else contextlib.nullcontext():
        trust.check_identity(device, mac=told_mac, serial=told_serial)


def test_a_device_that_told_nothing_before_cannot_be_replaced() -> None:
    trust.check_identity(unsaved_device(80), mac="00:80:45:01:02:03", serial="A1")


class FakeDriver:
    identity = Identity(model="AG-Y", serial="B2", mac="00:80:45:09:09:09", cameras={1: "New", 2: "Second"})

    async def identify(self, gateway: Gateway) -> Identity:
        return self.identity

    async def health(self, gateway: Gateway) -> Health:
        return Health()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    fake = FakeDriver()
    monkeypatch.setattr(polling, "driver_for", lambda device: fake)
    return fake


@pytest.mark.django_db(transaction=True)
async def test_a_replaced_device_is_told_left_alone_and_accepted(
    driver: FakeDriver, listener: "redis.client.PubSub", scripted: Scripted
) -> None:
    row = await sync_to_async(save)(scripted.port, **KNOWN, options={})

    async def look_again() -> None:
        await row.arefresh_from_db()
        outcome = await look(row, Memory())
        await sync_to_async(store)([outcome], {})
        await row.arefresh_from_db()

    row.state = State.OFFLINE  # it was away for a while
    await row.asave()
    await look_again()
    assert row.state == State.REPLACED
    assert "serial number is B2, not A1" in row.last_error
    assert (row.serial, row.mac, row.model) == (KNOWN["serial"], KNOWN["mac"], KNOWN["model"])
    assert await row.cameras.acount() == 0
    assert [each["state"] for each in told(listener) if each["type"] == "device.state"] == ["replaced"]

    row.scheme = "http"
    for kind in (Kind.WRITE, Kind.CONTROL, Kind.SESSION):
        with pytest.raises(Replaced, match="accept it"):
            await Gateway(row).ask(command(kind))
        with pytest.raises(Replaced):
            async with Gateway(row).stream(command(kind)):
                pytest.fail("nothing was opened")
    assert scripted.requests == []
    assert (await Gateway(row).ask(command(Kind.READ))).text == "a=1\r\n"

    await look_again()
    assert row.state == State.REPLACED
    await sync_to_async(trust.accept_replacement)(None, row)
    await look_again()
    assert (row.state, row.serial, await row.cameras.acount()) == (State.ONLINE, "B2", 2)
    assert await AuditEntry.objects.filter(action="accept replacement").acount() == 1


@pytest.mark.django_db(transaction=True)
async def test_when_the_device_we_know_is_back_all_is_well(driver: FakeDriver, redis_client: "redis.Redis") -> None:
    driver.identity = Identity(serial=KNOWN["serial"], mac=KNOWN["mac"])
    row = await sync_to_async(save)(443, **KNOWN | {"state": State.REPLACED})
    await sync_to_async(store)([await look(row, Memory())], {})
    await row.arefresh_from_db()
    assert row.state == State.ONLINE


@pytest.mark.parametrize(
    "error", [NoAnswer("x."), Unauthorised("x."), Replaced("x.")], ids=["silent", "other password", "replaced"]
)
def test_nothing_else_ends_the_state_of_a_replaced_device(error: DeviceError) -> None:
    outcome = Outcome(unsaved_device(80), timezone.now(), error=error)
    misses = 0
    for _ in range(5):
        state, misses = state_after(State.REPLACED, misses, outcome)
        assert state == State.REPLACED
    assert misses == (5 if isinstance(error, NoAnswer) else 0)


@pytest.mark.django_db
def test_only_a_replaced_device_can_be_accepted(redis_client: "redis.Redis") -> None:
    with pytest.raises(Problem, match="has not been replaced"):
        trust.accept_replacement(None, save(443, **KNOWN))
