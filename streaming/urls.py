from django.urls import path

from streaming import pages, wall_pages
from streaming.consumers import LiveConsumer

urlpatterns = [
    path("cameras/<int:camera>/", pages.camera, name="camera"),
    path("live/clock/", wall_pages.clock, name="clock"),
    path("live/steering/<int:camera>/", wall_pages.wall_steering, name="steering"),
]
websocket_urlpatterns = [path("ws/live/<int:camera>/", LiveConsumer.as_asgi())]
