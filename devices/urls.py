from django.urls import path

from devices.consumers import EventsConsumer
from devices.pages import (
    adding,
    cameras,
    care,
    console,
    device,
    events,
    history,
    importing,
    listing,
    settings,
    sites,
    within,
)

urlpatterns = [
    path("devices/", listing.device_list, name="list"),
    path("devices/bulk/", listing.act_on_many, name="bulk"),
    path("devices/import/", importing.import_page, name="import"),
    path("devices/add/", adding.add, name="add"),
    path("devices/add/probe/", adding.probe, name="probe"),
    path("devices/<int:device>/", device.overview, name="device"),
    path("devices/<int:device>/edit/", device.edit, name="device-edit"),
    path("devices/<int:device>/poll/", device.poll, name="device-poll"),
    path("devices/<int:device>/enable/", device.enable, name="device-enable"),
    path("devices/<int:device>/accept/", device.accept, name="device-accept"),
    path("devices/<int:device>/trust/", device.trust_certificate, name="device-trust"),
    path("devices/<int:device>/delete/", device.delete, name="device-delete"),
    path("devices/<int:device>/cameras/", cameras.cameras_page, name="device-cameras"),
    path("devices/<int:device>/cameras/<int:camera>/", cameras.cameras_page, name="device-camera"),
    path("devices/<int:device>/settings/", settings.settings_page, name="device-settings"),
    path("devices/<int:device>/settings/<str:group>/", settings.settings_page, name="device-settings-group"),
    path("devices/<int:device>/history/", history.history_page, name="device-history"),
    path("devices/<int:device>/history/snapshots/", history.take, name="device-snapshot-take"),
    path("devices/<int:device>/history/snapshots/compare/", history.compare, name="device-snapshot-compare"),
    path("devices/<int:device>/history/snapshots/<int:snapshot>/", history.snapshot_page, name="device-snapshot"),
    path(
        "devices/<int:device>/history/snapshots/<int:snapshot>/restore/",
        history.restore,
        name="device-snapshot-restore",
    ),
    path(
        "devices/<int:device>/history/snapshots/<int:snapshot>/delete/", history.delete, name="device-snapshot-delete"
    ),
    path("devices/<int:device>/log/", care.log_page, name="device-log"),
    path("devices/<int:device>/storage/", care.storage_page, name="device-storage"),
    path("devices/<int:device>/sessions/", care.sessions_page, name="device-sessions"),
    path("devices/<int:device>/users/", within.users_page, name="device-users"),
    path("devices/<int:device>/outputs/", within.switches_page, name="device-switches"),
    path("devices/<int:device>/exchanges/", console.exchanges_page, name="device-exchanges"),
    path("devices/<int:device>/console/", console.console_page, name="device-console"),
    path("devices/<int:device>/console/<str:command>/", console.console_page, name="device-console-command"),
    path("sites/", sites.site_list, name="sites"),
    path("sites/add/", sites.add, name="site-add"),
    path("sites/<int:site>/rename/", sites.rename, name="site-rename"),
    path("sites/<int:site>/remove/", sites.remove, name="site-remove"),
    path("events/", events.event_list, name="events"),
    path("demo/add/", adding.add_demo, name="add-demo"),
    path("demo/remove/", adding.remove_demo, name="remove-demo"),
]
websocket_urlpatterns = [path("ws/events/", EventsConsumer.as_asgi())]
