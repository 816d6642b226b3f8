"""Every metric of the server, declared once. Labels hold route templates, stages and codes, never what a client sent.

``docs/operations/observability.md`` lists them all. Those of the process itself (memory, descriptors, processor time, Python's
version) are declared by prometheus_client.
"""

from collections.abc import Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.observability.gpu_memory import GpuMemory

disable_created_metrics()  # type: ignore[no-untyped-call] # a series for each series, which says when it began

STAGES = ("upload", "decode", "queue", "model")

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCH_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256)

BUILD = Info("clipserve_build", "1, and which ClipServe this is.")
REQUESTS = Counter("clipserve_requests", "Requests answered.", ["route", "status"])
REQUESTS_IN_PROGRESS = Gauge("clipserve_requests_in_progress", "Requests that are not answered yet.")
REQUEST_SECONDS = Histogram(
    "clipserve_request_seconds", "From the first header to the last byte of the answer.", ["route"], buckets=_SECONDS
)
RECEIVED_BYTES = Counter("clipserve_received_bytes", "Bytes of request bodies that were read.")
STAGE_SECONDS = Histogram(
    "clipserve_stage_seconds",
    "Time of one video, or a few windows of one, in one stage, whether it went well or not.",
    ["stage"],
    buckets=_SECONDS,
)
PROBLEMS = Counter(
    "clipserve_problems", "Requests, videos of a batch and windows of a timeline, answered with a problem.", ["code"]
)
CONNECTIONS = Gauge("clipserve_connections", "Open connections, idle ones included.")
CONNECTIONS_REFUSED = Counter(
    "clipserve_connections_refused",
    "Connections closed because of what came of them, or what was not read of an answer.",
    ["reason"],
)
BATCH_SIZE = Histogram("clipserve_batch_size", "Clips in one run of the model.", ["model"], buckets=_BATCH_SIZES)
QUEUE_LENGTH = Gauge("clipserve_queue_length", "Clips that wait for the model.", ["model"])
UPLOADS = Gauge("clipserve_uploads", "Videos that are still arriving.")
ADMITTED = Gauge("clipserve_admitted", "Videos that were received and wait for their answer.")
EXPECTED_WAIT_SECONDS = Gauge(
    "clipserve_expected_wait_seconds", "Until the videos that were received are answered, at the pace of the last ones."
)
DECODE_WORKERS_REPLACED = Counter(
    "clipserve_decode_workers_replaced", "Decode processes that died, were killed or made way for a fresh one.", ["reason"]
)
MODEL_INFO = Gauge("clipserve_model_info", "1 for each model that is served.", ["model", "version", "precision", "provider"])
RESPONSE_CACHE = Counter("clipserve_response_cache", "Videos that were looked up in the response cache.", ["result"])
READY = Gauge("clipserve_ready", "1 while the server accepts videos.")

for _stage in STAGES:
    STAGE_SECONDS.labels(_stage)  # a rate can be told from the first one on
for _reason in ("too_many", "head_timeout", "head_too_large", "not_http", "send_timeout"):
    CONNECTIONS_REFUSED.labels(_reason)


class _GpuMemory(Collector):
    """The memory of each GPU at the moment of the question. Without a GPU there is no such metric, rather than a 0."""

    def __init__(self) -> None:
        self._memory = GpuMemory()

    def describe(self) -> list[GaugeMetricFamily]:
        """Called where the collector is registered; the driver is not."""
        return self._families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called for each answer."""
        if readings := self._memory.read():
            used, total = self._families()
            for gpu, reading in readings.items():
                used.add_metric([gpu], reading.used_bytes)
                total.add_metric([gpu], reading.total_bytes)
            yield from (used, total)

    def _families(self) -> list[GaugeMetricFamily]:
        return [
            GaugeMetricFamily("clipserve_gpu_memory_used_bytes", "Memory in use on a GPU, by any process.", labels=["gpu"]),
            GaugeMetricFamily("clipserve_gpu_memory_total_bytes", "Memory of a GPU.", labels=["gpu"]),
        ]


REGISTRY.register(_GpuMemory())


def forget_model(title: str, *info: str) -> None:
    """Take the series of a model that is no longer served out of the answers, once its last batch has run.

    ``title`` is the label of its batches and its queue, ``info`` are the labels of ``MODEL_INFO``.
    """
    MODEL_INFO.remove(*info)
    BATCH_SIZE.remove(title)
    QUEUE_LENGTH.remove(title)


def exposition() -> tuple[bytes, str]:
    """All metrics in Prometheus' text format, and its content type. Asks the driver of a GPU, which may take its time."""
    return generate_latest(), CONTENT_TYPE_LATEST
