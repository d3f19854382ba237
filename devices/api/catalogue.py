"""Families: their options, and their vendors' documents as data."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Schema

from accounts.guards import endpoint
from accounts.policy import Action
from accounts.problems import Problem
from devices.api.routing import router
from devices.families import driver_class, families
from devices.models import Family


class FamilyOut(Schema):
    id: str
    name: str
    options: list[dict[str, Any]]


@router.get("families", response=list[FamilyOut])
@endpoint(Action.WATCH)
def list_families(request: HttpRequest) -> list[dict[str, Any]]:
    """The families of devices that can be added, and the options each knows."""
    return [
        {"id": each, "name": Family(each).label, "options": [option.facts() for option in driver_class(each).options]}
        for each in families()
    ]


class CommandOut(Schema):
    """A row of the vendor's document. In `params`, null is what the document does not limit; `choices` maps each value
    to what it means. `danger_for` names the parameters `danger` is about, and their values where not all are. A command
    that is not `runnable` is in the document but not described there, and never sent."""

    id: str
    section: str
    title: str
    path: str
    methods: list[str]
    access: str
    kind: str
    params: list[dict[str, Any]]
    reply: list[str]
    reply_kind: str
    constraints: list[dict[str, Any]]
    note: str
    danger: str | None
    danger_for: dict[str, list[str]]
    runnable: bool
    not_runnable: str | None


@router.get("families/{str:family}/commands", response=list[CommandOut])
@endpoint(Action.WATCH)
def list_commands(request: HttpRequest, family: str) -> list[dict[str, Any]]:
    """The vendor's document as data: every command with its parameters, what they allow, and what the reply holds."""
    if family not in families():
        raise Problem(404, f"There is no family {family[:20]}; there are {', '.join(families())}.")
    return [command.facts() for command in driver_class(family).catalogue]
