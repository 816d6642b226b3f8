"""What routes are given: the classifier and the limits, put on the application once by ``app.main``."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.inference.classify import Classifier


@dataclass(frozen=True)
class UploadLimits:
    """What one request body may cost."""

    max_bytes: int
    timeout_seconds: float


@dataclass(frozen=True)
class Service:
    """Everything the routes need."""

    classifier: Classifier
    upload_limits: UploadLimits
    request_timeout_ms: int
    api_key_digests: tuple[bytes, ...]
    """SHA-256 of each key; empty where none is asked for."""


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(_service)]
