"""Every page, endpoint and socket. Each states its policy (accounts.guards); a test walks this table."""

from django.urls import include, path, re_path

from accounts.urls import urlpatterns as accounts_pages
from devices.urls import urlpatterns as devices_pages
from devices.urls import websocket_urlpatterns as devices_sockets
from recordings.urls import urlpatterns as recordings_pages
from streaming.urls import urlpatterns as streaming_pages
from streaming.urls import websocket_urlpatterns as streaming_sockets
from streaming.wall_pages import live_wall
from vms import health, metrics, pages
from vms.api import api, unknown
from vms.sockets import NoSuchSocket

urlpatterns = [
    path("", live_wall, name="home"),
    path("cameras/", pages.cameras, name="cameras"),
    path("status/", pages.status, name="status"),
    path("styleguide/", pages.styleguide, name="styleguide"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("api/v1/", api.urls),
    re_path(r"^api(?:/.*)?$", unknown),  # whoever talks JSON is answered in JSON, also at a wrong address
    path("", include((accounts_pages, "accounts"))),
    path("", include((devices_pages, "devices"))),
    path("", include((streaming_pages, "streaming"))),
    path("", include((recordings_pages, "recordings"))),
]
websocket_urlpatterns = [*devices_sockets, *streaming_sockets, re_path(r"", NoSuchSocket.as_asgi())]

handler400 = "vms.pages.bad_request"
handler403 = "vms.pages.forbidden"
handler404 = "vms.pages.not_found"
handler500 = "vms.pages.server_error"
