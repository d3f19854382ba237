"""The forms of the accounts' pages: they read and bound what was typed. What is allowed, users and tokens decide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from accounts.grants import EVERYTHING, GrantSpec
from accounts.models import AuditEntry, Grant, Role, User
from accounts.passwords import LONGEST_PASSWORD
from accounts.problems import Problem

EVERYWHERE, CHOSEN = "everything", "chosen"


class SignIn(forms.Form):
    username = forms.CharField(
        label="User name",
        max_length=64,
        widget=forms.TextInput(
            attrs={"autofocus": True, "autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    password = forms.CharField(
        label="Password",
        max_length=LONGEST_PASSWORD,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class NewPassword(forms.Form):
    current = forms.CharField(
        label="Present password",
        max_length=LONGEST_PASSWORD,
        strip=False,
        widget=forms.PasswordInput(attrs={"autofocus": True, "autocomplete": "current-password"}),
    )
    new = forms.CharField(
        label="New password",
        max_length=LONGEST_PASSWORD,
        strip=False,
        help_text="At least 10 characters; not your name, and none that everybody uses.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label="New password, once more",
        max_length=LONGEST_PASSWORD,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_again(self) -> str:
        again = str(self.cleaned_data["again"])
        if "new" in self.cleaned_data and again != self.cleaned_data["new"]:
            raise forms.ValidationError("This is not the same as the new password above.")
        return again


# --- Grants as a choice of places -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Place:
    """A site or a camera that can be granted."""

    value: str
    name: str


@dataclass(frozen=True)
class SitePlaces:
    site: Place
    cameras: list[Place]


def places_for(user: User) -> list[SitePlaces]:
    """The sites and cameras this user sees, to choose grants from.

    Both live in the room above; they are found through the grants' own foreign keys.
    """
    sites: Any = Grant._meta.get_field("site").related_model
    cameras: Any = Grant._meta.get_field("camera").related_model
    by_site: dict[int, list[Place]] = {}
    seen = cameras.objects.visible_to(user).order_by("device__name", "number")
    for pk, name, site in seen.values_list("pk", "name", "device__site"):
        by_site.setdefault(site, []).append(Place(f"camera:{pk}", name))
    return [
        SitePlaces(Place(f"site:{pk}", name), by_site.get(pk, []))
        for pk, name in sites.objects.visible_to(user).values_list("pk", "name")
    ]


def grants_from(reach: str, places: Iterable[str]) -> list[GrantSpec]:
    if reach == EVERYWHERE:
        return [EVERYTHING]
    grants = []
    for place in places:
        kind, _, key = place.partition(":")
        if kind not in ("site", "camera") or not key.isascii() or not key.isdigit() or len(key) > 18:
            raise Problem(400, "Choose sites and cameras from the list.", "places")
        grants.append(GrantSpec(site_id=int(key)) if kind == "site" else GrantSpec(camera_id=int(key)))
    return grants


def places_from(grants: Iterable[GrantSpec]) -> list[str]:
    return [
        f"site:{spec.site_id}" if spec.site_id is not None else f"camera:{spec.camera_id}"
        for spec in grants
        if not spec.everything
    ]


class Places(forms.Field):
    """Ticked sites and cameras. The template draws them as a tree; whether they exist is checked with the grants."""

    widget = forms.MultipleHiddenInput

    def clean(self, value: Any) -> list[str]:
        return list(value or [])


class WithReach(forms.Form):
    reach = forms.ChoiceField(label="Reach", choices=[(EVERYWHERE, "Everything"), (CHOSEN, "Chosen")], initial=CHOSEN)
    places = Places(required=False)

    def grants(self) -> list[GrantSpec]:
        return grants_from(self.cleaned_data["reach"], self.cleaned_data["places"])


# --- Users ------------------------------------------------------------------------------------------------------------
class EditUser(WithReach):
    username = forms.CharField(
        label="User name",
        max_length=64,
        help_text="Letters, digits and . @ + - _",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    full_name = forms.CharField(label="Full name", max_length=100, required=False)
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.VIEWER)
    password = forms.CharField(
        label="New password",
        max_length=LONGEST_PASSWORD,
        required=False,
        strip=False,
        help_text="Leave empty to keep the present one. One that you set must be changed at the next sign-in.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, myself: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if myself:  # one's own is changed where the present one is asked for
            del self.fields["password"]


class AddUser(EditUser):
    password = forms.CharField(
        label="First password",
        max_length=LONGEST_PASSWORD,
        strip=False,
        help_text="At least 10 characters. Hand it over in person; another one must be chosen at the first sign-in.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


# --- Tokens -----------------------------------------------------------------------------------------------------------
LIFETIMES = [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("date", "Until a day…"),
             ("never", "Never ends")]  # fmt: skip


class AddToken(WithReach):
    name = forms.CharField(
        label="Name", max_length=100, help_text="What will use it: you see it here and in the audit."
    )
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.VIEWER)
    lifetime = forms.ChoiceField(label="Ends after", choices=LIFETIMES, initial="90")
    until = forms.DateField(
        label="Last day (UTC)",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={"invalid": "Write the day as 2026-11-30."},
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        most = Role(user.role)
        field = self.fields["role"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(role.value, role.label) for role in Role if role.rank <= most.rank]
        self.fields["reach"].initial = EVERYWHERE

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("lifetime") == "date" and not cleaned.get("until") and "until" not in self.errors:
            self.add_error("until", "Say the last day on which it shall work.")
        if cleaned.get("reach") == CHOSEN and not cleaned.get("places"):
            self.add_error("places", "Choose at least one site or camera, or leave it at everything you may reach.")
        return cleaned

    def grants(self) -> list[GrantSpec]:
        # A token without grants of its own reaches what its user reaches, also when that changes.
        return [] if self.cleaned_data["reach"] == EVERYWHERE else super().grants()

    def expires(self) -> datetime | None:
        lifetime = self.cleaned_data["lifetime"]
        if lifetime == "never":
            return None
        if lifetime == "date":
            last: date = self.cleaned_data["until"]
            return datetime.combine(last, time.min, UTC) + timedelta(days=1)
        return timezone.now() + timedelta(days=int(lifetime))


# --- Audit ------------------------------------------------------------------------------------------------------------
class AuditFilter(forms.Form):
    text = forms.CharField(
        label="Search",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "data-search": "", "placeholder": "Name, address, action…"}),
    )
    who = forms.CharField(label="User", max_length=64, required=False)
    action = forms.CharField(label="Action", max_length=64, required=False)
    result = forms.ChoiceField(label="Result", choices=[("", "All"), *AuditEntry.Result.choices], required=False)
    since = forms.DateTimeField(
        label="From (UTC)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    until = forms.DateTimeField(
        label="To (UTC)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def chosen(self) -> dict[str, Any]:
        """What `audit.search` takes; a field that could not be read filters nothing (and says so beside it)."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}
