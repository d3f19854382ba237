"""The API's part about sites, devices and cameras, by subject; the shapes are promised by the OpenAPI document."""

from devices.api import cameras, care, catalogue, console, devices, fleet, pictures, settings, within
from devices.api.routing import router

__all__ = ["cameras", "care", "catalogue", "console", "devices", "fleet", "pictures", "router", "settings", "within"]
