"""Every metric of the server, declared once. Labels hold route templates, stages and codes, never what a client sent."""

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCH_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256)

REQUESTS = Counter("clipserve_requests", "Requests answered.", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "clipserve_request_seconds", "From the first header to the last byte of the answer.", ["route"], buckets=_SECONDS
)
STAGE_SECONDS = Histogram("clipserve_stage_seconds", "Time of one video in one stage.", ["stage"], buckets=_SECONDS)
PROBLEMS = Counter("clipserve_problems", "Requests, and videos of a batch, answered with a problem.", ["code"])
BATCH_SIZE = Histogram("clipserve_batch_size", "Clips in one run of the model.", ["model"], buckets=_BATCH_SIZES)
QUEUE_LENGTH = Gauge("clipserve_queue_length", "Clips that wait for the model.", ["model"])
UPLOADS = Gauge("clipserve_uploads", "Videos that are still arriving.")
ADMITTED = Gauge("clipserve_admitted", "Videos that were received and wait for their answer.")
DECODE_WORKERS_REPLACED = Counter(
    "clipserve_decode_workers_replaced", "Decode processes that died, were killed or made way for a fresh one.", ["reason"]
)
MODEL_INFO = Gauge("clipserve_model_info", "1 for each model that is served.", ["model", "version", "precision", "provider"])
READY = Gauge("clipserve_ready", "1 while the server accepts videos.")


def exposition() -> tuple[bytes, str]:
    """All metrics in Prometheus' text format, and its content type."""
    return generate_latest(), CONTENT_TYPE_LATEST
