"""The videos of one form, each into a file without a name as it arrives, with a place of its own from its first byte on.

    files   [good]  [too large]  [empty]  [good]     no more than max_files, and max_bytes together; else all is refused
              |          |          |        |
           video      problem    problem   video     a bad one gives its place and its bytes back at once

The door has room for one video or the request is refused; a later file that finds no place has a problem of its own.
"""

from collections.abc import AsyncIterator, Hashable
from contextlib import ExitStack, asynccontextmanager
from time import perf_counter
from types import TracebackType
from typing import Self

from fastapi import Request

from app.api.dependencies import BatchLimits, UploadLimits
from app.api.form import FormRules, Sink, VideoForm
from app.api.uploads import append_chunk, check_declared_length, feed, media_type, new_video
from app.errors import EmptyBody, Problem, UnsupportedMediaType, UploadTooLarge
from app.inference.admission import Admission, Place
from app.inference.video_file import VideoFile

FILES_FIELD = "files"

Failure = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]
"""What ``__exit__`` is told."""


@asynccontextmanager
async def received_videos(
    request: Request, admission: Admission, limits: UploadLimits, batch: BatchLimits
) -> AsyncIterator[list["BatchVideo"]]:
    """The files that ``request`` carries, complete and in order; places and bytes are free when the block ends in any way.

    Raises: MalformedUpload, QueueFull, UnsupportedMediaType, UploadTimeout, UploadTooLarge. ClientDisconnect: the caller left.
    """
    detail = f"Send one to {batch.max_files} videos, each as a multipart field `{FILES_FIELD}`."
    rules = FormRules(FILES_FIELD, batch.max_files, detail)
    with _Arrivals(admission, limits, batch) as arrivals:
        if media_type(request) != "multipart/form-data":
            raise UnsupportedMediaType(detail)
        form = VideoForm(request.headers["content-type"], rules, arrivals.begin_file)
        check_declared_length(request, batch.max_bytes + rules.envelope_bytes, _too_large(batch))
        await feed(form, request, limits)
        for video in arrivals.videos:
            video.end()
        yield arrivals.videos


class BatchVideo:
    """One file: its video, or what is wrong with it. Place and bytes are given back as a block with it ends; twice is fine."""

    def __init__(self, max_bytes: int, flow: Hashable) -> None:
        """``flow`` is the same for all files of a form."""
        self._flow = flow
        self.upload_seconds: float | None = None
        """From its first to its last byte; None where it found no place."""
        self._max_bytes = max_bytes
        self._problem: Problem | None = None
        self._video: VideoFile | None = None
        self._place: Place | None = None
        self._held = ExitStack()

    @property
    def video(self) -> VideoFile:
        """Raises: Problem: there is none."""
        if self._problem:
            raise self._problem
        assert self._video, "the file has begun"
        return self._video

    def admit(self, admission: Admission) -> None:
        """Take a place. Raises: QueueFull."""
        self._place = self._held.enter_context(admission.enter(self._flow))

    def begin(self, admission: Admission) -> None:
        """Its first byte is about to come."""
        self._began = perf_counter()
        try:
            if not self._place:
                self.admit(admission)
            self.upload_seconds = 0.0
            self._video = self._held.enter_context(new_video())
        except Problem as problem:
            self._refuse(problem)

    def append(self, chunk: bytes) -> None:
        """Keep ``chunk``, or drop it where the video was refused."""
        if self._problem:
            return
        self.upload_seconds = perf_counter() - self._began
        try:
            append_chunk(self.video, self._max_bytes, chunk)
        except Problem as problem:
            self._refuse(problem)

    def end(self) -> None:
        """The whole form is there: what was not refused waits for its answer."""
        if self._video and not self._video.size_bytes and not self._problem:
            self._refuse(EmptyBody("This file holds no byte."))
        if self._place and not self._problem:
            self._place.upload_ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: *Failure) -> None:
        self._held.__exit__(*failure)  # the place asks what the end was like

    def _refuse(self, problem: Problem) -> None:
        self._problem = problem
        self._held.close()


class _Arrivals:
    """The files of one form so far. Has a place for the first before there is a byte of it."""

    def __init__(self, admission: Admission, limits: UploadLimits, batch: BatchLimits) -> None:
        """Raises: QueueFull."""
        self.videos: list[BatchVideo] = []
        self._admission, self._limits, self._batch = admission, limits, batch
        self._first = BatchVideo(limits.max_bytes, self)
        self._first.admit(admission)
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: *Failure) -> None:
        for video in (self._first, *self.videos):
            video.__exit__(*failure)

    def begin_file(self) -> Sink:
        """A file begins; its bytes go to what is returned, which raises UploadTooLarge."""
        video = BatchVideo(self._limits.max_bytes, self) if self.videos else self._first
        self.videos.append(video)
        video.begin(self._admission)

        def take(chunk: bytes) -> None:
            self._bytes += len(chunk)
            if self._bytes > self._batch.max_bytes:
                raise _too_large(self._batch)
            video.append(chunk)

        return take


def _too_large(batch: BatchLimits) -> UploadTooLarge:
    return UploadTooLarge(f"The videos of one request may have at most {batch.max_bytes} bytes together; send fewer at a time.")
