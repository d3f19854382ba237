from django.urls import path

from devices import pages
from devices.consumers import EventsConsumer

urlpatterns = [
    path("devices/add/", pages.add, name="add"),
    path("demo/add/", pages.add_demo, name="add-demo"),
    path("demo/remove/", pages.remove_demo, name="remove-demo"),
]
websocket_urlpatterns = [path("ws/events/", EventsConsumer.as_asgi())]
