"""Sample data of the styleguide."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.core.validators import validate_ipv4_address


class SampleForm(forms.Form):
    name = forms.CharField(label="Name", max_length=100, help_text="As it is shown on the wall.")
    address = forms.CharField(label="Address", validators=[validate_ipv4_address], help_text="Such as 192.168.0.10.")
    port = forms.IntegerField(label="Port", min_value=1, max_value=65535, required=False)
    password = forms.CharField(label="Password", widget=forms.PasswordInput(), required=False)
    slot = forms.ChoiceField(label="Card slot", choices=[("1", "Slot 1"), ("2", "Slot 2")])
    since = forms.DateTimeField(
        label="Since", required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    note = forms.CharField(label="Note", widget=forms.Textarea(attrs={"rows": 3}), required=False)
    enabled = forms.BooleanField(
        label="Ask this device for its state", help_text="Off: it is kept, but left alone.", required=False
    )


@dataclass(frozen=True)
class SampleDevice:
    name: str
    site: str
    address: str
    bit_rate: float | None  # Mb/s
    seen: str
    state: str
    simulated: bool = False


def sample_devices() -> list[SampleDevice]:
    return [
        SampleDevice("Parking East", "Site North", "192.0.2.11", 2.1, "14:32:05", "online"),
        SampleDevice("Corridor L1", "Site North", "192.0.2.12", 1.2, "14:32:06", "online"),
        SampleDevice("Gate A · LPR", "Site South", "192.0.2.21", 0.8, "14:31:58", "degraded"),
        SampleDevice("Gate B", "Site South", "192.0.2.22", None, "14:28:26", "offline"),
        SampleDevice("Roof PTZ", "Site South", "192.0.2.9", None, "", "unauthorised"),
        SampleDevice("Demo camera 1", "Demo", "127.0.0.1", 3.4, "14:32:07", "online", simulated=True),
        SampleDevice("Cold store", "Warehouse", "192.0.2.33", None, "", "disabled"),
    ]
