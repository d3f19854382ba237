"""Adding, changing and removing devices and sites: the one way, for the API and for pages.

Everything is checked here and refused with a Problem that names the field; what is done is audited and told to open
sockets. Who may do it is asked before, with `accounts.policy`; only whether the *new* site of a device is in reach is
asked here, since nobody before can know it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from accounts import audit
from accounts.audit import Actor, By
from accounts.models import User
from accounts.policy import Action, Someone, may, reaches
from accounts.problems import Problem
from devices import events, polling
from devices.families import driver_class
from devices.models import Device, Family, Site, State
from devices.options import BadOption, checked

DEFAULT_SITE = "Main site"
# What the device told of itself; nothing of it is true of another device.
_TOLD: dict[str, Any] = {
    "model": None,
    "serial": None,
    "mac": None,
    "firmware": None,
    "last_seen": None,
    "last_error": "",
    "status": {},
    "state": State.UNKNOWN,
    "certificate": "",
    "certificate_offered": "",
}
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?"
)
_PORTS = {"http": 80, "https": 443}


# --- Sites ------------------------------------------------------------------------------------------------------------
def add_site(by: By, name: str) -> Site:
    if not _reaches_everything(_user(by)):
        raise PermissionDenied("Only who may reach everything may add a site.")
    name = _name(name, "name")
    try:
        with transaction.atomic():
            site = Site.objects.create(name=name)
    except IntegrityError:
        raise Problem(409, f"There is a site {name} already.", "name") from None
    audit.record(by, "add site", site)
    return site


def _site(by: By, site: int | str | None) -> Site:
    """The site meant by id or name; without either, the default one or the only one there is."""
    user = _user(by)
    visible = Site.objects.all() if user is None else Site.objects.visible_to(user)
    if site is None:
        own = list(visible.exclude(devices__simulated=True))  # nobody means the demo's
        found = next((each for each in own if each.name == DEFAULT_SITE), own[0] if len(own) == 1 else None)
        if found is None and not _reaches_everything(user):
            raise Problem(400, "Say which site the device belongs to.", "site")
        return _in_reach(by, found or add_site(by, DEFAULT_SITE))
    found = visible.filter(pk=site).first() if isinstance(site, int) else visible.filter(name=site).first()
    if found is None:
        raise Problem(400, f"There is no site {site}.", "site")
    return _in_reach(by, found)


def _reaches_everything(user: Someone | None) -> bool:
    return user is None or all(reach.everything for reach in reaches(user))


def _in_reach(by: By, site: Site) -> Site:
    user = _user(by)
    if user is not None and not may(user, Action.CONFIGURE, site):
        raise PermissionDenied(f"You may not add devices to {site} or move them there.")
    return site


# --- Devices ----------------------------------------------------------------------------------------------------------
def add_device(
    by: By,
    *,
    family: str,
    host: str,
    name: str = "",
    scheme: str = "http",
    port: int | None = None,
    username: str = "",
    password: str = "",
    site: int | str | Site | None = None,
    options: Mapping[str, Any] | None = None,
    enabled: bool = True,
    simulated: bool = False,
) -> Device:
    fields = _checked(
        {
            "family": family,
            "host": host,
            "name": name or host,
            "scheme": scheme,
            "port": _PORTS.get(scheme) if port is None else port,
            "username": username,
            "password": password,
        }
    )
    fields["options"] = _options(fields["family"], options or {})
    device = Device(enabled=enabled, simulated=simulated, **fields)
    device.site = site if isinstance(site, Site) else _site(by, site)
    _save(device)
    audit.record(by, "add device", device, family=device.family, address=f"{device.host}:{device.port}")
    polling.look_soon(device)
    events.publish("device.added", device=device.pk, name=device.name)
    return device


def change_device(by: By, device: Device, changes: Mapping[str, Any]) -> Device:
    """`changes` holds only what shall change; a password is replaced, never read."""
    changes = dict(changes)
    if "family" in changes and changes["family"] != device.family:
        raise Problem(409, "The family of a device stays. Remove the device and add it again.", "family")
    changes.pop("family", None)
    new_site = changes.pop("site", None)
    options = changes.pop("options", None)
    enabled = changes.pop("enabled", device.enabled)
    fields = _checked(changes)
    if new_site is not None:
        fields["site"] = _site(by, new_site)
    if options is not None:
        fields["options"] = _options(device.family, options)
    fields["enabled"] = enabled
    changed = {name: value for name, value in fields.items() if getattr(device, name) != value}
    if not changed:
        return device
    if changed.keys() & {"host", "port", "scheme"}:
        changed |= _TOLD
    elif changed.keys() & {"username", "password"} or "enabled" in changed:
        changed |= {"state": State.UNKNOWN, "last_error": ""}
    before = {name: getattr(device, name) for name in changed}
    for name, value in changed.items():
        setattr(device, name, value)
    _save(device, update_fields=list(changed))
    if "name" in changed:  # a camera nobody renamed is called as its device
        device.cameras.filter(name=before["name"]).update(name=device.name)
    audited = {
        name: [_plain(before[name]), _plain(value)]
        for name, value in changed.items()
        if name not in _TOLD and name != "password"
    }
    if "password" in changed:
        audited["password"] = ["", ""]  # that it changed, never what it was or is
    audit.record(by, "change device", device, changed=audited)
    polling.forget(device.pk)
    polling.look_soon(device)
    events.publish("device.changed", device=device.pk)
    return device


def follow(by: By, device: Device, address: Mapping[str, Any]) -> bool:
    """A change of its settings moved the device: reach it at its new address from now on. What it told stays true.

    False when another of our devices is there already; then people have to sort it out."""
    before = f"{device.host}:{device.port}"
    for name in ("scheme", "host", "port"):
        setattr(device, name, address.get(name, getattr(device, name)))
    device.state, device.last_error = State.UNKNOWN, ""
    try:
        with transaction.atomic():
            device.save(update_fields=["scheme", "host", "port", "state", "last_error"])
    except IntegrityError:
        audit.record(by, "follow device", device, result="failed", before=before, now=f"{device.host}:{device.port}")
        device.refresh_from_db()
        return False
    audit.record(by, "follow device", device, before=before, now=f"{device.host}:{device.port}")
    polling.forget(device.pk)
    polling.look_soon(device)
    events.publish("device.changed", device=device.pk)
    return True


def remove_device(by: By, device: Device) -> None:
    """Its cameras and the grants on them go with it. Transmissions still leased are released by the keeper."""
    about, device_id = audit.about(device), device.pk
    # Told first: afterwards nobody could see what it is about.
    events.publish("device.removed", device=device_id, name=device.name)
    device.delete()
    polling.forget(device_id)
    audit.record(by, "remove device", about)


def _save(device: Device, update_fields: list[str] | None = None) -> None:
    try:
        with transaction.atomic():
            device.save(update_fields=update_fields)
    except IntegrityError:
        raise Problem(409, f"There is a device at {device.host}:{device.port} already.", "host") from None


# --- Checks -----------------------------------------------------------------------------------------------------------
def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    checks: dict[str, Callable[[Any], Any]] = {
        "family": _family,
        "host": _host,
        "name": lambda value: _name(value, "name"),
        "scheme": _scheme,
        "port": _port,
        "username": lambda value: _text(value, "username", 64),
        "password": lambda value: _text(value, "password", 128),
    }
    return {name: checks[name](value) for name, value in fields.items()}


def _family(value: str) -> str:
    if value not in Family:
        raise Problem(400, f"There is no family {value}; use one of {', '.join(Family)}.", "family")
    driver_class(value)  # NotSupported is a Problem that says it all
    return value


def _scheme(value: str) -> str:
    if value not in _PORTS:
        raise Problem(400, f"The scheme cannot be {value}; use http or https.", "scheme")
    return value


def _port(value: int | None) -> int:
    if value is None or not 1 <= value <= 65535:
        raise Problem(400, "The port must be a number from 1 to 65535.", "port")
    return value


def _host(value: str) -> str:
    """A name or an address, in one spelling: two spellings of one address would be two devices."""
    text = value.strip().lower()
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if not _HOST_NAME.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
        raise Problem(
            400, "The host must be a name or an address, such as 192.168.0.10, without http:// or port.", "host"
        )
    return text.rstrip(".")


def _name(value: str, field: str) -> str:
    text = _text(value.strip(), field, 100)
    if not text:
        raise Problem(400, f"The {field} must not be empty.", field)
    return text


def _text(value: str, field: str, longest: int) -> str:
    if len(value) > longest:
        raise Problem(400, f"The {field} is too long; use at most {longest} characters.", field)
    if not all(character.isprintable() for character in value):
        raise Problem(400, f"The {field} has a character that cannot be used.", field)
    return value


def _options(family: str, options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return checked(driver_class(family).options, options)
    except BadOption as error:
        raise Problem(400, str(error), f"options.{error.name}") from None


def _user(by: By) -> Someone | None:
    """Whose reach counts; None is the product itself."""
    if isinstance(by, HttpRequest):
        return by.user
    if isinstance(by, Actor):
        return by.user
    return by if isinstance(by, User) else None


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | dict | None) else str(value)
