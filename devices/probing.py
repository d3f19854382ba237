"""What answers at an address? Only the family it seems to be of is asked, in its documented way, who it is.

A device must not be sent what its document lacks. So its home page is opened first, without a log-in, as any browser
does: headers and titles tell most families. Only where they tell nothing are the families asked in turn, each with the
one request it identifies itself by, until one knows it; a device answers another family's with "not found". Who says
which family it is spares the device both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async

from accounts import audit
from accounts.audit import By
from accounts.problems import Problem
from devices import fleet
from devices.cgi import Request
from devices.errors import DeviceError, Interrupted, NoAnswer, NoCoordination, Unauthorised, WrongAnswer
from devices.families import driver_class, driver_for, families
from devices.families.base import Identity
from devices.gateway import Gateway
from devices.http import Address, exchange
from devices.models import Device, Family

HOME_PAGE = Request("GET", "/")
HOME_PAGE_CHARACTERS = 64 * 1024  # a title stands at the beginning


@dataclass(frozen=True)
class Found:
    family: str
    identity: Identity
    capabilities: frozenset[str]
    device: int | None  # the device of ours that is at this address already


async def probe(by: By, given: Mapping[str, Any]) -> Found:
    """`given` as for a new device, family and name left out where unknown. 409 when the log-in is refused, 504 when
    nothing answers, 422 when what answers is of no family we know."""
    fields = fleet.checked_address(given)
    wanted = [given["family"]] if given.get("family") else await _likely(fields)
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
        except Interrupted as error:
            refusals.append(str(error))
        except NoAnswer:
            raise
        except DeviceError as error:
            refusals.append(str(error))
        else:
            ours = await sync_to_async(_ours)(by, fields["host"], fields["port"])
            await audit.arecord(by, "probe address", address=f"{fields['host']}:{fields['port']}", family=family)
            return Found(family, identity, frozenset(driver.capabilities), ours)
    if not refusals:
        raise WrongAnswer("There is no family to ask.")
    names = " or ".join(str(Family(family).label) for family in wanted)
    raise Problem(
        422, f"Something answers at {fields['host']}:{fields['port']}, but not as {names} does. {refusals[-1]}"
    )


async def _likely(fields: Mapping[str, Any]) -> list[str]:
    """The one family its home page tells, else all of them, the likeliest first."""
    told = await _home_page(fields)
    for family in families():
        if driver_class(family).home_page.search(told):
            return [family]
    # Recorders come with HTTPS; cameras are seldom given it.
    return sorted(families(), key=lambda family: (family == "ipro") != (fields["scheme"] == "https"))


async def _home_page(fields: Mapping[str, Any]) -> str:
    """Its headers, a line each, and its text. Nothing secret is sent, so whoever answers need not prove who it is."""
    address = Address(fields["scheme"], fields["host"], fields["port"], "off", legacy=True)
    try:
        answer = await exchange(address, HOME_PAGE, headers={}, redirects_answer=True)
    except DeviceError as error:
        if type(error) is NoAnswer:
            raise
        return ""  # it has none that could be read
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.multi_items())
    return f"{headers}\n\n{answer.text[:HOME_PAGE_CHARACTERS]}"


def _ours(by: By, host: str, port: int) -> int | None:
    user = audit.actor_of(by).user
    rows = Device.objects.visible_to(user) if user else Device.objects.all()
    return rows.filter(host=host, port=port).values_list("pk", flat=True).first()
