"""A decode process that was taken over: a 'video' that begins with ``DO`` names what it does from inside the sandbox.

It answers with a refusal that says how the attempt ended: ``allowed``, or the name of the error.
"""

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from app.inference import decode_process
from clips import Clip, DecodeFailed, load_clips

LIBC = ctypes.CDLL(None, use_errno=True)
HOARD: list[Any] = []


def libc(name: str, *arguments: Any) -> None:
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")


def fork() -> None:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def thread() -> None:
    started = threading.Thread(target=int)
    started.start()
    started.join()


def signal_the_server() -> None:
    os.kill(os.getppid(), 0)


def close_after(descriptor: int) -> None:
    os.close(descriptor)


ATTEMPTS: dict[str, Callable[[], object]] = {
    "open-a-file": lambda: close_after(os.open("/etc/passwd", os.O_RDONLY)),
    "open-beside-me": lambda: close_after(os.open(".", os.O_RDONLY)),
    "create-a-file": lambda: close_after(os.open("/tmp", os.O_TMPFILE | os.O_WRONLY)),
    "list-a-folder": lambda: list(Path("/").iterdir()),
    "ask-for-a-file": Path("/etc/passwd").stat,
    "read-the-servers-memory": lambda: close_after(os.open(f"/proc/{os.getppid()}/environ", os.O_RDONLY)),
    "go-elsewhere": lambda: os.chdir("/"),
    "make-a-socket": lambda: socket.socket().close(),
    "make-a-udp-socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "make-a-unix-socket": lambda: socket.socket(socket.AF_UNIX).close(),
    "fork": fork,
    "start-a-thread": thread,
    "signal-the-server": signal_the_server,
    "make-memory-executable": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC).close(),
    "make-a-memory-file": lambda: close_after(os.memfd_create("x")),
    "make-a-pipe": lambda: [os.close(end) for end in os.pipe()],
    "bind": lambda: UNIX.bind(f"\0clipserve-test-{os.getpid()}"),
    "listen-at-a-port": lambda: TCP.bind(("127.0.0.1", 0)),
    "set-a-limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)),
}
"""Harmless where they are allowed, so that they can also be tried without the sandbox."""

ONLY_REFUSED: dict[str, Callable[[], object]] = {
    "run-a-program": lambda: os.execv(sys.executable, [sys.executable, "-c", "pass"]),
    "trace-the-server": lambda: libc("ptrace", 16, os.getppid(), 0, 0),
    "call-a-port": lambda: TCP.connect(("127.0.0.1", 1)),
    "call-a-unix-socket": lambda: UNIX.connect("\0nobody"),
    "kill-the-server": lambda: os.kill(os.getppid(), signal.SIGKILL),
}


def balloon() -> None:
    while True:
        HOARD.append(np.ones(2**24, np.uint8))


def burn() -> None:
    while True:
        pass


def burn_a_little(seconds: float = 0.4) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def crash() -> None:
    ctypes.string_at(0)


def say(line: bytes) -> None:
    """This, and nothing else."""
    PIPE.sendmsg([line])
    PIPE.recvmsg(1)


def hang_up() -> None:
    PIPE.close()
    os.close(int(sys.argv[1]))
    burn()


def send_and_speak_again(pipe: socket.socket, reply: decode_process.Reply) -> None:
    """The answer that is due, and after a while, in which the server has read it, one that nobody asked for."""
    pipe.sendmsg([reply.line()])
    burn_a_little(4.0)
    say(reply.line())


ACTIONS: dict[str, Callable[[], object]] = {
    "balloon": balloon,
    "burn": burn,
    "burn-a-little": burn_a_little,
    "crash": crash,
    "abort": os.abort,
    "exit": lambda: os._exit(0),
    "fail": lambda: 1 / 0,
    "hang-up": hang_up,
    "say-nonsense": lambda: say(b"nonsense\n"),
    "say-the-wrong-thing": lambda: say(b'{"kind": "ready", "protections": {}}\n'),
    "say-an-unknown-refusal": lambda: say(b'{"kind": "refused", "code": "x", "message": ""}\n'),
    "say-too-much": lambda: say(b" " * 2**17),
    "say-nan": lambda: say(DECODED.replace(b"0.5", b"NaN")),
    "say-too-few-times": lambda: say(DECODED.replace(b"0.5,", b"")),
    "say-too-many-clips": lambda: say(DECODED.replace(b"[[0.5, 1, 1, 1]]", b"[[0.5, 1, 1, 1], [0.5, 1, 1, 1]]")),
    "say-no-facts": lambda: say(DECODED[: DECODED.index(b"[{")] + b"[]}\n"),
    "speak-again-after-the-next": lambda: setattr(decode_process, "_send", send_and_speak_again),
    "say-pickle": lambda: say(b"\x80\x04cos\nsystem\n"),
}
"""What ends the process one way or the other."""

DECODED = (
    b'{"kind": "decoded", "frame_times_seconds": [[0.5, 1, 1, 1]], "videos": [{"container": "x", "codec": "x", '
    b'"width": 1, "height": 1, "duration_seconds": 1, "frame_count": 1, "partial": false, "missing_fraction": 0, '
    b'"decoded_on": "cpu"}]}\n'
)


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as refused:
        return errno.errorcode[refused.errno or 0]
    except (RuntimeError, ValueError):  # what Python makes of it for a thread and for a limit
        return "EPERM"
    return "allowed"


def obey(source: Any, spec: Any, windows: Any, limits: Any = None, *, out: Any = None, accelerator: Any = "none") -> list[Clip]:
    """In the place of ``load_clips``."""
    order = bytes(source[:200])
    if not order.startswith(b"DO "):
        return load_clips(source, spec, windows, limits, out=out)
    name = order[3:].decode()
    if name == "limits":
        kinds = ("RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_CPU")
        raise DecodeFailed(repr({kind: resource.getrlimit(getattr(resource, kind)) for kind in kinds}))
    if name in ACTIONS:
        ACTIONS[name]()
        raise DecodeFailed("done")
    raise DecodeFailed(outcome((ATTEMPTS | ONLY_REFUSED)[name]))


if __name__ == "__main__":
    # what a process must have before it locks itself in
    PIPE = socket.socket(fileno=os.dup(int(sys.argv[1])))
    UNIX, TCP = socket.socket(socket.AF_UNIX), socket.socket()
    decode_process.load_clips = obey
    decode_process.main()
