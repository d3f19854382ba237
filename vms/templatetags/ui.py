"""The small pieces that pages are written with: icons, states, form fields. Looks live in static/css, words here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from django import forms, template
from django.forms.boundfield import BoundField
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@dataclass(frozen=True)
class Look:
    """How a state shows itself: never by colour alone."""

    word: str
    tone: str
    icon: str


LOOKS = {
    "online": Look("Online", "good", "circle-check"),
    "degraded": Look("Degraded", "warn", "triangle-alert"),
    "offline": Look("Offline", "bad", "wifi-off"),
    "unauthorised": Look("Unauthorised", "bad", "lock"),
    "replaced": Look("Replaced", "bad", "replace"),
    "unknown": Look("Not asked yet", "idle", "circle-question-mark"),
    "disabled": Look("Disabled", "idle", "circle-off"),
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of static/icons.svg; decoration only, so the word beside it (or the button's label) is what is read."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', static("icons.svg"), name)


@register.filter
def shown_state(device: Any) -> str:
    """The state to show: a device that is switched off has none of its own."""
    return str(device.state) if device.enabled else "disabled"


@register.filter
def look(state: str) -> Look:
    return LOOKS.get(state, LOOKS["unknown"])


@register.simple_tag
def state_chip(state: str) -> SafeString:
    shown = look(state)
    return format_html(
        '<span class="chip {}" data-state="{}">{}{}</span>', shown.tone, state, icon(shown.icon), shown.word
    )


@register.simple_tag
def state_picture(state: str) -> SafeString:
    """What stands where the picture would be: an invitation to play it, or why there is none."""
    shown = look(state)
    return icon("play" if shown.tone in ("good", "warn") else shown.icon)


@register.simple_tag
def simulated_chip() -> SafeString:
    return format_html('<span class="chip sim">{}Simulated</span>', icon("flask-conical"))


@register.filter
def detail_text(detail: dict[str, Any]) -> str:
    """An audit entry's detail on one line: `role admin · changed full_name: "" → "Ann"`."""
    return " · ".join(f"{name} {_in_words(value)}" for name, value in detail.items())


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{name}: {json.dumps(pair[0], ensure_ascii=False)} → {json.dumps(pair[1], ensure_ascii=False)}"
            if isinstance(pair, list) and len(pair) == 2
            else f"{name}: {_in_words(pair)}"
            for name, pair in value.items()
        )
    if isinstance(value, list):
        return ", ".join(map(_in_words, value)) or "none"
    return "none" if value is None else str(value)


@register.simple_tag
def looks_json() -> SafeString:
    """All looks as data for states.js."""
    text = json.dumps({state: asdict(each) for state, each in LOOKS.items()})
    return format_html('<script type="application/json" id="state-looks">{}</script>', SafeString(text))


@register.inclusion_tag("parts/field.html")
def field(bound: BoundField, **extra: Any) -> dict[str, Any]:
    """One field of a form with its label, help and errors. Keyword arguments become attributes (data_reveal=…)."""
    widget = bound.field.widget
    attributes = {name.replace("_", "-"): value for name, value in extra.items()}
    kind = "input"
    if isinstance(widget, forms.CheckboxInput):
        kind = "check"
    elif isinstance(widget, forms.Select):
        kind = "select"
    elif isinstance(widget, forms.Textarea):
        kind = "textarea"
    if kind != "check":
        attributes["class"] = kind
    return {
        "bound": bound,
        "kind": kind,
        "widget": bound.as_widget(attrs=attributes),
        "is_password": isinstance(widget, forms.PasswordInput),
    }
