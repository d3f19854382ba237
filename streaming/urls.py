from django.urls import path

from streaming import pages
from streaming.consumers import LiveConsumer

urlpatterns = [path("cameras/<int:camera>/", pages.camera, name="camera")]
websocket_urlpatterns = [path("ws/live/<int:camera>/", LiveConsumer.as_asgi())]
