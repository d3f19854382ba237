"""Who may do what: every role with every action, within every kind of reach, with and without tokens."""

from collections.abc import Callable
from datetime import timedelta
from itertools import product

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from accounts import tokens
from accounts.grants import GrantSpec
from accounts.models import ApiToken, Grant, Role, User
from accounts.policy import NEEDS_EVERYTHING, Action, Standing, allowed, may, those_allowed, why_not
from devices.models import Camera, Device, Site

# Said here once more and by hand: who changes the policy must mean it.
VIEWER = {Action.WATCH}
OPERATOR = VIEWER | {Action.DIAGNOSE, Action.STEER, Action.RECORD, Action.PLAYBACK, Action.EXPORT}
ADMIN = set(Action)
POWER = {Role.VIEWER: VIEWER, Role.OPERATOR: OPERATOR, Role.ADMIN: ADMIN}


@pytest.mark.parametrize(("role", "action"), list(product(Role, Action)))
def test_a_role_may_do_its_actions_and_no_others(new_user: Callable[..., User], role: Role, action: Action) -> None:
    user = new_user("ann", role, everything=True)
    assert may(user, action) == (action in POWER[role])


@pytest.mark.parametrize("reach", ["everything", "site", "camera", "nothing"])
@pytest.mark.parametrize(("role", "action"), list(product(Role, sorted(set(Action) - NEEDS_EVERYTHING))))
def test_an_action_needs_the_thing_in_reach(
    new_user: Callable[..., User], new_camera: Callable[..., Camera], role: Role, action: Action, reach: str
) -> None:
    gate = new_camera("Gate")
    yard = new_camera("Yard", device=gate.device)  # on the same recorder
    other = new_camera("Other")
    grants = {
        "everything": {"everything": True},
        "site": {"sites": (gate.device.site,)},
        "camera": {"cameras": (gate,)},
        "nothing": {},
    }
    user = new_user("ann", role, **grants[reach])
    able = action in POWER[role]
    assert may(user, action, gate) == (able and reach != "nothing")
    assert may(user, action, yard) == (able and reach in ("everything", "site"))
    assert may(user, action, other) == (able and reach == "everything")
    # A device as a whole: who was granted one of its cameras sees it, but acts on that camera alone.
    sees = {"everything", "site", "camera"} if action is Action.WATCH else {"everything", "site"}
    assert may(user, action, gate.device) == (able and reach in sees)
    assert may(user, action, gate.device.site) == (able and reach in sees)


@pytest.mark.parametrize("action", sorted(NEEDS_EVERYTHING))
def test_what_concerns_the_installation_needs_a_grant_on_everything(
    new_user: Callable[..., User], new_camera: Callable[..., Camera], action: Action
) -> None:
    assert not may(new_user("ann", Role.ADMIN, sites=(new_camera().device.site,)), action)
    assert may(new_user("bob", Role.ADMIN, everything=True), action)


def test_lists_show_exactly_what_single_questions_allow(
    new_user: Callable[..., User], new_camera: Callable[..., Camera]
) -> None:
    gate, other = new_camera("Gate"), new_camera("Other")
    yard = new_camera("Yard", device=gate.device)
    user = new_user("ann", Role.OPERATOR, cameras=(gate,))
    for model in (Camera, Device, Site):
        for action in (Action.WATCH, Action.STEER, Action.CONFIGURE):
            keys = set(model.objects.values_list("pk", flat=True))
            assert those_allowed(user, action, model, keys) == {
                row.pk for row in model.objects.all() if may(user, action, row)
            }
    assert set(Camera.objects.visible_to(user)) == {gate}
    assert set(Device.objects.visible_to(user)) == {gate.device}
    assert set(Site.objects.visible_to(user)) == {gate.device.site}
    assert set(Device.objects.controlled_by(user)) == set()
    assert {yard, other}.isdisjoint(Camera.objects.visible_to(user))


def test_a_disabled_user_may_and_sees_nothing(new_user: Callable[..., User], new_camera: Callable[..., Camera]) -> None:
    new_camera()
    user = new_user("ann", Role.ADMIN, everything=True, is_active=False)
    assert not any(may(user, action) for action in Action)
    assert not any(allowed(user, policy) for policy in (Standing.SIGNED_IN, Standing.NEW_PASSWORD))
    assert not Camera.objects.visible_to(user).exists()


def test_nobody_may_and_sees_nothing(db: None, new_camera: Callable[..., Camera]) -> None:
    new_camera()
    assert not any(may(AnonymousUser(), action) for action in Action)
    assert [each for each in Standing if allowed(AnonymousUser(), each)] == [Standing.PUBLIC]
    assert not Camera.objects.visible_to(AnonymousUser()).exists()


def test_a_password_others_have_seen_opens_nothing_but_the_way_to_another(new_user: Callable[..., User]) -> None:
    user = new_user("ann", Role.ADMIN, everything=True, must_change_password=True)
    assert not any(may(user, action) for action in Action)
    assert not allowed(user, Standing.SIGNED_IN)
    assert allowed(user, Standing.NEW_PASSWORD)
    assert "new password" in why_not(user, Action.WATCH)


def _with_token(user: User, role: Role, **fields: object) -> User:
    token = ApiToken.objects.create(user=user, name="t", role=role, prefix="vms_", digest=f"{user.pk}{role}", **fields)
    user.acting_token = token
    return user


@pytest.mark.parametrize(("of_user", "of_token", "action"), list(product(Role, Role, Action)))
def test_a_token_has_the_lower_of_both_roles(
    new_user: Callable[..., User], of_user: Role, of_token: Role, action: Action
) -> None:
    user = _with_token(new_user("ann", of_user, everything=True), of_token)
    assert may(user, action) == (action in POWER[of_user] & POWER[of_token])


def test_a_tokens_grants_narrow_its_users(new_user: Callable[..., User], new_camera: Callable[..., Camera]) -> None:
    gate, yard, other = new_camera("Gate"), new_camera("Yard"), new_camera("Other")
    user = _with_token(new_user("ann", Role.ADMIN, cameras=(gate, yard)), Role.ADMIN)
    assert set(Camera.objects.visible_to(user)) == {gate, yard}
    user = _with_token(user, Role.VIEWER, narrowed=True)
    Grant.objects.create(token=user.acting_token, camera=yard)
    Grant.objects.create(token=user.acting_token, camera=other)
    assert set(Camera.objects.visible_to(user)) == {yard}, "a token cannot reach what its user cannot"


def test_a_narrowed_token_of_an_administrator_does_not_manage_users(
    new_user: Callable[..., User], new_camera: Callable[..., Camera]
) -> None:
    user = _with_token(new_user("ann", Role.ADMIN, everything=True), Role.ADMIN)
    assert may(user, Action.MANAGE_USERS)
    user = _with_token(user, Role.OPERATOR, narrowed=True)
    Grant.objects.create(token=user.acting_token, camera=new_camera())
    assert not may(user, Action.MANAGE_USERS)


@pytest.mark.parametrize("narrowed_to", ["camera", "site"])
def test_a_narrowed_token_reaches_nothing_once_that_is_gone(
    new_user: Callable[..., User], new_camera: Callable[..., Camera], narrowed_to: str
) -> None:
    gate, yard = new_camera("Gate"), new_camera("Yard")
    admin = new_user("ann", Role.ADMIN, everything=True)
    spec = GrantSpec(camera_id=gate.pk) if narrowed_to == "camera" else GrantSpec(site_id=gate.device.site_id)
    _, plain = tokens.create(admin, admin, name="narrow", grants=[spec])
    gate.device.delete()
    Site.objects.get(name="Site of Gate").delete()
    acting = tokens.user_of(plain)
    assert acting is not None
    assert not Camera.objects.visible_to(acting).exists()
    assert not may(acting, Action.WATCH, yard)
    assert not may(acting, Action.MANAGE_USERS)
    tokens.create(acting, acting, name="from it")
    made = User.objects.get(pk=admin.pk)
    made.acting_token = ApiToken.objects.get(name="from it")
    assert not Camera.objects.visible_to(made).exists(), "nor does a token that it makes reach more"


def test_an_expired_token_opens_nothing(new_user: Callable[..., User]) -> None:
    user = _with_token(new_user("ann", Role.ADMIN, everything=True), Role.ADMIN, expires=timezone.now() - timedelta(1))
    assert not any(may(user, action) for action in Action)
    assert not allowed(user, Standing.NEW_PASSWORD)


@pytest.mark.parametrize("policy", [*Action, Standing.SIGNED_IN])
def test_every_refusal_is_a_sentence(
    new_user: Callable[..., User], new_camera: Callable[..., Camera], policy: str
) -> None:
    sentence = why_not(new_user("ann", Role.VIEWER), policy, new_camera())
    assert sentence[0].isupper()
    assert sentence.endswith(".")
