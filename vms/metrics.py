"""What `/metrics` tells beside the figures of the Python process: streams, devices, problems.

Collected when asked. Streams are those of the web process that answers; with several web processes scrape each one.
"""

from collections.abc import Iterator

from django.db import DatabaseError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import REGISTRY, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from accounts.guards import machine
from accounts.policy import Action
from devices.models import Device, State
from streaming import relay, transcode
from vms import health


class Product(Collector):
    def describe(self) -> list[Metric]:
        return []  # nothing is collected at import, when there may be no database yet

    def collect(self) -> Iterator[Metric]:
        yield from self.problems()
        yield from self.devices()
        yield from self.streams()

    def problems(self) -> Iterator[Metric]:
        found = health.board.problems(max_age=health.WATCH_EVERY)
        metric = GaugeMetricFamily("vms_problem", "1 while a check of the server finds a problem", labels=["check"])
        for name in health.board.checks:
            metric.add_metric([name], float(name in found))
        yield metric

    def devices(self) -> Iterator[Metric]:
        metric = GaugeMetricFamily("vms_devices", "Enabled devices by state", labels=["state"])
        try:
            rows = Device.objects.filter(enabled=True).order_by().values_list("state").annotate(Count("pk"))
            counts: dict[str, int] = dict(rows)
        except DatabaseError:
            return  # said by vms_problem
        for state in State.values:
            metric.add_metric([state], counts.get(state, 0))
        yield metric

    def streams(self) -> Iterator[Metric]:
        metrics: dict[str, GaugeMetricFamily] = {}
        for (camera, stream), figures in relay.figures().items():
            for name, value in figures.items():
                if name not in metrics:
                    text = f"The relay's figure {name!r} of a stream"
                    metrics[name] = GaugeMetricFamily(f"vms_stream_{name}", text, labels=["camera", "stream"])
                metrics[name].add_metric([str(camera), stream], float(value))
        yield from metrics.values()
        yield from self.viewers()
        yield from self.converting()

    def viewers(self) -> Iterator[Metric]:
        metrics: dict[str, GaugeMetricFamily] = {}
        for (camera, stream), running in relay.relays.all().items():
            for viewer in tuple(running.viewers):
                for name, value in viewer.figures().items():
                    if name not in metrics:
                        text = f"The relay's figure {name!r} of a viewer; viewers are numbered as they come"
                        labels = ["camera", "stream", "viewer"]
                        metrics[name] = GaugeMetricFamily(f"vms_viewer_{name}", text, labels=labels)
                    metrics[name].add_metric([str(camera), stream, str(viewer.number)], float(value))
        yield from metrics.values()

    def converting(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("vms_converted_streams", "Streams that are converted now", value=len(transcode.load))
        yield GaugeMetricFamily("vms_converting_cores", "Cores that this takes", value=transcode.load.cores)


REGISTRY.register(Product())


@machine(Action.WATCH)
def metrics(request: HttpRequest) -> HttpResponse:
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)
