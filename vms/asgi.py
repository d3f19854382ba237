"""Where requests and sockets come in."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vms.settings")

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

http = get_asgi_application()

from accounts.requests import LimitBody
from accounts.sockets import Authenticate
from vms.urls import websocket_urlpatterns

application = ProtocolTypeRouter(
    {
        # Django types what it sends more widely than ASGI does.
        "http": LimitBody(http),  # type: ignore[arg-type]
        "websocket": Authenticate(URLRouter(websocket_urlpatterns)),
    }
)
