"""Is it still the device we know? Its TLS certificate (option `tls: pin`) and who it says it is.

The certificate a device shows at first is remembered with its row, by its SHA-256; another one later is refused before
anything is sent, told to everybody who may see the device, and audited once. Another MAC address or serial number than
the row's means that another device answers: nothing is written to it. Both end only when an administrator says so here,
or when the device we know is back.

The polling asks a device once a minute who it is. That is too seldom for whoever changes something, so before that it
is asked anew, with the one read that tells its marks, unless it was confirmed a moment ago, by whichever process. The
cost is one read for each change. A recorder of the i-PRO family tells neither a MAC address nor a serial number, so
there is nothing to compare, and it is asked nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from channels.db import database_sync_to_async

from accounts import audit
from accounts.audit import By
from accounts.problems import Problem
from devices import events, history
from devices.coordination import key, run_script
from devices.errors import CertificateChanged, Replaced, WrongAnswer
from devices.models import Device, State

# How long a confirmation holds. A change is a few commands within a second or two, and is to cost one read, not one for
# each of them; nobody takes a device from its place and has another one answer there in that time.
CHANGE_SECONDS = 1.5
# While somebody steers, commands are to be quick; who comes back after a pause can wait for a read.
STEERING_SECONDS = 5.0
# A stop does not wait while something moves, which was confirmed when it began, and is when it is prolonged.
STOP_SECONDS = 60.0


# --- Certificates -----------------------------------------------------------------------------------------------------
async def check_certificate(device: Device, offered: str) -> None:
    """Called with the SHA-256 of what the device shows, before anything is sent to it."""
    if device.certificate != offered:
        await database_sync_to_async(_compare)(device, offered)


def _compare(device: Device, offered: str) -> None:
    """`device` may have been read long ago; the row tells. Raises CertificateChanged."""
    if device.pk is None:  # a probe: nobody trusts anything yet
        device.certificate = device.certificate or offered
    else:
        row = Device.objects.filter(pk=device.pk)
        row.filter(certificate="", host=device.host, port=device.port).update(certificate=offered)
        device.certificate = row.values_list("certificate", flat=True).first() or ""
    if device.certificate == offered:
        return
    if device.pk is not None and row.exclude(certificate_offered=offered).update(certificate_offered=offered):
        audit.record(None, "certificate changed", device, result="refused", trusted=device.certificate, offered=offered)
        text = f"{device.name} shows another TLS certificate than the one we trust ({short(offered)})."
        history.happened("device.certificate_changed", device, text, offered=offered)
    raise CertificateChanged(
        f"The certificate of {device.host}:{device.port} has changed (now {short(offered)}), so nothing was sent to "
        "it. If the device was reset or got a new certificate, an administrator can trust the new one on its page; "
        "otherwise somebody may be listening between us."
    )


def trust_new_certificate(by: By, device: Device) -> None:
    """From now on trust the certificate that was refused last."""
    device.refresh_from_db(fields=["certificate", "certificate_offered"])
    if not device.certificate_offered:
        raise Problem(409, f"{device.name} has shown no other certificate than the one we trust.")
    before, device.certificate, device.certificate_offered = device.certificate, device.certificate_offered, ""
    device.save(update_fields=["certificate", "certificate_offered"])
    audit.record(by, "trust certificate", device, before=before, now=device.certificate)
    events.publish("device.changed", device=device.pk)


def short(fingerprint: str) -> str:
    """As people compare it: the beginning, in pairs."""
    return ":".join(re.findall("..", fingerprint[:16].upper()))


# --- Another device at the address ------------------------------------------------------------------------------------
def check_identity(device: Device, *, mac: str | None, serial: str | None) -> None:
    """Raises Replaced when the device that answers is not the one of the row. What is not told says nothing."""
    for word, known, told in (("serial number", device.serial, serial), ("MAC address", device.mac, mac)):
        if known and told and _plain(known) != _plain(told):
            raise Replaced(
                f"Another device answers at {device.host}:{device.port}: its {word} is {told}, not {known}. Nothing is "
                "written to it until an administrator accepts it as the new device here."
            )


def refuse_writing(device: Device) -> None:
    """Raises Replaced when this is not the device we know."""
    if device.state == State.REPLACED:
        raise Replaced(
            f"Another device answers at {device.host}:{device.port} than the one that was set up, so nothing is "
            "written to it. An administrator can accept it as the new device here."
        )


def can_be_confirmed(device: Device) -> bool:
    """Is anything known to tell it from others by? Not of one that was never asked, nor of one that does not tell."""
    return device.pk is not None and bool(device.mac or device.serial)


async def confirm(
    device: Device, marks: Callable[[], Awaitable[tuple[str | None, str | None]]], *, within: float
) -> float:
    """Make sure that it is the device we know, confirmed at most `within` seconds ago; `marks` asks it for its MAC
    address and serial number. Answers for how many seconds that holds. Raises Replaced when another one answers, which
    is kept and told at once; WrongAnswer when it does not tell any more."""
    name = key("confirmed", device.pk, device.host, device.port, _plain(device.mac or ""), _plain(device.serial or ""))
    left = int(await run_script("return redis.call('PTTL', KEYS[1])", [name], ())) / 1000
    if (holds := left - STOP_SECONDS + within) > 0:
        return holds
    mac, serial = await marks()
    try:
        check_identity(device, mac=mac, serial=serial)
    except Replaced as error:
        await run_script("return redis.call('DEL', KEYS[1])", [name], ())
        await database_sync_to_async(_keep_replaced)(device, str(error))
        raise
    if not ((mac and device.mac) or (serial and device.serial)):
        raise WrongAnswer(
            f"{device.name} does not tell who it is, as it did before, so it may be another device, and nothing was "
            "written to it. Look at it, then try again in a minute."
        )
    await run_script("redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])", [name], (int(STOP_SECONDS * 1000),))
    return within


def _keep_replaced(device: Device, sentence: str) -> None:
    """As a look would, now. What an administrator accepted or changed meanwhile stays."""
    known = {name: getattr(device, name) for name in ("host", "port", "mac", "serial")}
    rows = Device.objects.filter(pk=device.pk, **known).exclude(state=State.REPLACED)
    stored = rows.update(state=State.REPLACED, last_error=sentence)
    device.state, device.last_error = State.REPLACED, sentence
    if stored:
        history.state_changed(device, State.REPLACED, sentence)


def accept_replacement(by: By, device: Device) -> None:
    """Take the device that answers now for the one of this row; the next look learns all about it."""
    device.refresh_from_db()
    if device.state != State.REPLACED:
        raise Problem(409, f"{device.name} has not been replaced; the device we know answers there.")
    before = {"mac": device.mac, "serial": device.serial, "model": device.model}
    fresh = {"state": State.UNKNOWN, "mac": None, "serial": None, "model": None, "firmware": None, "last_error": ""}
    for name, value in fresh.items():
        setattr(device, name, value)
    device.save(update_fields=list(fresh))
    audit.record(by, "accept replacement", device, before=before)
    events.publish("device.changed", device=device.pk)


def _plain(text: str) -> str:
    return re.sub(r"[\s:.-]", "", text).casefold()
