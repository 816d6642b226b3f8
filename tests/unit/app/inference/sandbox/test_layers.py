"""Each layer of the sandbox alone, in a process of its own: another one cannot make up for it."""

import errno
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.inference.sandbox import landlock
from app.inference.sandbox.kernel import machine

ROOT = Path(__file__).parents[5]

BEHIND = """
import json, os, socket, sys
from app.inference.sandbox import kernel, landlock, rlimits, seccomp

answers = socket.socket(fileno=int(sys.argv[1]))
listener = socket.create_server(("127.0.0.1", 0))
there = listener.getsockname()
sender = socket.socket()
kernel.refuse_new_privileges()
result = {layer}

def outcome(attempt):
    try:
        attempt()
    except OSError as refused:
        return refused.errno
    return 0

answers.sendmsg([json.dumps({{
    "result": result,
    "open": outcome(lambda: os.close(os.open("/etc/passwd", os.O_RDONLY))),
    "create": outcome(lambda: os.close(os.open("/tmp", os.O_TMPFILE | os.O_WRONLY))),
    "connect": outcome(lambda: sender.connect(there)),
    "bind": outcome(lambda: socket.socket().bind(("127.0.0.1", 0))),
    "kill": outcome(lambda: os.kill(os.getppid(), 0)),
}}).encode()])
os._exit(0)
"""


def behind(layer: str) -> dict[str, Any]:
    """What a process finds that has applied ``layer``."""
    answers, there = socket.socketpair()
    with answers, there:
        command = [sys.executable, "-c", BEHIND.format(layer=layer), str(there.fileno())]
        subprocess.run(command, check=True, cwd=ROOT, timeout=60, pass_fds=[there.fileno()])
        return dict(json.loads(answers.recv(4096)))


def test_without_a_layer_everything_is_open() -> None:
    tried = behind("None")
    assert {tried[name] for name in ("open", "create", "connect", "bind", "kill")} == {0}


@pytest.mark.skipif(not landlock.available_abi(), reason="this kernel has no Landlock")
def test_landlock_alone_refuses_files_ports_and_signals() -> None:
    tried = behind("landlock.apply()")
    abi = tried["result"]
    assert abi == landlock.available_abi()
    assert (tried["open"], tried["create"]) == (errno.EACCES, errno.EACCES)
    if abi >= 4:
        assert (tried["connect"], tried["bind"]) == (errno.EACCES, errno.EACCES)
    if abi >= 6:
        assert tried["kill"] == errno.EPERM


@pytest.mark.skipif(machine() is None, reason="seccomp is for Linux on x86_64 and aarch64")
def test_seccomp_alone_refuses_files_sockets_and_signals() -> None:
    tried = behind("seccomp.apply()")
    assert tried["result"] is True
    assert {tried[name] for name in ("open", "create", "connect", "bind", "kill")} == {errno.EPERM}


def test_rlimits_hold_what_they_say() -> None:
    assert behind("rlimits.apply(2**30)")["result"] is True
