"""The decode process: videos in, clips out, until the server closes its end of the pipe.

Run as a program of its own: ``python -m app.inference.decode_process DESCRIPTOR MODE CPU_SECONDS MEMORY_BYTES ACCELERATOR``.
It imports no more than ``clips`` and the sandbox, and locks itself in before the first video.
"""

import importlib
import io
import mmap
import os
import pkgutil
import socket
import sys
import traceback
from contextlib import suppress
from typing import cast

import av
import numpy as np

from app.inference.decode_messages import MAX_LINE_BYTES, Decoded, Fault, OutOfMemory, Ready, Refused, Reply, Task
from app.inference.frame_memory import writable_frames
from app.inference.sandbox import rlimits
from app.inference.sandbox.lock_in import lock_in
from app.inference.sandbox.policy import Protections, SandboxPolicy
from clips import Clip, ClipError, ClipSpec, load_clip, load_clips
from clips.acceleration import Accelerator, AcceleratorChoice, AcceleratorUnavailable
from clips.container import VideoBytes
from clips.planned_video import VideoSource

_DESCRIPTORS = 2

_NOT_FOR_DECODING = {"av.__main__", "av.datasets"}


def main() -> None:
    """What the server starts; its arguments are those of ``DecodeWorker``."""
    descriptor, mode, cpu_seconds, memory_bytes, accelerator = sys.argv[1:]
    with socket.socket(fileno=int(descriptor)) as pipe:
        os.dup2(sys.stdin.fileno(), sys.stderr.fileno())  # nobody but the server writes to its log; faults go there as replies
        policy = SandboxPolicy(mode, int(cpu_seconds), int(memory_bytes))  # type: ignore[arg-type]
        with suppress(BrokenPipeError):  # the server is gone
            serve(pipe, policy, accelerator)  # type: ignore[arg-type]


def serve(pipe: socket.socket, policy: SandboxPolicy, choice: AcceleratorChoice) -> None:
    """Lock in, say so, and answer tasks for as long as there are any."""
    try:
        protections = prepare(policy)
        accelerator, problem = _proven(choice)
    except Exception:  # noqa: BLE001 whatever it is, the server's log must hold it
        _send(pipe, Fault.of(traceback.format_exc()))
        return
    _send(pipe, Ready(protections=protections, accelerator=accelerator, accelerator_problem=problem))
    while received := _receive(pipe):
        task, video, frames = received
        if protections.rlimits:
            rlimits.grant_cpu(policy.cpu_seconds)
        _send(pipe, _answer(task, accelerator, video, frames))


def prepare(policy: SandboxPolicy) -> Protections:
    """Decode once before the door closes, so that everything is loaded, and once behind it, so that it is known to work."""
    _import_av()
    video = _smallest_video()
    _warm_up(video)
    if policy.mode == "off":
        return Protections()
    protections = lock_in(policy.memory_bytes)
    _warm_up(video)
    return protections


def _proven(choice: AcceleratorChoice) -> tuple[Accelerator, str | None]:
    """The accelerator to use, tried on a video; and why it is not the one that was asked for."""
    if choice == "none":
        return "none", None
    try:
        clip = load_clip(_smallest_video(), ClipSpec(num_frames=2, height=16, width=16), accelerator="cuda")
    except (AcceleratorUnavailable, ClipError) as problem:
        return "none", str(problem)
    return (clip.video.decoded_on, None) if clip.video.decoded_on == "cuda" else ("none", "the GPU left a video to the CPU")


def _import_av() -> None:
    """PyAV imports by the kinds of streams that it meets; a subtitle would be too late."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in _NOT_FOR_DECODING:
            importlib.import_module(module.name)


def _warm_up(video: bytes) -> None:
    load_clip(video, ClipSpec(num_frames=2, height=16, width=16))
    with suppress(ClipError):
        load_clip(b"not a video", ClipSpec())


def _smallest_video() -> bytes:
    """Two black frames, large enough for the decoder of a GPU."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 128
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((128, 128, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def _receive(pipe: socket.socket) -> tuple[Task, int, int] | None:
    """The next task and its descriptors; None once the server has closed the pipe."""
    line, descriptors = b"", []
    while not line.endswith(b"\n"):
        part, received, _, _ = socket.recv_fds(pipe, MAX_LINE_BYTES, _DESCRIPTORS)
        if not part:
            return None
        line += part
        descriptors += received
    video, frames = descriptors
    return Task.model_validate_json(line), video, frames


def _answer(task: Task, accelerator: Accelerator, video: int, frames: int) -> Reply:
    """Decode, whatever comes of it; both descriptors are closed."""
    try:
        return _decode(task, accelerator, video, frames)
    except ClipError as refusal:
        return Refused.of(refusal)
    except MemoryError:
        return OutOfMemory()
    except Exception:  # noqa: BLE001 the server ends a process that says so
        return Fault.of(traceback.format_exc())
    finally:
        os.close(video)
        os.close(frames)


def _decode(task: Task, accelerator: Accelerator, video: int, frames: int) -> Decoded:
    out = writable_frames(frames, task.shape)

    def decoded(source: VideoSource) -> list[Clip]:
        return load_clips(source, task.spec, task.windows, task.limits, out=out, accelerator=accelerator)

    if not task.video_bytes:  # nothing cannot be mapped
        found = decoded(b"")
    else:
        with _mapped(video, task.video_bytes) as source:
            found = decoded(cast(VideoBytes, source))
    return Decoded(
        frame_times_seconds=tuple(clip.frame_times_seconds for clip in found), videos=tuple(clip.video for clip in found)
    )


def _mapped(video: int, size: int) -> mmap.mmap:
    """The video's bytes, without a copy. Raises: MemoryError: there is no room for them."""
    try:
        return mmap.mmap(video, size, prot=mmap.PROT_READ)
    except OSError as problem:
        raise MemoryError("no address space is left for the video") from problem


def _send(pipe: socket.socket, reply: Reply) -> None:
    line = reply.line()
    while line:
        line = line[pipe.sendmsg([line]) :]


if __name__ == "__main__":
    main()
