"""What answers at an address? Only the family it seems to be of is asked, in its documented way, who it is.

A device must not be sent what its document lacks. So its home page is opened first, without a log-in, as any browser
does: headers and titles tell most families. Only where they tell nothing are the families asked in turn, each with the
one request it identifies itself by, until one knows it; a device answers another family's with "not found". Who says
which family it is spares the device both.

Whoever does not say whether it is HTTP or HTTPS means whichever it speaks: port 443 is HTTPS; elsewhere HTTP is tried,
and HTTPS once where that was not understood: the connection was closed without an answer, or TLS's own alert came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from asgiref.sync import sync_to_async

from accounts import audit
from accounts.audit import By
from accounts.problems import Problem
from devices import fleet
from devices.cgi import Request
from devices.errors import ClosedSilently, DeviceError, Interrupted, NoAnswer, NoCoordination, Unauthorised, WrongAnswer
from devices.families import driver_class, driver_for, families
from devices.families.base import Identity
from devices.gateway import Gateway
from devices.http import Address, exchange
from devices.models import Device, Family

HTTPS_PORT = 443
HOME_PAGE = Request("GET", "/")
HOME_PAGE_CHARACTERS = 64 * 1024  # a title stands at the beginning


@dataclass(frozen=True)
class Found:
    family: str
    scheme: str
    port: int
    identity: Identity
    capabilities: frozenset[str]
    device: int | None  # the device of ours that is at this address already


async def probe(by: By, given: Mapping[str, Any]) -> Found:
    """`given` as for a new device; family, name and scheme left out where unknown. 409 when the log-in is refused, 504
    when nothing answers, 422 when what answers is of no family we know."""
    if given.get("scheme"):
        return await _probe(by, given)
    if given.get("port") == HTTPS_PORT:
        return await _probe(by, {**given, "scheme": "https"})
    try:
        return await _probe(by, {**given, "scheme": "http"}, or_https=True)
    except _NotHttp:
        return await _probe(by, {**given, "scheme": "https"})


class _NotHttp(Exception):
    """What answers does not understand HTTP."""


async def _probe(by: By, given: Mapping[str, Any], *, or_https: bool = False) -> Found:
    fields = fleet.checked_address(given)
    wanted = [given["family"]] if given.get("family") else await _likely(fields, or_https)
    refusals: list[str] = []
    for family in wanted:
        device = Device(name=fields["host"], family=family, options={}, **fields)
        try:
            # Options are the family's own: those it does not know are for another one.
            device.options = fleet.known_options(family, given.get("options") or {})
            driver = driver_for(device)
            identity = await driver.identify(Gateway(device))
        except (Unauthorised, NoCoordination):
            raise
        except DeviceError as error:
            if or_https and given.get("family") and _is_not_http(error):
                raise _NotHttp from error
            if isinstance(error, NoAnswer) and not isinstance(error, Interrupted):
                raise
            refusals.append(str(error))
        else:
            ours = await sync_to_async(_ours)(by, fields["host"], fields["port"])
            await audit.arecord(by, "probe address", address=f"{fields['host']}:{fields['port']}", family=family)
            capabilities = frozenset(driver.capabilities)
            return Found(family, fields["scheme"], fields["port"], identity, capabilities, ours)
    if not refusals:
        raise WrongAnswer("There is no family to ask.")
    names = " or ".join(str(Family(family).label) for family in wanted)
    raise Problem(
        422, f"Something answers at {fields['host']}:{fields['port']}, but not as {names} does. {refusals[-1]}"
    )


def _is_not_http(error: DeviceError) -> bool:
    """Closed without a byte, or answered with what cannot be HTTP, as TLS's alert is."""
    return isinstance(error, ClosedSilently) or (
        isinstance(error, WrongAnswer) and isinstance(error.__cause__, httpx.RemoteProtocolError)
    )


async def _likely(fields: Mapping[str, Any], or_https: bool) -> list[str]:
    """The one family its home page tells, else all of them, the likeliest first."""
    told = await _home_page(fields, or_https)
    for family in families():
        if driver_class(family).home_page.search(told):
            return [family]
    # Recorders come with HTTPS; cameras are seldom given it.
    return sorted(families(), key=lambda family: (family == "ipro") != (fields["scheme"] == "https"))


async def _home_page(fields: Mapping[str, Any], or_https: bool) -> str:
    """Its headers, a line each, and its text. Nothing secret is sent, so whoever answers need not prove who it is."""
    address = Address(fields["scheme"], fields["host"], fields["port"], "off", legacy=True)
    try:
        answer = await exchange(address, HOME_PAGE, headers={}, redirects_answer=True)
    except DeviceError as error:
        if or_https and _is_not_http(error):
            raise _NotHttp from error
        if type(error) is NoAnswer:
            raise
        return ""  # it has none that could be read
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.multi_items())
    return f"{headers}\n\n{answer.text[:HOME_PAGE_CHARACTERS]}"


def _ours(by: By, host: str, port: int) -> int | None:
    user = audit.actor_of(by).user
    rows = Device.objects.visible_to(user) if user else Device.objects.all()
    return rows.filter(host=host, port=port).values_list("pk", flat=True).first()
