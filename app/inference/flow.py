"""The videos of one request: a few of them inside at a time, so that a request with many leaves turns to the others."""

import asyncio
from time import monotonic

from app.errors import DeadlineExceeded
from app.inference.classify import Classification, Classifier
from app.inference.served import ServedModel
from app.inference.video_file import VideoFile


class Flow:
    """One deadline for all of them; each has an outcome of its own."""

    def __init__(self, classifier: Classifier, model: ServedModel, timeout_seconds: float, at_once: int) -> None:
        """``timeout_seconds`` count from now on; ``at_once`` videos are decoded or wait for the model at the same time."""
        self._classifier, self._model = classifier, model
        self._deadline = monotonic() + timeout_seconds
        self._turns = asyncio.Semaphore(at_once)

    async def classify(self, video: VideoFile) -> Classification:
        """The answer to one of them, once it is its turn. Raises: Problem, as ``Classifier.classify``."""
        async with self._turns:
            left_seconds = self._deadline - monotonic()
            if left_seconds <= 0:
                raise DeadlineExceeded
            return await self._classifier.classify(video, self._model, left_seconds, flow=self)
