"""One decode process, seen from both ends of its pipe. A video that crashes or hangs the decoder takes down this process alone.

    server                                   process
      --- ClipSpec, DecodeLimits, bytes ----->  load_clip
      <-- Clip facts, or a ClipError ---------
      <-- frames as raw bytes ----------------

A process and not a thread: FFmpeg's own timeout does not stop a decode that burns CPU, and a crash is not an exception.
"""

import multiprocessing
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from clips import Clip, ClipError, ClipSpec, DecodeFailed, DecodeLimits, VideoFacts, load_clip

START_TIMEOUT_SECONDS = 60.0

# not fork: a copy of a process with threads (onnxruntime, the event loop) may hang
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class _Decoded:
    """What goes back ahead of the frames."""

    frame_times_seconds: tuple[float, ...]
    video: VideoFacts


class DecodeWorker:
    """A live decode process; does one video at a time. All methods but ``kill`` block."""

    def __init__(self) -> None:
        self._pipe, child_end = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(child_end,), name="clipserve-decode", daemon=True)
        self._process.start()
        self._killed = False
        child_end.close()

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and may go on running."""
        return not self._killed and self._process.is_alive()

    def wait_until_ready(self) -> None:
        """Return once the process has imported the decoder.

        Raises: OSError: it died or took too long. EOFError: it died.
        """
        if not self._pipe.poll(START_TIMEOUT_SECONDS):
            raise TimeoutError(f"a decode process did not start within {START_TIMEOUT_SECONDS:.0f} s")
        self._pipe.recv()

    def decode(self, video: bytes, spec: ClipSpec, limits: DecodeLimits) -> Clip:
        """The clip of ``video``; its frames are a read-only view of the bytes received.

        Raises: ClipError: the video cannot become a clip; DecodeFailed too where the process died of it.
        """
        try:
            self._pipe.send((spec, limits))
            self._pipe.send_bytes(video)
            reply = self._pipe.recv()
            if isinstance(reply, ClipError):
                raise reply
            frames = np.frombuffer(self._pipe.recv_bytes(), np.uint8).reshape(spec.shape)
        except (EOFError, OSError) as problem:
            self.kill()
            self._process.join()
            raise DecodeFailed("The video stopped the decoder; send it re-encoded as H.264 in MP4.") from problem
        return Clip(frames, reply.frame_times_seconds, reply.video)

    def kill(self) -> None:
        """End the process at once; whoever waits in ``decode`` gets a DecodeFailed."""
        self._killed = True
        self._process.kill()

    def close(self) -> None:
        """End the process and forget it."""
        self.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection) -> None:
    """The process: videos in, clips out, until the server closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server decides when to end
    pipe.send("ready")
    while True:
        try:
            spec, limits = pipe.recv()
            video = pipe.recv_bytes()
        except EOFError:
            return
        try:
            clip = load_clip(video, spec, limits)
        except ClipError as refusal:
            pipe.send(refusal)
        else:
            pipe.send(_Decoded(clip.frame_times_seconds, clip.video))
            pipe.send_bytes(clip.frames.data.cast("B"))
        del video
