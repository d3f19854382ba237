"""The API's part about users, tokens, oneself and the audit. Rules live in accounts.users, .tokens and .audit."""

from __future__ import annotations

from typing import Any, Literal, cast

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field, model_validator

from accounts import audit, signin, tokens, users
from accounts.api_base import Body, Bool, Int, Moment, Page, Paging, Problem, left_out, paged
from accounts.grants import GrantSpec
from accounts.guards import endpoint, one_of
from accounts.models import ApiToken, AuditEntry, Role, User
from accounts.policy import Action, Standing, may, role_of

router = Router()


# --- Grants -----------------------------------------------------------------------------------------------------------
class GrantBody(Body):
    """Exactly one of: everything, one site, one camera."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    everything: Literal[True] = left_out()
    site: Int = left_out(description="The site's id.")
    camera: Int = left_out(description="The camera's id.")

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> GrantBody:
        if len(self.model_fields_set) != 1:
            raise ValueError("A grant is about one thing: everything, site or camera.")
        return self

    def spec(self) -> GrantSpec:
        return GrantSpec(site_id=self.site, camera_id=self.camera)


class GrantOut(Schema):
    everything: Literal[True] = left_out()
    site: int = left_out()
    camera: int = left_out()


def _grants_out(holder: User | ApiToken) -> list[dict[str, Any]]:
    return [
        {"everything": True}
        if grant.everything
        else ({"site": grant.site_id} if grant.site_id is not None else {"camera": grant.camera_id})
        for grant in sorted(holder.grants.all(), key=lambda each: each.pk)
    ]


def _specs(grants: list[GrantBody]) -> list[GrantSpec]:
    return [grant.spec() for grant in grants]


# --- Users ------------------------------------------------------------------------------------------------------------
class UserOut(Schema):
    id: int
    username: str
    full_name: str
    role: Role
    enabled: bool
    must_change_password: bool = Field(description="Nothing but choosing a new password is possible until it is done.")
    grants: list[GrantOut]
    created: Moment
    last_sign_in: Moment | None


def _user_out(user: User) -> dict[str, Any]:
    return {
        "id": user.pk,
        "username": user.username,
        "full_name": user.full_name,
        "role": user.role,
        "enabled": user.is_active,
        "must_change_password": user.must_change_password,
        "grants": _grants_out(user),
        "created": user.created,
        "last_sign_in": user.last_login,
    }


# What accounts.users checks, told to readers of the OpenAPI document; the sentences come from there.
NAME: dict[str, Any] = {"pattern": r"^[A-Za-z0-9_.@+-]+$"}
SECRET: dict[str, Any] = {"minLength": 10, "format": "password"}


class UserBody(Body):
    username: str = Field(max_length=64, json_schema_extra=NAME)
    password: str = Field(max_length=1000, json_schema_extra=SECRET)
    full_name: str = Field("", max_length=100)
    role: Role = Role.VIEWER
    enabled: Bool = True
    must_change_password: Bool = Field(
        False,
        description="Whether this password opens nothing in a browser but the page that chooses another. Left out it"
        " is false: the program answers for the password it sets. (A user added on a page must always choose another.)",
    )
    grants: list[GrantBody] = Field([], max_length=5000)


class UserPatch(Body):
    username: str = left_out(max_length=64)
    password: str = left_out(
        max_length=1000,
        description="A new password. The user must choose another, unless must_change_password is false beside it.",
    )
    full_name: str = left_out(max_length=100)
    role: Role = left_out()
    enabled: Bool = left_out()
    must_change_password: Bool = left_out(
        description="Whether the password opens nothing in a browser but the page that chooses another. "
        "Left out beside a new password it becomes true."
    )
    grants: list[GrantBody] = left_out(max_length=5000)


def _some_user(user_id: int) -> User:
    return one_of(User.objects.all(), pk=user_id)


@router.get("users", response=Page[UserOut], exclude_unset=True, tags=["users"])
@endpoint(Action.MANAGE_USERS)
def list_users(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    return paged(User.objects.order_by("username").prefetch_related("grants"), paging, _user_out)


@router.post("users", response={201: UserOut}, exclude_unset=True, tags=["users"])
@endpoint(Action.MANAGE_USERS)
def create_user(request: HttpRequest, body: UserBody) -> dict[str, Any]:
    user = users.create_user(
        request,
        username=body.username,
        password=body.password,
        full_name=body.full_name,
        role=body.role,
        is_active=body.enabled,
        must_change_password=body.must_change_password,
        grants=_specs(body.grants),
    )
    return _user_out(user)


@router.get("users/{int:user_id}", response=UserOut, exclude_unset=True, tags=["users"])
@endpoint(Action.MANAGE_USERS)
def read_user(request: HttpRequest, user_id: int) -> dict[str, Any]:
    return _user_out(_some_user(user_id))


@router.patch("users/{int:user_id}", response=UserOut, exclude_unset=True, tags=["users"])
@endpoint(Action.MANAGE_USERS)
def change_user(request: HttpRequest, user_id: int, body: UserPatch) -> dict[str, Any]:
    user = _some_user(user_id)
    given = {name: getattr(body, name) for name in body.model_fields_set}
    if "enabled" in given:
        given["is_active"] = given.pop("enabled")
    if "grants" in given:
        given["grants"] = _specs(given["grants"])
    return _user_out(users.update_user(request, user, **given))


@router.delete("users/{int:user_id}", response={204: None}, tags=["users"])
@endpoint(Action.MANAGE_USERS)
def delete_user(request: HttpRequest, user_id: int) -> None:
    users.delete_user(request, _some_user(user_id))


@router.post("users/{int:user_id}/unlock", response={204: None}, tags=["users"])
@endpoint(Action.MANAGE_USERS)
def unlock_user(request: HttpRequest, user_id: int) -> None:
    """Lift the lock-out that too many failed sign-ins brought."""
    signin.unlock(request, _some_user(user_id))


# --- Oneself ----------------------------------------------------------------------------------------------------------
class MeOut(Schema):
    id: int
    username: str
    full_name: str
    role: Role | None = Field(description="The role in force: the lower of the user's and the token's; null for none.")
    must_change_password: bool
    grants: list[GrantOut]
    token: str | None = Field(description="The name of the token this request came with.")


class PasswordBody(Body):
    current: str = Field(max_length=1000)
    new: str = Field(max_length=1000)


@router.get("me", response=MeOut, exclude_unset=True, tags=["me"])
@endpoint(Standing.NEW_PASSWORD)
def read_me(request: HttpRequest) -> dict[str, Any]:
    user = _me(request)
    return {
        "id": user.pk,
        "username": user.username,
        "full_name": user.full_name,
        "role": role_of(user),
        "must_change_password": user.must_change_password,
        "grants": _grants_out(user),
        "token": user.acting_token.name if user.acting_token else None,
    }


@router.post("me/password", response={204: None}, tags=["me"])
@endpoint(Standing.NEW_PASSWORD)
def change_my_password(request: HttpRequest, body: PasswordBody) -> None:
    """Choose a new password, in a browser's session: with a token it is refused (403).

    The session it is done in goes on, the user's other sessions end; tokens stay.
    """
    users.change_own_password(request, body.current, body.new)


def _me(request: HttpRequest) -> User:
    return cast(User, request.user)  # the door let nobody else in


# --- Tokens -----------------------------------------------------------------------------------------------------------
class TokenOut(Schema):
    id: int
    name: str
    user: int = Field(description="The id of the user it speaks for.")
    username: str
    role: Role
    prefix: str = Field(description="How the token begins.")
    narrowed: bool = Field(description="Whether it is limited to its grants; if not, it reaches what its user reaches.")
    grants: list[GrantOut] = Field(
        description="What it is narrowed to. Grants go with their site or camera: a narrowed token left without any "
        "reaches nothing."
    )
    created: Moment
    expires: Moment | None
    last_used: Moment | None


class NewTokenOut(TokenOut):
    token: str = Field(description="The token itself. It is shown this once and never again.")


class TokenBody(Body):
    name: str = Field(min_length=1, max_length=100)
    role: Role = left_out(description="At most the user's own, which it is when left out.")
    expires: Moment | None = None
    grants: list[GrantBody] = Field(
        [], max_length=5000, description="What to narrow it to; without any it reaches what its user reaches."
    )
    user: Int = left_out(description="For whom; only who manages users may name somebody else.")


def _token_out(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.pk,
        "name": token.name,
        "user": token.user_id,
        "username": token.user.username,
        "role": token.role,
        "prefix": token.prefix,
        "narrowed": token.narrowed,
        "grants": _grants_out(token),
        "created": token.created,
        "expires": token.expires,
        "last_used": token.last_used,
    }


@router.get("tokens", response=Page[TokenOut], exclude_unset=True, tags=["tokens"])
@endpoint(Standing.SIGNED_IN)
def list_tokens(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """One's own tokens; for who manages users, everybody's. With a token: itself, and those that can do no more."""
    return paged(tokens.manageable_by(_me(request)), paging, _token_out)


@router.post("tokens", response={201: NewTokenOut}, exclude_unset=True, tags=["tokens"])
@endpoint(Standing.SIGNED_IN)
def create_token(request: HttpRequest, body: TokenBody) -> dict[str, Any]:
    me = _me(request)
    owner = me
    if body.user is not None and body.user != me.pk:
        if not may(me, Action.MANAGE_USERS):
            raise Problem(403, "Only who manages users can make a token for somebody else.", "user")
        found = User.objects.filter(pk=body.user).first()
        if found is None:
            raise Problem(400, f"There is no user {body.user}.", "user")
        owner = found
    token, plain = tokens.create(
        request, owner, name=body.name, role=body.role, expires=body.expires, grants=_specs(body.grants)
    )
    return {**_token_out(token), "token": plain}


@router.delete("tokens/{int:token_id}", response={204: None}, tags=["tokens"])
@endpoint(Standing.SIGNED_IN)
def delete_token(request: HttpRequest, token_id: int) -> None:
    tokens.delete(request, one_of(tokens.manageable_by(_me(request)), pk=token_id))


# --- Audit ------------------------------------------------------------------------------------------------------------
class AuditFilter(Schema):
    who: str = Field("", max_length=64, description="A user name.")
    action: str = Field("", max_length=64)
    thing_type: str = Field("", max_length=32)
    thing_id: str = Field("", max_length=64)
    result: Literal["", "ok", "refused", "failed"] = ""
    text: str = Field("", max_length=100, description="Looked for in names, addresses and actions.")
    since: Moment | None = None
    until: Moment | None = None


class ThingOut(Schema):
    type: str
    id: str
    name: str


class AuditEntryOut(Schema):
    id: int
    at: Moment
    user: int | None
    username: str = Field(description="Empty: the system itself.")
    token: str
    address: str
    action: str
    thing: ThingOut | None
    result: AuditEntry.Result
    detail: dict[str, Any]


def _entry_out(entry: AuditEntry) -> dict[str, Any]:
    thing = {"type": entry.thing_type, "id": entry.thing_id, "name": entry.thing_name}
    return {
        "id": entry.pk,
        "at": entry.at,
        "user": entry.user_id,
        "username": entry.user_name,
        "token": entry.token_name,
        "address": entry.address,
        "action": entry.action,
        "thing": thing if entry.thing_type else None,
        "result": entry.result,
        "detail": entry.detail,
    }


@router.get("audit", response=Page[AuditEntryOut], tags=["audit"])
@endpoint(Action.READ_AUDIT)
def list_audit(request: HttpRequest, filters: Query[AuditFilter], paging: Query[Paging]) -> dict[str, Any]:
    return paged(audit.search(**filters.dict()), paging, _entry_out)


@router.get(
    "audit.csv",
    tags=["audit"],
    openapi_extra={
        "responses": {200: {"description": "OK", "content": {"text/csv": {"schema": {"type": "string"}}}}},
    },
)
@endpoint(Action.READ_AUDIT)
def export_audit(request: HttpRequest, filters: Query[AuditFilter]) -> HttpResponse:
    audit.record(request, "export audit", filters={k: v for k, v in filters.dict().items() if v})
    chunks = audit.acsv_chunks(audit.search(**filters.dict()))
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return cast(HttpResponse, StreamingHttpResponse(chunks, content_type="text/csv; charset=utf-8", headers=headers))
