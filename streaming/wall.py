"""The live wall: what can be put on it, and the views people keep of it. Only what a user may watch is told them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from django.db import IntegrityError, transaction

from accounts.models import User
from accounts.policy import Action, Someone, may
from accounts.problems import Problem
from devices import ptz
from devices.errors import DeviceError
from devices.families import driver_for
from devices.models import Camera, Device, Site
from streaming.models import WallView

# layout → how many tiles it has
LAYOUTS = {"1": 1, "4": 4, "9": 9, "16": 16, "25": 25, "1+5": 6, "1+7": 8}
MOST_VIEWS = 50  # of one user
LONGEST_NAME = 60


# --- The tree ---------------------------------------------------------------------------------------------------------
@dataclass
class Leaf:
    camera: Camera
    sound: bool
    steerable: bool


@dataclass
class Branch:
    """A device of several cameras, or of one: then only the camera is shown."""

    device: Device
    leaves: list[Leaf]


@dataclass
class SiteBranch:
    site: Site
    branches: list[Branch] = field(default_factory=list)

    @property
    def cameras(self) -> int:
        return sum(len(branch.leaves) for branch in self.branches)


def tree(user: Someone) -> list[SiteBranch]:
    """The cameras this user may watch, by site and device."""
    cameras = (
        Camera.objects.visible_to(user)
        .select_related("device__site")
        .order_by("device__site__name", "device__site", "device__name", "device", "number")
    )
    found: list[SiteBranch] = []
    for site, of_site in groupby(cameras, key=lambda camera: camera.device.site):
        branches = [
            Branch(device, [_leaf(camera) for camera in of_device])
            for device, of_device in groupby(of_site, key=lambda camera: camera.device)
        ]
        found.append(SiteBranch(site, branches))
    return found


def _leaf(camera: Camera) -> Leaf:
    try:
        sound = any(stream.audio for stream in driver_for(camera.device).streams(camera))
        return Leaf(camera, sound, bool(ptz.works(camera)))
    except DeviceError:
        return Leaf(camera, False, False)


# --- Views ------------------------------------------------------------------------------------------------------------
def views(user: Someone) -> list[WallView]:
    """One's own in the order in which they were made, then what others share; the digits count them so."""
    found = WallView.objects.visible_to(user).select_related("user")
    return sorted(found, key=lambda view: (view.user_id != user.pk, view.pk))


def told(user: Someone, shown: Sequence[WallView]) -> list[dict[str, Any]]:
    """Views as this user may know them: a camera they may not watch is an empty tile."""
    wanted = {camera for view in shown for camera in view.cameras if camera is not None}
    visible = set(Camera.objects.visible_to(user).filter(pk__in=wanted).values_list("pk", flat=True))
    return [
        {
            "id": view.pk,
            "name": view.name,
            "layout": view.layout,
            "cameras": [camera if camera in visible else None for camera in view.cameras],
            "shared": view.shared,
            "own": view.user_id == user.pk,
            "owner": view.user.username,
        }
        for view in shown
    ]


def save(user: User, view: WallView, **changes: Any) -> WallView:
    """Check what is changed and keep it. Raises Problem with a sentence about what cannot be."""
    for name, value in changes.items():
        setattr(view, name, value)
    view.name = view.name.strip()
    if not view.name or len(view.name) > LONGEST_NAME:
        raise Problem(400, f"A view needs a name of at most {LONGEST_NAME} characters.", "name")
    if view.layout not in LAYOUTS:
        raise Problem(400, f"The layout is one of {', '.join(LAYOUTS)}.", "layout")
    if len(view.cameras) > LAYOUTS[view.layout]:
        raise Problem(
            400, f"The layout {view.layout} has {LAYOUTS[view.layout]} tiles, not {len(view.cameras)}.", "cameras"
        )
    if "cameras" in changes:
        put = [camera for camera in view.cameras if camera is not None]
        wanted = set(put)
        if len(wanted) < len(put):
            raise Problem(400, "Each camera stands on the wall once.", "cameras")
        visible = set(Camera.objects.visible_to(user).filter(pk__in=wanted).values_list("pk", flat=True))
        if missing := wanted - visible:
            raise Problem(400, f"There is no camera {min(missing)}, or you may not see it.", "cameras")
    if changes.get("shared") and not may(user, Action.CONFIGURE):
        raise Problem(403, "Only administrators share views with everybody; keep it as your own.")
    if view.pk is None and WallView.objects.filter(user=user).count() >= MOST_VIEWS:
        raise Problem(409, f"You have {MOST_VIEWS} views already. Delete one that you no longer need.")
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError:
        raise Problem(409, f"You have a view called {view.name} already.", "name") from None
    return view
