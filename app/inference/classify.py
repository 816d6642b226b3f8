"""One request, from the bytes of a video to probabilities. What can fail for one video alone fails before the queue."""

import asyncio
import errno
from collections.abc import Hashable
from dataclasses import dataclass
from time import monotonic

from app.errors import DeadlineExceeded, RefusedVideo, StorageFull
from app.inference.admission import Admission
from app.inference.decoder import Decoder
from app.inference.readiness import Readiness
from app.inference.served import ServedModel, ServedModels
from app.inference.video_file import VideoFile
from app.observability import logs, metrics
from clips import Clip, ClipError


@dataclass(frozen=True)
class Prediction:
    """One label and its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Classification:
    """The answer to one video."""

    model: ServedModel
    clip: Clip
    predictions: list[Prediction]
    """All labels, most probable first."""
    stage_seconds: dict[str, float]
    """``decode``, ``queue`` and ``model``, in order."""


class Classifier:
    """The way of a video through the server."""

    def __init__(self, models: ServedModels, decoder: Decoder, admission: Admission, readiness: Readiness) -> None:
        self.models, self.readiness = models, readiness
        self.admission = admission
        self.decoder = decoder

    def check_open(self, name: str | None, version: int | None) -> ServedModel:
        """The model that would answer, found before a byte of the video is read.

        Raises: NotReady, Draining, UnknownModel.
        """
        self.readiness.check()
        return self.models.find(name, version)

    async def classify(
        self,
        video: VideoFile,
        model: ServedModel,
        timeout_seconds: float,
        flow: Hashable = None,  # noqa: ARG002 for decoder and batcher, which know no turns between flows yet
    ) -> Classification:
        """Decode ``video``, queue its clip, run the model, sort the labels. The caller has a place of ``admission``.

        ``flow`` is the same for all videos of one request.

        Raises: Problem: RefusedVideo, DeadlineExceeded, Draining, InferenceFailed.
        """
        deadline = monotonic() + timeout_seconds
        clip, decode_seconds = await self._decode(video, model, deadline)
        outcome = await model.batcher.infer(clip.frames, deadline)
        stage_seconds = {"decode": decode_seconds, "queue": outcome.queue_seconds, "model": outcome.model_seconds}
        for stage, seconds in stage_seconds.items():
            metrics.STAGE_SECONDS.labels(stage).observe(seconds)
        ranked = sorted(zip(model.manifest.labels, outcome.probabilities.tolist(), strict=True), key=lambda pair: -pair[1])
        return Classification(model, clip, [Prediction(*pair) for pair in ranked], stage_seconds)

    async def _decode(self, video: VideoFile, model: ServedModel, deadline: float) -> tuple[Clip, float]:
        """The clip, and the time from the end of the upload (waiting for a decode process included), s."""
        started = monotonic()
        try:
            async with asyncio.timeout(deadline - started):
                clip = await self.decoder.decode(video, model.manifest.clip_spec)
        except ClipError as refusal:
            raise RefusedVideo(refusal) from refusal
        except TimeoutError:
            raise DeadlineExceeded from None
        except OSError as problem:  # no descriptor or no memory is left to hand the video over
            logs.warning("decode_storage_full", reason=errno.errorcode.get(problem.errno or 0, "unknown"))
            raise StorageFull from problem
        return clip, monotonic() - started
