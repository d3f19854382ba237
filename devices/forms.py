"""The forms of the devices' pages: they read and bound what was typed. What is allowed, devices.fleet decides."""

from __future__ import annotations

from django import forms

from accounts.models import User
from devices.families import families
from devices.fleet import DEFAULT_SITE
from devices.models import Family, Site


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

    def __init__(self, user: User, may_add_sites: bool, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        names = [site.name for site in Site.objects.controlled_by(user)]
        if may_add_sites and DEFAULT_SITE not in names:
            names.append(DEFAULT_SITE)
        known = families()
        self.fields["family"] = forms.ChoiceField(
            label="Family", choices=[(family, Family(family).label) for family in known]
        )
        first = [name for name in names if name == DEFAULT_SITE]
        ordered = first + [name for name in names if name != DEFAULT_SITE]
        self.fields["site"] = forms.ChoiceField(label="Site", choices=[(name, name) for name in ordered])
        if not may_add_sites:
            del self.fields["new_site"]
