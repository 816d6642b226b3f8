"""A decode process without allow-lists that gives the demuxer the client's name: ``python -m tests.robustness.careless MODE``.

It reads a playlist from its input, prepares itself as a decode process does, and opens the playlist. Its exit code says what
came of it: in the sandbox it cannot even write to its output.
"""

import io
import sys

import av

from app.inference import decode_process
from app.inference.sandbox.policy import SandboxPolicy

OPENED, REFUSED = 0, 3


class NamedFile(io.BytesIO):
    """The client's bytes under the client's name."""

    name = "a.m3u8"


def main() -> int:
    """OPENED where FFmpeg found frames, else REFUSED."""
    playlist = NamedFile(sys.stdin.buffer.read())
    protections = decode_process.prepare(SandboxPolicy(sys.argv[1]))  # type: ignore[arg-type]
    assert sys.argv[1] == "off" or protections.seccomp, protections
    try:
        with av.open(playlist, timeout=5) as container:
            return OPENED if any(container.decode(video=0)) else REFUSED
    except (av.FFmpegError, OSError, IndexError):
        return REFUSED


if __name__ == "__main__":
    sys.exit(main())
