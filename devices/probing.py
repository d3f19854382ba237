"""What answers at an address? Each family is asked, in its documented way, who it is; the first that knows is it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async

from accounts import audit
from accounts.audit import By
from accounts.problems import Problem
from devices import fleet
from devices.errors import DeviceError, Interrupted, NoAnswer, NoCoordination, Unauthorised, WrongAnswer
from devices.families import driver_for, families
from devices.families.base import Identity
from devices.gateway import Gateway
from devices.models import Device, Family


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
    wanted = [given["family"]] if given.get("family") else families()
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


def _ours(by: By, host: str, port: int) -> int | None:
    user = audit.actor_of(by).user
    rows = Device.objects.visible_to(user) if user else Device.objects.all()
    return rows.filter(host=host, port=port).values_list("pk", flat=True).first()
