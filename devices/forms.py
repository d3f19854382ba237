"""The forms of the devices' pages: they read and bound what was typed. What is allowed, devices.fleet decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.db.models import QuerySet

from accounts.policy import Someone
from accounts.problems import Problem
from devices.families import families
from devices.fleet import DEFAULT_SITE
from devices.models import Device, Family, Site, State, Tag
from devices.options import FlagOption, NumberOption, Option, WordOption, value_of


class DeviceFilter(forms.Form):
    """What the list shows. A field that could not be read filters nothing, and says so beside it."""

    text = forms.CharField(
        label="Search",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "data-search": "", "placeholder": "Name, address, model…"}),
    )
    state = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "All states"), ("trouble", "Any trouble"), *State.choices, ("disabled", "Disabled")],
    )
    site = forms.ChoiceField(label="Site", required=False)
    family = forms.ChoiceField(label="Family", required=False, choices=[("", "All families"), *Family.choices])
    tag = forms.ChoiceField(label="Tag", required=False)

    def __init__(self, *args: Any, sites: QuerySet[Site], tags: QuerySet[Tag], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, everything, rows in (("site", "All sites", sites), ("tag", "All tags", tags)):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", everything), *((row.name, row.name) for row in rows)]

    def chosen(self) -> dict[str, Any]:
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class EventFilter(forms.Form):
    """What the list of events shows. A field that could not be read filters nothing, and says so beside it."""

    KINDS: ClassVar[dict[str, tuple[str, ...]]] = {
        "states": ("device.state",),
        "problems": ("device.problem", "device.problem_over"),
        "recording": ("device.recording",),
        "switches": ("device.switch",),
        "care": ("device.restart", "device.back", "device.not_back", "device.reset", "device.certificate_changed"),
    }

    text = forms.CharField(
        label="Search",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "data-search": "", "placeholder": "Device, site, words…"}),
    )
    type = forms.ChoiceField(
        label="Kind",
        required=False,
        choices=[
            ("", "All kinds"),
            ("states", "States"),
            ("problems", "Problems"),
            ("recording", "Recording"),
            ("switches", "Triggers and switches"),
            ("care", "Restarts and certificates"),
        ],
    )
    site = forms.ChoiceField(label="Site", required=False)
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

    def __init__(self, *args: Any, sites: QuerySet[Site], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["site"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "All sites"), *((site.name, site.name) for site in sites)]

    def chosen(self) -> dict[str, Any]:
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class NewDevice(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=100,
        required=False,
        help_text="What people call it; the address, if left empty.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    family = forms.ChoiceField(label="Family")
    scheme = forms.ChoiceField(label="Scheme", choices=[("http", "http"), ("https", "https")])
    host = forms.CharField(
        label="Address",
        max_length=255,
        help_text="An IP address or a host name.",
        widget=forms.TextInput(
            attrs={"autofocus": True, "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    port = forms.IntegerField(
        label="Port", min_value=1, max_value=65535, required=False, help_text="80, or 443 with https, if left empty."
    )
    username = forms.CharField(
        label="User name",
        max_length=64,
        required=False,
        help_text="A log-in of the device's administrator.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = forms.CharField(
        label="Password",
        max_length=128,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    site = forms.ChoiceField(label="Site")
    new_site = forms.CharField(
        label="New site",
        max_length=100,
        required=False,
        help_text="Only to add a site; leave empty to use the one chosen.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    tags = forms.CharField(
        label="Tags",
        max_length=400,
        required=False,
        help_text="Words of yours to find it by; commas between several.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, user: Someone, may_add_sites: bool, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        names = [site.name for site in Site.objects.controlled_by(user)]
        if may_add_sites and DEFAULT_SITE not in names:
            names.append(DEFAULT_SITE)
        known = families()
        self.fields["family"] = forms.ChoiceField(
            label="Family", choices=[("", "— let it tell —"), *((family, Family(family).label) for family in known)]
        )
        first = [name for name in names if name == DEFAULT_SITE]
        ordered = first + [name for name in names if name != DEFAULT_SITE]
        self.fields["site"] = forms.ChoiceField(label="Site", choices=[(name, name) for name in ordered])
        if not may_add_sites:
            del self.fields["new_site"]


class EditDevice(forms.Form):
    """What can be changed of a device. The options of its family are fields of their own, `option_…`."""

    name = forms.CharField(label="Name", max_length=100, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    site = forms.ChoiceField(label="Site")
    tags = forms.CharField(
        label="Tags",
        max_length=400,
        required=False,
        help_text="Words of yours to find it by; commas between several.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scheme = NewDevice.base_fields["scheme"]
    host = forms.CharField(
        label="Address",
        max_length=255,
        help_text="Another address may be another device: what is known of it is asked anew.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    port = forms.IntegerField(label="Port", min_value=1, max_value=65535)
    username = NewDevice.base_fields["username"]
    password = forms.CharField(
        label="Password",
        max_length=128,
        required=False,
        strip=False,
        help_text="Leave empty to keep the one that is stored.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(
        self,
        user: Someone,
        device: Device,
        options: Sequence[Option],
        reaches_everything: bool,
        data: Any = None,
    ) -> None:
        initial = {name: getattr(device, name) for name in ("name", "scheme", "host", "port", "username")}
        initial["site"] = device.site.name
        initial["tags"] = ", ".join(tag.name for tag in device.tags.all())
        for option in options:
            initial[f"option_{option.name}"] = value_of((option,), device.options, option.name)
        super().__init__(data, initial=initial)
        sites = Site.objects.all() if reaches_everything else Site.objects.controlled_by(user)
        self.fields["site"] = forms.ChoiceField(label="Site", choices=[(site.name, site.name) for site in sites])
        self.options = options
        self.device = device
        for option in options:
            self.fields[f"option_{option.name}"] = _option_field(option)

    @property
    def option_fields(self) -> list[forms.BoundField]:
        return [self[f"option_{option.name}"] for option in self.options]

    def changes(self) -> dict[str, Any]:
        """For `fleet.change_device`. An option that is as the family has it is not kept, unless it was set before."""
        changes = {name: self.cleaned_data[name] for name in ("name", "site", "scheme", "host", "port", "username")}
        if changes["site"] == self.device.site.name:
            del changes["site"]
        if self.cleaned_data["password"]:
            changes["password"] = self.cleaned_data["password"]
        changes["tags"] = self.cleaned_data["tags"].split(",")
        wanted = {option.name: self.cleaned_data[f"option_{option.name}"] for option in self.options}
        changes["options"] = {
            option.name: wanted[option.name]
            for option in self.options
            if wanted[option.name] != option.default or option.name in self.device.options
        }
        return changes

    def tell(self, problem: Problem) -> None:
        """Put the sentence where it belongs."""
        name = (problem.field or "").replace("options.", "option_")
        self.add_error(name if name in self.fields else None, problem.sentence)


def _option_field(option: Option) -> forms.Field:
    label = option.name.replace("_", " ").capitalize().replace("Tls", "TLS").replace("Rtsp", "RTSP")
    if isinstance(option, FlagOption):
        return forms.BooleanField(label=label, help_text=option.help, required=False)
    if isinstance(option, WordOption):
        return forms.ChoiceField(label=label, help_text=option.help, choices=[(word, word) for word in option.words])
    if isinstance(option, NumberOption):
        return forms.IntegerField(label=label, help_text=option.help, min_value=option.low, max_value=option.high)
    return forms.CharField(label=label, help_text=option.help, max_length=255, required=False, initial=option.default)
