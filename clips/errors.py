"""Why a video did not become a clip.

    ClipError
    ├── NotAVideo                 not_a_video               no demuxer recognises the bytes
    ├── UnsupportedContainer      unsupported_container     a format outside the allow-list
    ├── NoVideoStream             no_video_stream           audio, subtitles or nothing
    ├── TooFewFrames              too_few_frames            a still picture
    ├── DimensionsOutOfRange      dimensions_out_of_range   too many pixels, or none
    ├── DurationOutOfRange        duration_out_of_range     too long, or too many frames
    └── DecodeFailed              decode_failed             damaged data, or a codec outside the allow-list

``CommandError`` and ``UsageError`` are the same for the command line.

Messages are written for the person who sent the video: they name the cause and the remedy, never a path.
"""

from typing import ClassVar


class ClipError(Exception):
    """A video that cannot become a clip; ``code`` is stable and part of the HTTP contract."""

    code: ClassVar[str] = "clip_error"


class NotAVideo(ClipError):
    """The bytes are not a video file."""

    code = "not_a_video"


class UnsupportedContainer(ClipError):
    """The bytes are a file format outside the allow-list."""

    code = "unsupported_container"


class NoVideoStream(ClipError):
    """The container holds no video stream."""

    code = "no_video_stream"


class TooFewFrames(ClipError):
    """Fewer frames than a video has."""

    code = "too_few_frames"


class DimensionsOutOfRange(ClipError):
    """A frame has too many pixels, or none."""

    code = "dimensions_out_of_range"


class DurationOutOfRange(ClipError):
    """The video is too long, or holds too many frames."""

    code = "duration_out_of_range"


class DecodeFailed(ClipError):
    """The video data is damaged, or its codec is outside the allow-list."""

    code = "decode_failed"


class CommandError(Exception):
    """A command of ``clipserve`` cannot go on; the message says why and what to do, in one line."""

    exit_code: ClassVar[int] = 1


class UsageError(CommandError):
    """The command was called wrongly."""

    exit_code = 2
