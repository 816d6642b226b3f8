"""BentoML: HTTP worker processes, each with a thread for the model; or those before a second service that makes batches.

``traffic.max_concurrency`` bounds the requests inside, 429 beyond. A batching service gives up early (503) on what it thinks
it cannot answer within ``max_latency_ms``, its default of a minute here.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import bentoml
import numpy as np
from bentoml.validators import ContentType

from benchmarks.peers.classifier import Answer, Classifier
from benchmarks.peers.task import Task

WHOLE, TWO_SERVICES, THREADS = "", "two services", "threads"
_SERVICES = {WHOLE: "Whole", TWO_SERVICES: "Decoding"}
_TASK = Task.from_environment()
_TRAFFIC: dict[str, Any] = {"timeout": 60} | ({"max_concurrency": _TASK.limit} if _TASK.limit else {})
Video = Annotated[Path, ContentType("video/mp4")]


@bentoml.service(
    workers=1 if _TASK.style == THREADS else _TASK.workers,
    threads=_TASK.workers if _TASK.style == THREADS else 1,
    traffic=_TRAFFIC,
)
class Whole:
    """From bytes to the answer."""

    def __init__(self) -> None:
        self.classifier = Classifier(_TASK)

    @bentoml.api(route="/classify")
    def classify(self, video: Video, /) -> Answer:
        """BentoML hands the body over as a file."""
        return self.classifier.classify(video.read_bytes())


@bentoml.service(workers=_TASK.workers, traffic={"timeout": 60})
class Running:
    """The model, on batches."""

    def __init__(self) -> None:
        self.classifier = Classifier(_TASK)

    @bentoml.api(batchable=True, max_batch_size=max(2, _TASK.batch_size), max_latency_ms=60_000)
    def answers(self, clips: np.ndarray) -> list[Answer]:
        """One run of the model."""
        return self.classifier.answers(list(clips))


@bentoml.service(workers=_TASK.workers, traffic=_TRAFFIC)
class Decoding:
    """Takes requests, decodes, and asks the other service."""

    running = bentoml.depends(Running)

    def __init__(self) -> None:
        self.classifier = Classifier(_TASK)

    @bentoml.api(route="/classify")
    async def classify(self, video: Video, /) -> Answer:
        """Decoding blocks this worker's loop, as one clip at a time is what its core can do anyway."""
        clip = self.classifier.decode(video.read_bytes())
        answers: list[Answer] = await self.running.to_async.answers(clip[None])
        return answers[0]


def main() -> None:
    """Become ``bentoml serve``."""
    service = TWO_SERVICES if _TASK.style == TWO_SERVICES else WHOLE
    flags = ["--host", "127.0.0.1", "--port", str(_TASK.port), "--do-not-track", "--quiet"]
    command = [sys.executable, "-m", "bentoml", "serve", f"benchmarks.peers.with_bentoml:{_SERVICES[service]}", *flags]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
