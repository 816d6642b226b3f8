"""Show what the decoder sees of a video, which frames it plans to decode, and what that costs.

For a file that a server refuses, or is slow with. The limits are those of the server: the same CLIPSERVE_DECODE_* variables.
The file is decoded in a process that is locked in as the server's are.
"""

import argparse
import os
import signal
import socket
import sys
import traceback
from itertools import chain
from pathlib import Path

from app.inference.decode_process import prepare
from app.inference.sandbox import rlimits
from app.inference.sandbox.policy import SandboxPolicy
from app.settings import Settings, read_settings
from clips import ClipSpec, Manifest
from clips.errors import CommandError, UsageError
from clips.examine import examine, versions

EXAMPLE = "clipserve probe holiday.mp4\n  clipserve probe holiday.mp4 --model models/exercise10/1"

_UNPROTECTED = 3
_ENDED_BY = {
    1: "the examination failed; the video is not to blame",
    _UNPROTECTED: "decoding cannot be held back as CLIPSERVE_DECODE_SANDBOX=required asks for; the video was not touched",
    -signal.SIGXCPU: "decoding takes more processor time than CLIPSERVE_DECODE_CPU_SECONDS allows",
    -signal.SIGALRM: "decoding takes longer than CLIPSERVE_DECODE_TIMEOUT_SECONDS allows",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The video, and the clip to make of it."""
    parser.add_argument("file", type=Path, help="the video")
    parser.add_argument("--model", type=Path, help="published version whose clips to make, such as models/exercise10/1")
    parser.add_argument("--frames", type=int, help="frames of the clip (default: 8, or the model's)")
    parser.add_argument("--size", type=int, help="height and width, px (default: 224, or the model's)")
    parser.add_argument("--sampling", choices=["exact", "nearest_reference"], help="(default: exact, or the model's)")


def run(args: argparse.Namespace) -> None:
    """Raises: UsageError: the file or the model cannot be read. CommandError: the video stops the decoder."""
    settings, spec = read_settings(), _spec(args)
    try:
        video = args.file.read_bytes()
    except OSError as problem:
        raise UsageError(f"cannot read {args.file}: {problem.strerror}") from problem
    if len(video) > settings.max_upload_bytes:
        sys.stdout.write(f"larger than an upload may be: {len(video):,} bytes, CLIPSERVE_MAX_UPLOAD_BYTES allows less\n")
    _examine_apart(video, spec, settings)


def _spec(args: argparse.Namespace) -> ClipSpec:
    wanted = {"num_frames": args.frames, "height": args.size, "width": args.size, "sampling": args.sampling}
    given = {name: value for name, value in wanted.items() if value is not None}
    try:
        published = (
            Manifest.model_validate_json((args.model / "manifest.json").read_bytes()).clip_spec if args.model else ClipSpec()
        )
        return ClipSpec(**(published.model_dump() | given))
    except OSError as problem:
        raise UsageError(f"{args.model} holds no manifest.json: {problem.strerror}") from problem
    except ValueError as problem:
        raise UsageError(f"not a clip that can be made: {problem}") from problem


def _examine_apart(video: bytes, spec: ClipSpec, settings: Settings) -> None:
    """Examine in a child process, and show its lines as they come. Raises: CommandError: it died."""
    here, there = socket.socketpair()  # a process that is locked in may send, and not write
    if (child := os.fork()) == 0:
        here.close()
        _child(there, video, spec, settings)
    there.close()
    with here, here.makefile() as lines:
        for line in lines:
            sys.stdout.write(line)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise CommandError(_ENDED_BY.get(code, f"the video stops the decoder (exit code {code})"))


def _child(pipe: socket.socket, video: bytes, spec: ClipSpec, settings: Settings) -> None:
    """Never returns."""
    code = 1
    try:
        signal.setitimer(signal.ITIMER_REAL, settings.decode_timeout_seconds)
        protections = prepare(SandboxPolicy(settings.decode_sandbox, settings.decode_cpu_seconds, settings.decode_memory_bytes))
        if settings.decode_sandbox == "required" and protections.missing():
            os._exit(_UNPROTECTED)
        if protections.rlimits:
            rlimits.grant_cpu(settings.decode_cpu_seconds)
        for line in chain([versions()], examine(video, spec, settings.decode_limits)):
            pipe.sendmsg([line.encode() + b"\n"])
        code = 0
    except MemoryError:
        pipe.sendmsg([b"refused    decoding takes more memory than CLIPSERVE_DECODE_MEMORY_BYTES allows\n"])
        code = 0
    except Exception:  # noqa: BLE001 whatever it is, the person at the terminal must see it
        pipe.sendmsg([traceback.format_exc().encode()])
    finally:
        os._exit(code)
