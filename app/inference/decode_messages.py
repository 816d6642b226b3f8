"""What a server and a decode process say to each other: one line of JSON each.

Not pickle: a process that decodes hostile data is not trusted, and to unpickle is to run code.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from app.inference.frame_memory import Shape
from app.inference.sandbox.policy import Protections
from clips import WHOLE_VIDEO, ClipError, ClipSpec, DecodeLimits, TimeWindow, VideoFacts
from clips.acceleration import Accelerator

MAX_LINE_BYTES = 2**16
"""A longer message is none. 4 times 512 frame times take 44 KB."""

_LONGEST_SECONDS = 1e6
_MAX_REFUSAL_CHARACTERS = 500
_MAX_TRACE_CHARACTERS = 4000


class _Message(BaseModel):
    # NaN would come back as a JSON that nobody can read
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def line(self) -> bytes:
        """The message as it travels."""
        return self.model_dump_json().encode() + b"\n"


class Task(_Message):
    """To the process: a video to decode. Two descriptors come with it: the video's and that of the memory for the frames."""

    video_bytes: int
    spec: ClipSpec
    limits: DecodeLimits
    windows: tuple[TimeWindow, ...] = (WHOLE_VIDEO,)
    """A clip of each."""

    @property
    def shape(self) -> Shape:
        """Of the frames of all clips."""
        return (len(self.windows), *self.spec.shape)


class Ready(_Message):
    """Said once, when the process can take its first task."""

    kind: Literal["ready"] = "ready"
    protections: Protections
    accelerator: Accelerator = "none"
    accelerator_problem: str | None = None
    """Why the accelerator that was asked for is not used."""


class Decoded(_Message):
    """The frames are in their memory."""

    kind: Literal["decoded"] = "decoded"
    frame_times_seconds: tuple[tuple[float, ...], ...]
    """Of each clip."""
    videos: tuple[VideoFacts, ...]
    """What was seen of the video for each clip."""

    @field_validator("videos")
    @classmethod
    def _have_a_length(cls, videos: tuple[VideoFacts, ...]) -> tuple[VideoFacts, ...]:
        """Windows are counted by it."""
        if not all(0 < video.duration_seconds < _LONGEST_SECONDS for video in videos):
            raise ValueError("no video is that long")
        return videos


class Refused(_Message):
    """A ``ClipError``."""

    kind: Literal["refused"] = "refused"
    code: str
    message: str = Field(max_length=_MAX_REFUSAL_CHARACTERS)

    @classmethod
    def of(cls, refusal: ClipError) -> "Refused":
        """The message for an error."""
        return cls(code=refusal.code, message=str(refusal)[:_MAX_REFUSAL_CHARACTERS])

    def error(self) -> ClipError | None:
        """The error again; None where no error has this code."""
        return next((kind(self.message) for kind in _tree(ClipError) if kind.code == self.code), None)


class OutOfMemory(_Message):
    """The video asks for more memory than the process may have."""

    kind: Literal["out_of_memory"] = "out_of_memory"


class Fault(_Message):
    """An exception that nobody foresaw: a fault of ours, not of the video."""

    kind: Literal["fault"] = "fault"
    trace: str = Field(max_length=_MAX_TRACE_CHARACTERS)

    @classmethod
    def of(cls, trace: str) -> "Fault":
        """The message for a traceback, of which the end says most."""
        return cls(trace=trace[-_MAX_TRACE_CHARACTERS:])


Reply: TypeAlias = Ready | Decoded | Refused | OutOfMemory | Fault

_REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])


def read_reply(line: bytes) -> Reply:
    """What the process says. Raises: ValueError: it is none of the replies."""
    return _REPLY.validate_json(line)


def _tree(kind: type[ClipError]) -> list[type[ClipError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]
