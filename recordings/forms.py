"""The filter of the library's page."""

from __future__ import annotations

from typing import Any

from django import forms

from devices.models import CameraQuerySet, DeviceQuerySet
from recordings.library import Wish
from recordings.models import File


def _moment() -> forms.DateTimeInput:
    return forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class FileFilter(forms.Form):
    """What the library shows. A field that could not be read filters nothing, and says so beside it."""

    text = forms.CharField(
        label="Search",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "data-search": "", "placeholder": "Name, camera, notes…"}),
    )
    device = forms.TypedChoiceField(label="Device", required=False, coerce=int, empty_value=None)
    camera = forms.TypedChoiceField(label="Camera", required=False, coerce=int, empty_value=None)
    origin = forms.ChoiceField(label="Origin", required=False, choices=[("", "All origins"), *File.Origin.choices])
    since = forms.DateTimeField(label="From (UTC)", required=False, widget=_moment())
    until = forms.DateTimeField(label="To (UTC)", required=False, widget=_moment())

    def __init__(self, *args: Any, devices: DeviceQuerySet, cameras: CameraQuerySet, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, everything, rows in (("device", "All devices", devices), ("camera", "All cameras", cameras)):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", everything), *rows.order_by("name", "pk").values_list("pk", "name")]

    def wish(self) -> Wish:
        self.is_valid()
        return Wish(**self.cleaned_data)
