"""Adding, changing and removing devices and sites: the one way, for the API and for pages.

Everything is checked here and refused with a Problem that names the field; what is done is audited and told to open
sockets. Who may do it is asked before, with `accounts.policy`; only whether the *new* site of a device is in reach is
asked here, since nobody before can know it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, Q
from django.http import HttpRequest

from accounts import audit
from accounts.audit import Actor, By
from accounts.models import User
from accounts.policy import Action, Someone, may, reaches
from accounts.problems import Problem
from devices import events, history, keeping, loop, polling, ptz
from devices.errors import DeviceError
from devices.families import driver_class
from devices.models import Camera, Device, DeviceQuerySet, Family, Site, State, Tag
from devices.options import BadOption, checked

logger = logging.getLogger(__name__)

DEFAULT_SITE = "Main site"
MOST_TAGS = 20
END_SECONDS = 10.0  # what a device gets to end what runs on it before it is removed
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
    "away_since": None,
    "back_by": None,
}
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?"
)
_PORTS = {"http": 80, "https": 443}


# --- Sites ------------------------------------------------------------------------------------------------------------
def add_site(by: By, name: str) -> Site:
    _refuse_unless_everything(by, "add")
    name = _name(name, "name")
    try:
        with transaction.atomic():
            site = Site.objects.create(name=name)
    except IntegrityError:
        raise Problem(409, f"There is a site {name} already.", "name") from None
    audit.record(by, "add site", site)
    return site


def rename_site(by: By, site: Site, name: str) -> Site:
    _refuse_unless_everything(by, "rename")
    before, site.name = site.name, _name(name, "name")
    if site.name == before:
        return site
    try:
        with transaction.atomic():
            site.save(update_fields=["name"])
    except IntegrityError:
        raise Problem(409, f"There is a site {site.name} already.", "name") from None
    audit.record(by, "rename site", site, before=before)
    for device in site.devices.all():
        events.publish("device.changed", device=device.pk)
    return site


def remove_site(by: By, site: Site, move_to: int | None = None) -> int:
    """Answers how many devices were moved. A site that has devices goes only when it is said where they go: nothing is
    deleted with it but the grants on it."""
    _refuse_unless_everything(by, "remove")
    devices = list(site.devices.select_related("site"))
    if devices and move_to is None:
        count = f"{len(devices)} device{'' if len(devices) == 1 else 's'}"
        raise Problem(409, f"{site} has {count}. Say to which site they go (move_to), or move them first.", "move_to")
    if move_to == site.pk:
        raise Problem(400, "Move the devices to another site than the one that goes.", "move_to")
    about = audit.about(site)
    with transaction.atomic():
        if devices:
            target = _site(by, move_to)
            for device in devices:
                apply_changes(by, device, {"site": target.pk})
        grants = site.grants.count()
        try:
            with transaction.atomic():
                site.delete()
        except ProtectedError:
            raise Problem(409, f"{about.name} was given a device meanwhile. Look at it again.") from None
        audit.record(by, "remove site", about, moved=len(devices), grants_ended=grants)
    for device in devices:
        announce_changed(device)
    return len(devices)


def _refuse_unless_everything(by: By, verb: str) -> None:
    if not _reaches_everything(_user(by)):
        raise PermissionDenied(f"Only who may reach everything may {verb} a site.")


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
    tags: Sequence[str] = (),
) -> Device:
    device = insert_device(
        by,
        family=family,
        host=host,
        name=name,
        scheme=scheme,
        port=port,
        username=username,
        password=password,
        site=site,
        options=options,
        enabled=enabled,
        simulated=simulated,
        tags=tags,
    )
    announce_added(device)
    return device


def insert_device(
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
    tags: Sequence[str] = (),
) -> Device:
    """Its row, audited; nobody else is told yet, so that a transaction may still take it back."""
    words = checked_tags(tags)
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
    if words:
        _set_tags(device, words)
    audit.record(by, "add device", device, family=device.family, address=f"{device.host}:{device.port}")
    return device


def announce_added(device: Device) -> None:
    polling.look_soon(device)
    history.happened("device.added", device, f"{device.name} was added.")


def change_device(by: By, device: Device, changes: Mapping[str, Any]) -> Device:
    """`changes` holds only what shall change; a password is replaced, never read."""
    if apply_changes(by, device, changes):
        announce_changed(device)
    return device


def apply_changes(by: By, device: Device, changes: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Write the changes, audited; answers name → [old, new]. Nobody else is told yet, as with `insert_device`."""
    changes = dict(changes)
    if "family" in changes and changes["family"] != device.family:
        raise Problem(409, "The family of a device stays. Remove the device and add it again.", "family")
    changes.pop("family", None)
    new_site = changes.pop("site", None)
    options = changes.pop("options", None)
    enabled = changes.pop("enabled", device.enabled)
    tags = changes.pop("tags", None)
    retagged = _change_tags(device, checked_tags(tags)) if tags is not None else {}
    fields = _checked(changes)
    if new_site is not None:
        fields["site"] = _site(by, new_site)
    if options is not None:
        fields["options"] = _options(device.family, options)
    fields["enabled"] = enabled
    changed = {name: value for name, value in fields.items() if getattr(device, name) != value}
    if not changed:
        if retagged:
            audit.record(by, "change device", device, changed=retagged)
        return retagged
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
    audited = retagged | {
        name: [_plain(before[name]), _plain(value)]
        for name, value in changed.items()
        if name not in _TOLD and name != "password"
    }
    if "password" in changed:
        audited["password"] = ["", ""]  # that it changed, never what it was or is
    if "site" in changed:  # who may see the device now may see what happened to it
        device.events.update(site=device.site)
    audit.record(by, "change device", device, changed=audited)
    return audited


def announce_changed(device: Device) -> None:
    polling.forget(device.pk)
    polling.look_soon(device)
    events.publish("device.changed", device=device.pk)


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
    """Its cameras and the grants on them go with it; what we have running on it is ended first."""
    about, device_id = audit.about(device), device.pk
    _end_everything(device)
    # Told first: afterwards nobody could see what it is about.
    history.happened("device.removed", device, f"{device.name} was removed.")
    device.delete()
    polling.forget(device_id)
    audit.record(by, "remove device", about)


def _end_everything(device: Device) -> None:
    """Stop its cameras and give back the places we hold on it. What cannot be ended now ends by itself: the device
    forgets whom nobody keeps alive."""
    cameras = list(device.cameras.select_related("device"))
    try:
        loop.run(_end(device, cameras), END_SECONDS)
    except (DeviceError, TimeoutError) as error:
        logger.warning("what ran on a removed device ends by itself: %s", error, extra={"device": device.pk})


async def _end(device: Device, cameras: list[Camera]) -> None:
    await asyncio.gather(ptz.stop_all_of(cameras), keeping.end_all(device))


# --- Tags -------------------------------------------------------------------------------------------------------------
def checked_tags(tags: Sequence[str]) -> list[str]:
    """In one spelling, sorted, each once."""
    words = sorted({" ".join(tag.split()) for tag in tags} - {""})
    if len(words) > MOST_TAGS:
        raise Problem(400, f"A device has at most {MOST_TAGS} tags.", "tags")
    for word in words:
        _text(word, "tags", 40)
        if "," in word:
            raise Problem(400, "A tag must not have a comma in it.", "tags")
    return words


def _change_tags(device: Device, words: list[str]) -> dict[str, list[Any]]:
    before = sorted(tag.name for tag in device.tags.all())
    if before == words:
        return {}
    _set_tags(device, words)
    return {"tags": [", ".join(before), ", ".join(words)]}


def _set_tags(device: Device, words: list[str]) -> None:
    device.tags.set([Tag.objects.get_or_create(name=word)[0] for word in words])
    Tag.objects.filter(devices__isnull=True).delete()


def searched(devices: DeviceQuerySet, text: str) -> DeviceQuerySet:
    """Those with each word of the text in their name, address, model, serial number, MAC address, site or tags."""
    for word in text.split():
        anywhere = Q()
        for column in ("name", "host", "model", "serial", "mac", "site__name"):
            anywhere |= Q(**{f"{column}__icontains": word})
        tagged = Tag.objects.filter(name__icontains=word).values("devices")
        devices = devices.filter(anywhere | Q(pk__in=tagged))
    return devices


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


def checked_address(given: Mapping[str, Any]) -> dict[str, Any]:
    """Where and with which log-in a device is reached, checked, in one spelling."""
    scheme = given.get("scheme") or "http"
    port = given.get("port")
    return _checked(
        {
            "scheme": scheme,
            "host": given["host"],
            "port": _PORTS.get(scheme) if port is None else port,
            "username": given.get("username", ""),
            "password": given.get("password", ""),
        }
    )


def known_options(family: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Of these options those that the family knows, checked."""
    known = {option.name for option in driver_class(_family(family)).options}
    return _options(family, {name: value for name, value in options.items() if name in known})


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
