"""What routes are given: the classifier and the limits, put on the application once by ``app.main``."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.api.api_keys import ApiKeys
from app.inference.classify import Classifier
from app.inference.model_loading import ModelLoader
from app.inference.timeline import Timelines

GRACE_SECONDS = 5.0
"""An upload may begin as slowly as it likes for so long."""


@dataclass(frozen=True)
class UploadLimits:
    """What one request body may cost."""

    max_bytes: int
    timeout_seconds: float
    """For the whole of it."""
    min_bytes_per_second: int
    """On average, after the grace; 0 for none."""

    def allowed_seconds(self, received_bytes: int) -> float:
        """How long after its start a body that has come so far may take to send its next byte."""
        if not self.min_bytes_per_second:
            return self.timeout_seconds
        return min(self.timeout_seconds, max(GRACE_SECONDS, received_bytes / self.min_bytes_per_second))


@dataclass(frozen=True)
class BatchLimits:
    """What a request with several videos may cost, beside what each of them may."""

    max_files: int
    max_bytes: int
    """Of all its videos together."""


@dataclass(frozen=True)
class Service:
    """Everything the routes need."""

    classifier: Classifier
    upload_limits: UploadLimits
    request_timeout_ms: int
    max_clips_per_request: int
    """Decoded clips in one request of the Open Inference Protocol."""
    batch_limits: BatchLimits
    timelines: Timelines
    api_keys: ApiKeys
    loader: ModelLoader
    model_management: bool
    """Whether models are loaded and unloaded on request."""


async def _service(request: Request) -> Service:  # not def: FastAPI would call a thread for it
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(_service)]
