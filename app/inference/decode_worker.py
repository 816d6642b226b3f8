"""One decode process, seen from the server. A video that crashes or hangs the decoder takes down this process alone.

    server                                        process
      --- Task, video's and frames' descriptors -->  load_clips, into the memory of the frames
      <-- Decoded, or why not --------------------

A process and not a thread: FFmpeg's own timeout does not stop a decode that burns CPU, and a crash is not an exception.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple

from app.inference.decode_endings import EndReason, WorkerEnded
from app.inference.decode_messages import MAX_LINE_BYTES, Decoded, Fault, OutOfMemory, Ready, Refused, Reply, Task, read_reply
from app.inference.frame_memory import FrameMemory, Shape
from app.inference.interpreter import start_interpreter
from app.inference.sandbox.policy import SandboxPolicy
from app.inference.video_file import VideoFile
from app.observability import logs
from clips import WHOLE_VIDEO, Clip, ClipSpec, DecodeLimits, TimeWindow
from clips.acceleration import AcceleratorChoice

START_TIMEOUT_SECONDS = 60.0

PROGRAM = "app.inference.decode_process"


class DecodeWorker:
    """A live decode process; does one video at a time. Belongs to the event loop that it was made in."""

    def __init__(
        self,
        sandbox: SandboxPolicy,
        accelerator: AcceleratorChoice,
        environment: Mapping[str, str],
        ended: Callable[["DecodeWorker"], None],
    ) -> None:
        """Start the process. ``ended`` is called once, in the loop, as soon as it is known to be gone.

        Raises: OSError: no process can be started.
        """
        self.decoded = 0
        """Videos so far."""
        self.reason: EndReason | None = None
        """Why it ended; None for as long as it lives."""
        self._ended = ended
        self._pipe, there = socket.socketpair()
        try:
            with there:
                self._process = start_interpreter(PROGRAM, there, *astuple(sandbox), accelerator, environment=environment)
        except OSError:
            self._pipe.close()
            raise
        self._pipe.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._line: asyncio.Future[bytes] = self._loop.create_future()
        self._received = b""
        self._frames: FrameMemory | None = None
        self._post_mortem: asyncio.Task[None] | None = None
        self._loop.add_reader(self._pipe, self._read)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and may go on running."""
        return self.reason is None

    @property
    def exit_code(self) -> int | None:
        """As ``subprocess`` gives it (-11: SIGSEGV); None while the process is not gone for good."""
        return self._process.returncode

    async def ready(self) -> Ready:
        """Return once the process can decode, with what it says of itself.

        Raises: WorkerEnded: it died, or took too long.
        """
        timer = self._loop.call_later(START_TIMEOUT_SECONDS, self.kill, "start")
        try:
            await asyncio.wait([self._line])
        finally:
            timer.cancel()
        reply = self._reply()
        if isinstance(reply, Ready):
            return reply
        raise self._broken(reply)

    def begin(
        self, video: VideoFile, spec: ClipSpec, limits: DecodeLimits, windows: Sequence[TimeWindow] = (WHOLE_VIDEO,)
    ) -> "asyncio.Future[bytes]":
        """Hand ``video`` over, for a clip of each of ``windows``; the caller may close it as soon as this returns.

        ``clips`` gives the answer once the future that is returned is done. Cancel the future never.

        Raises: ConnectionError: the process is gone. OSError: no descriptor or no memory is left.
        """
        task = Task(video_bytes=video.size_bytes, spec=spec, limits=limits, windows=tuple(windows))
        line, frames = task.line(), FrameMemory(task.shape)
        try:
            sent = socket.send_fds(self._pipe, [line], [video.fileno(), frames.fileno()])
        except BaseException as problem:
            frames.close()
            if isinstance(problem, ConnectionError):
                self.kill("died")
            raise
        assert sent == len(line), "an empty pipe holds a task"
        self._frames, self._line = frames, self._loop.create_future()
        return self._line

    def clips(self) -> list[Clip]:
        """The clips of the video that was handed over; their frames are read-only views of what the process wrote.

        Raises: ClipError: the video cannot become a clip. WorkerEnded: it took the process with it.
        """
        frames, self._frames = self._frames, None
        assert frames, "nothing was handed over"
        with frames:
            reply = self._reply()
            self.decoded += 1
            if isinstance(reply, Decoded) and _has_shape(reply, frames.shape):
                of_clips = zip(frames.view(), reply.frame_times_seconds, reply.videos, strict=True)
                return [Clip(*of_clip) for of_clip in of_clips]
        if isinstance(reply, Refused) and (refusal := reply.error()):
            raise refusal
        raise self._broken(reply)

    def kill(self, reason: EndReason) -> None:
        """End the process at once; whoever waits for it gets a WorkerEnded."""
        self._process.kill()
        self._end(reason)

    def close(self) -> None:
        """Wait until the process is gone, and forget it. Blocks, for as long as it takes to free its memory."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()

    def _reply(self) -> Reply | None:
        """The message that came; None where it is not one. Raises: WorkerEnded: none came, and none will."""
        line = self._line.result()
        try:
            return read_reply(line)
        except ValueError:
            return None

    def _broken(self, reply: Reply | None) -> WorkerEnded:
        """End a process that cannot go on, or cannot be trusted to."""
        match reply:
            case OutOfMemory():
                reason: EndReason = "memory"
            case Fault(trace=trace):
                reason = "fault"
                logs.warning("decode_worker_fault", pid=self.pid, trace=trace)
            case _:
                reason = "misbehaved"
        self.kill(reason)
        return WorkerEnded(reason)

    def _read(self) -> None:
        """Something came through the pipe. A process that was asked nothing has nothing to say, unless it ends."""
        try:
            part = self._pipe.recv(MAX_LINE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self._loop.remove_reader(self._pipe)
            self._post_mortem = self._loop.create_task(self._find_reason())
            return
        self._received += part
        if self._line.done() or len(self._received) > MAX_LINE_BYTES:
            self.kill("misbehaved")
        elif self._received.endswith(b"\n"):
            line, self._received = self._received, b""
            self._line.set_result(line)

    async def _find_reason(self) -> None:
        """The process hung up: it died, or it may as well."""
        self._process.kill()  # has no effect on how a process ends that is ending
        await asyncio.to_thread(self._process.wait)
        self._end("cpu" if self.exit_code == -signal.SIGXCPU else "died")

    def _end(self, reason: EndReason) -> None:
        if self.reason:
            return
        self.reason = reason
        self._loop.remove_reader(self._pipe)
        if not self._line.done():
            self._line.set_exception(WorkerEnded(reason))
        self._ended(self)


def _has_shape(reply: Decoded, shape: Shape) -> bool:
    """Whether there are facts for each clip and a time for each frame, and no others."""
    times = reply.frame_times_seconds
    return len(times) == len(reply.videos) == shape[0] and all(len(of_clip) == shape[1] for of_clip in times)
