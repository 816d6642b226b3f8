"""One request, from the bytes of a video to probabilities. What can fail for one video alone fails before the queue."""

import asyncio
import errno
from collections.abc import Hashable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from app.errors import DeadlineExceeded, RefusedVideo, StorageFull
from app.inference.admission import Admission
from app.inference.batch_run import Probabilities
from app.inference.decoder import Decoder
from app.inference.predecoded import infer_clips
from app.inference.readiness import Readiness
from app.inference.served import ServedModel, ServedModels
from app.inference.video_file import VideoFile
from app.observability import logs, stages
from clips import WHOLE_VIDEO, Clip, ClipError, TimeWindow

CacheResult = Literal["hit", "miss"]


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
    cache: CacheResult | None
    """Whether the answer was known; None where none is kept."""


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

    @contextmanager
    def opened(self, name: str | None, version: int | None) -> Iterator[ServedModel]:
        """The model that answers, found before a byte of the video is read; it is not unloaded before the block ends.

        Raises: NotReady, Draining, UnknownModel, and ModelUnloaded where the block takes longer than an unload waits.
        """
        model = self.check_open(name, version)
        with model.in_use():
            yield model

    async def classify(
        self, video: VideoFile, model: ServedModel, timeout_seconds: float, flow: Hashable = None
    ) -> Classification:
        """Decode ``video``, queue its clip, run the model, sort the labels; or take what is known of the same bytes.

        The caller has a place of ``admission``. Videos of one ``flow`` (those of one request) take turns with the others.

        Raises: Problem: RefusedVideo, DeadlineExceeded, Draining, InferenceFailed, ModelUnloaded, StorageFull.
        """
        work = _Work(video, model, monotonic() + timeout_seconds, flow)
        with model.in_use():
            if not model.cache.is_on:
                clip, probabilities = await self._run(work)
                return _classification(model, clip, probabilities, None)
            digest = await self._digest(work)
            if known := model.cache.find(digest):
                stages.skip("decode", "queue", "model")
                return _classification(model, known.clip, known.probabilities, "hit")
            clip, probabilities = await self._run(work)
            model.cache.keep(digest, clip, probabilities)
            return _classification(model, clip, probabilities, "miss")

    async def classify_windows(
        self, video: VideoFile, model: ServedModel, windows: Sequence[TimeWindow], deadline: float, flow: Hashable
    ) -> list[Classification]:
        """As ``classify``, of parts of one video, which are decoded together; no answer is known or kept.

        ``deadline`` is a time of ``time.monotonic``.

        Raises: Problem: what ``classify`` raises, of any of them.
        """
        work = _Work(video, model, deadline, flow)
        with model.in_use():
            async with AsyncExitStack() as way:
                clips = await self._decode(work, windows, way)
                rows = await infer_clips(model.batcher, [clip.frames for clip in clips], work.deadline, flow)
        return [_classification(model, clip, row, None) for clip, row in zip(clips, rows, strict=True)]

    async def _run(self, work: "_Work") -> tuple[Clip, Probabilities]:
        """The clip, and what the model made of it."""
        async with AsyncExitStack() as way:
            (clip,) = await self._decode(work, (WHOLE_VIDEO,), way)
            return clip, await work.model.batcher.infer(clip.frames, work.deadline, work.flow)

    async def _digest(self, work: "_Work") -> bytes:
        with _storage():
            async with asyncio.timeout(work.deadline - monotonic()):
                return await work.video.sha256()

    async def _decode(self, work: "_Work", windows: Sequence[TimeWindow], way: AsyncExitStack) -> list[Clip]:
        """A clip of each window. The turn on the processors lasts as long as ``way`` does."""
        model, spec = work.model, work.model.manifest.clip_spec
        with stages.timed("decode"), model.batcher.expected(), _storage():  # from the end of the upload, waiting included
            await way.enter_async_context(model.turn(work.deadline, work.flow))
            try:
                async with asyncio.timeout(work.deadline - monotonic()):
                    return await self.decoder.decode_windows(work.video, spec, windows, work.flow)
            except ClipError as refusal:
                raise RefusedVideo(refusal) from refusal


@dataclass(frozen=True)
class _Work:
    """One video on its way."""

    video: VideoFile
    model: ServedModel
    deadline: float
    flow: Hashable


@contextmanager
def _storage() -> Iterator[None]:
    """Raises: DeadlineExceeded, for a TimeoutError. StorageFull, for another OSError."""
    try:
        yield
    except TimeoutError:
        raise DeadlineExceeded from None
    except OSError as problem:  # no descriptor or no memory is left to hand the video over
        logs.warning("decode_storage_full", reason=errno.errorcode.get(problem.errno or 0, "unknown"))
        raise StorageFull from problem


def _classification(model: ServedModel, clip: Clip, probabilities: Probabilities, cache: CacheResult | None) -> Classification:
    ranked = sorted(zip(model.manifest.labels, probabilities.tolist(), strict=True), key=lambda pair: -pair[1])
    return Classification(model, clip, [Prediction(*pair) for pair in ranked], cache)
