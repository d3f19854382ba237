"""What `/metrics` tells beside the figures of the Python process: streams, devices, problems.

Collected when asked, for who asks: devices and cameras are those that this user may see, and streams are told to those
alone who may know how they arrive. Streams are those of the web process that answers; with several web processes
scrape each one. What only grows is a counter (its name ends in _total); one that starts anew has begun at nothing.
"""

from collections.abc import Callable, Iterator, Mapping

from django.db import DatabaseError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import REGISTRY, CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from accounts.guards import machine
from accounts.policy import Action, Someone, may
from devices.models import Camera, Device, State
from streaming import relay, transcode
from vms import health

# The relay's figures that only grow. Of the way in which a stream arrives all do, but its load.
GROWING = {"frames", "bytes", "openings", "viewer_drops", "dropped"}
UPSTREAM = "upstream_"
UPSTREAM_GAUGES = {"upstream_load_permille"}


def _grows(name: str) -> bool:
    return name in GROWING or (name.startswith(UPSTREAM) and name not in UPSTREAM_GAUGES)


class _Families:
    """Figures of several things, as one metric for each name."""

    def __init__(self, prefix: str, text: Callable[[str], str], labels: list[str]) -> None:
        self._prefix, self._text, self._labels = prefix, text, labels
        self._metrics: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}

    def add(self, labels: list[str], figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            if name not in self._metrics:
                family = CounterMetricFamily if _grows(name) else GaugeMetricFamily
                self._metrics[name] = family(f"{self._prefix}{name}", self._text(name), labels=self._labels)
            self._metrics[name].add_metric(labels, float(value))

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._metrics.values())


class Product(Collector):
    """The product, as this user may know it."""

    def __init__(self, user: Someone) -> None:
        self.user = user

    def describe(self) -> list[Metric]:
        return []  # else all would be collected twice: once to know the names

    def collect(self) -> Iterator[Metric]:
        yield from self.problems()
        yield from self.devices()
        if may(self.user, Action.DIAGNOSE):
            yield from self.streams()
            yield from self.converting()

    def problems(self) -> Iterator[Metric]:
        found = health.board.problems(max_age=health.WATCH_EVERY)
        metric = GaugeMetricFamily("vms_problem", "1 while a check of the server finds a problem", labels=["check"])
        for name in health.board.checks:
            metric.add_metric([name], float(name in found))
        yield metric

    def devices(self) -> Iterator[Metric]:
        metric = GaugeMetricFamily(
            "vms_devices", "Enabled devices by state, of those that the reader may see", labels=["state"]
        )
        try:
            seen = Device.objects.visible_to(self.user).filter(enabled=True)
            rows = seen.order_by().values_list("state").annotate(Count("pk", distinct=True))
            counts: dict[str, int] = dict(rows)
        except DatabaseError:
            return  # said by vms_problem
        for state in State.values:
            metric.add_metric([state], counts.get(state, 0))
        yield metric

    def streams(self) -> Iterator[Metric]:
        running = relay.relays.all()
        figures = relay.figures()
        seen = self._visible({camera for camera, _ in (*running, *figures)})
        streams = _Families(
            "vms_stream_", lambda name: f"The relay's figure {name!r} of a stream", ["camera", "stream"]
        )
        viewers = _Families(
            "vms_viewer_",
            lambda name: f"The relay's figure {name!r} of a viewer; viewers are numbered as they come",
            ["camera", "stream", "viewer"],
        )
        for (camera, stream), told in figures.items():
            if camera in seen:
                streams.add([str(camera), stream], told)
        for (camera, stream), carried in running.items():
            if camera in seen:
                for viewer in tuple(carried.viewers):
                    viewers.add([str(camera), stream, str(viewer.number)], viewer.figures())
        yield from streams
        yield from viewers

    def _visible(self, cameras: set[int]) -> set[int]:
        try:
            return set(Camera.objects.visible_to(self.user).filter(pk__in=cameras).values_list("pk", flat=True))
        except DatabaseError:
            return set()  # said by vms_problem

    def converting(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("vms_converted_streams", "Streams that are converted now", value=len(transcode.load))
        yield GaugeMetricFamily("vms_converting_cores", "Cores that this takes", value=transcode.load.cores)


@machine(Action.WATCH)
def metrics(request: HttpRequest) -> HttpResponse:
    own = CollectorRegistry()
    own.register(Product(request.user))
    return HttpResponse(generate_latest(REGISTRY) + generate_latest(own), content_type=CONTENT_TYPE_LATEST)
