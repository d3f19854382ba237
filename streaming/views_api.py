"""Saved views of the live wall, for the wall itself and for whoever wants to set it up for others."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema, Status

from accounts.api_base import Body, Bool, Int, Page, Paging, left_out, paged
from accounts.guards import endpoint, one_of
from accounts.models import User
from accounts.policy import Action
from streaming import wall
from streaming.models import WallView

router = Router(tags=["live"])

Name = Annotated[str, Field(max_length=200)]
Cameras = Annotated[list[Int | None], Field(max_length=25, description="Camera ids, tile by tile; null is empty.")]
Layout = Annotated[str, Field(max_length=10, description=f"One of {', '.join(wall.LAYOUTS)}.")]


class ViewIn(Body):
    name: Name
    layout: Layout
    cameras: Cameras
    shared: Bool = False


class ViewChange(Body):
    name: Name = left_out()
    layout: Layout = left_out()
    cameras: Cameras = left_out()
    shared: Bool = left_out()


class ViewOut(Schema):
    id: int
    name: str
    layout: str
    cameras: list[int | None] = Field(description="A camera that the caller may not watch is null.")
    shared: bool
    own: bool = Field(description="Whether it is the caller's, who alone may change it.")
    owner: str


def _user(request: HttpRequest) -> User:
    user = request.user
    assert isinstance(user, User)  # the door lets nobody else in
    return user


def _out(request: HttpRequest, view: WallView) -> dict[str, Any]:
    return wall.told(request.user, [view])[0]


@router.get("views", response=Page[ViewOut])
@endpoint(Action.WATCH)
def list_views(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    return paged(wall.told(request.user, wall.views(request.user)), paging)


@router.post("views", response={201: ViewOut})
@endpoint(Action.WATCH)
def add_view(request: HttpRequest, body: ViewIn) -> Status[dict[str, Any]]:
    user = _user(request)
    return Status(201, _out(request, wall.save(user, WallView(user=user), **body.dict())))


@router.patch("views/{int:view_id}", response=ViewOut)
@endpoint(Action.WATCH)
def change_view(request: HttpRequest, view_id: int, body: ViewChange) -> dict[str, Any]:
    user = _user(request)
    view = one_of(WallView.objects.controlled_by(user), pk=view_id)
    return _out(request, wall.save(user, view, **body.dict(exclude_unset=True)))


@router.delete("views/{int:view_id}", response={204: None})
@endpoint(Action.WATCH)
def remove_view(request: HttpRequest, view_id: int) -> Status[None]:
    one_of(WallView.objects.controlled_by(request.user), pk=view_id).delete()
    return Status(204, None)
