"""A contestant's server: started in a fresh process, ready with its first answer, ended with all that it started."""

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import environ
from pathlib import Path

from benchmarks.load import Client
from benchmarks.peers.contestants import MODULES, Configuration, Contestant
from benchmarks.peers.task import Task
from benchmarks.process_tree import kill, process_tree, processor_seconds, resident_mib

_START_SECONDS = 120
_IDLE_SECONDS = 1.0


class NotServing(Exception):
    """A server did not start; the text has the end of what it printed."""


@dataclass(frozen=True)
class Running:
    """A server that has answered once."""

    contestant: Contestant
    port: int
    start_seconds: float
    """From the start of its process to the first 200."""
    pid: int

    def client(self, patience_seconds: float | None = None) -> Client:
        """A client of its own connections."""
        return Client("127.0.0.1", self.port, self.contestant.path, patience_seconds)

    def processor_seconds(self) -> float:
        """Processor time of all its processes so far, s."""
        return processor_seconds(self.pid)

    def resident_mib(self) -> float:
        """Proportional memory of all its processes, MiB, after a second's rest."""
        time.sleep(_IDLE_SECONDS)
        return resident_mib(self.pid)


@dataclass(frozen=True)
class Launch:
    """What all servers are started with."""

    python: Path
    """Interpreter of the peers' environment."""
    video: bytes
    """Asked for until it is answered 200."""
    log: Path
    """Gets what the server prints."""


@contextmanager
def running(contestant: Contestant, configuration: Configuration, task: Task, launch: Launch) -> Iterator[Running]:
    """A server of its own on a free port, which has answered. Raises: NotServing."""
    port = _free_port()
    command = _command(contestant, task, launch.python, port)
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as folder, launch.log.open("wb") as output:
        variables = {**environ, **contestant.environment(configuration, replace(task, port=port)), **_below(folder)}
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output, env=variables)
        try:
            _wait_for_answer(contestant, port, process, launch)
            yield Running(contestant, port, time.perf_counter() - started, process.pid)
        finally:
            _end(process)


def _below(folder: str) -> dict[str, str]:
    """What servers leave behind goes with the turn."""
    return {"TMPDIR": folder, "BENTOML_HOME": f"{folder}/bentoml"}


def _command(contestant: Contestant, task: Task, python: Path, port: int) -> list[str]:
    if not contestant.is_ours:
        return [str(python), "-m", MODULES[contestant.name]]
    model = Path(task.model)
    flags = ["--port", str(port), "--model-repository", str(model.parents[1]), "--default-model", model.parent.name]
    return [sys.executable, "-m", "clipserve", "serve", *flags]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_answer(contestant: Contestant, port: int, process: "subprocess.Popen[bytes]", launch: Launch) -> None:
    until, status = time.monotonic() + _START_SECONDS, 0
    while time.monotonic() < until and process.poll() is None:
        client = Client("127.0.0.1", port, contestant.path, patience_seconds=_START_SECONDS)
        status = asyncio.run(client.post(launch.video)).status
        if status == 200:
            return
        time.sleep(0.02)
    raise NotServing(f"{contestant.name}: last status {status}; {launch.log.read_text(errors='replace')[-2000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    tree = process_tree(process.pid)
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    kill(tree[1:])
