"""Grants as values: what a user may reach, or a token is narrowed to, before it becomes rows and after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accounts.models import ApiToken, Grant, User
from accounts.problems import Problem

MOST_GRANTS = 5000


@dataclass(frozen=True, order=True)
class GrantSpec:
    """One grant: on a site, on a camera, or (with neither) on everything."""

    site_id: int | None = None
    camera_id: int | None = None

    @property
    def everything(self) -> bool:
        return self.site_id is None and self.camera_id is None

    def __str__(self) -> str:
        if self.everything:
            return "everything"
        return f"site {self.site_id}" if self.site_id is not None else f"camera {self.camera_id}"


EVERYTHING = GrantSpec()


def grants_of(holder: User | ApiToken) -> list[GrantSpec]:
    return [GrantSpec(*row) for row in holder.grants.order_by("pk").values_list("site_id", "camera_id")]


def check_grants(grants: Iterable[GrantSpec]) -> list[GrantSpec]:
    """The grants without repetition, each about one thing that exists."""
    wanted = list(dict.fromkeys(grants))
    if len(wanted) > MOST_GRANTS:
        raise Problem(400, f"That is more than {MOST_GRANTS} grants; grant whole sites instead.", "grants")
    for spec in wanted:
        if spec.site_id is not None and spec.camera_id is not None:
            raise Problem(400, "A grant is about a site or a camera, not both.", "grants")
    for kind in ("site", "camera"):
        ids = {id for spec in wanted if (id := getattr(spec, f"{kind}_id")) is not None}
        if not ids:
            continue
        model = Grant._meta.get_field(kind).related_model
        assert isinstance(model, type)
        known = set(model._base_manager.filter(pk__in=ids).values_list("pk", flat=True))
        if missing := ids - known:
            raise Problem(400, f"There is no {kind} {min(missing)}.", "grants")
    return wanted


def write_grants(holder: User | ApiToken, wanted: list[GrantSpec]) -> None:
    """Make these the holder's grants. Rows that stay are left alone. Inside a transaction of the caller's."""
    present = {GrantSpec(grant.site_id, grant.camera_id): grant for grant in holder.grants.all()}
    Grant.objects.filter(pk__in=[grant.pk for spec, grant in present.items() if spec not in wanted]).delete()
    owner = {"user": holder} if isinstance(holder, User) else {"token": holder}
    Grant.objects.bulk_create(
        Grant(**owner, site_id=spec.site_id, camera_id=spec.camera_id) for spec in wanted if spec not in present
    )
