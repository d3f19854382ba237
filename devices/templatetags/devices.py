"""How what a device tells is put into words on pages. What it does not tell is never made up."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from devices.models import Device

register = template.Library()

NOT_TOLD = "not told"


@register.filter
def doing(device: Device) -> str:
    """What the device is doing, in a word or two; empty when it does not tell, or cannot be asked."""
    if device.back_by is not None:
        return "restarting"
    if not device.enabled or device.state not in ("online", "degraded"):
        return ""
    now = device.status.get("now") or {}
    if now.get("recording"):
        return "recording"
    return str(now.get("activity") or "")


@register.filter
def get(mapping: dict[str, Any], name: Any) -> Any:
    return mapping.get(name)


@register.inclusion_tag("devices/parts/sort_head.html", takes_context=True)
def sort_head(context: dict[str, Any], name: str, title: str) -> dict[str, Any]:
    """A column's head that sorts the list by it, and the other way round when it does already."""
    now = context["sort"]
    to = f"-{name}" if now == name else name
    return {
        "title": title,
        "query": "&".join(filter(None, [context["filter_query"], f"sort={to}"])),
        "mark": {name: "ascending", f"-{name}": "descending"}.get(now),
    }


@register.filter
def told(value: Any) -> SafeString:
    """What a device told; what it did not tell is said to be so, and looks it."""
    if value is None or value == "":
        return format_html('<span class="unknown">{}</span>', NOT_TOLD)
    return format_html("{}", value)
