"""The real server in a process of its own, on a free port of 127.0.0.1."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]


@dataclass
class LiveServer:
    """A running server and a client that talks to it."""

    process: subprocess.Popen[str]
    client: httpx.Client
    log: Path

    @property
    def url(self) -> str:
        """Such as ``http://127.0.0.1:43210``."""
        return str(self.client.base_url).rstrip("/")

    def classify(self, video: bytes, **query: Any) -> httpx.Response:
        """POST the video as a raw body."""
        return self.client.post("/classify", content=video, params=query, headers={"Content-Type": "application/octet-stream"})

    def upload(self, video: bytes, name: str = "a.mp4", **query: Any) -> httpx.Response:
        """POST the video as the multipart field ``file`` under a name."""
        return self.client.post("/classify", files={"file": (name, video, "video/mp4")}, params=query)

    def metric(self, line_start: str) -> float:
        """Value of the first sample in /metrics that starts so; 0 where there is none."""
        lines = self.client.get("/metrics").text.splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(line_start)), 0.0)

    def until(self, happens: Callable[[], bool], seconds: float = 60.0) -> None:
        """Look until it has happened; a request after each look keeps this from spinning.

        The bound is for what never happens: a busy machine takes its time, and how fast things are is no matter of tests.
        """
        deadline = monotonic() + seconds
        while not happens():
            assert self.client.get("/healthz").status_code == 200
            assert monotonic() < deadline, f"it did not happen within {seconds:g} s"

    def log_line(self, request_id: str) -> dict[str, Any]:
        """The line about a request, which is written when its answer was sent."""
        found: list[dict[str, Any]] = []

        def is_written() -> bool:
            lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}"))
            found[:] = [line for line in lines if line["event"] == "request" and line["request_id"] == request_id]
            return bool(found)

        self.until(is_written)
        (line,) = found
        return line

    def stop(self, timeout_seconds: float = 40.0) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_seconds)


def command(*arguments: str) -> list[str]:
    """A ``clipserve`` command line."""
    return [sys.executable, "-m", "clipserve", *arguments]


def environment(variables: Mapping[str, str] | None = None, **settings: object) -> dict[str, str]:
    """This process's environment with our settings and no others, and ``variables`` that have other prefixes."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("CLIPSERVE_", "OTEL_"))}
    return (
        inherited
        | {"PYTHONPATH": str(ROOT)}
        | dict(variables or {})
        | {f"CLIPSERVE_{name.upper()}": str(value) for name, value in settings.items()}
    )


@contextmanager
def running_server(
    repository: Path,
    log: Path,
    *,
    wait: bool = True,
    cwd: Path = ROOT,
    variables: Mapping[str, str] | None = None,
    **settings: object,
) -> Iterator[LiveServer]:
    """Start ``clipserve serve``, wait until it is ready, and end it by its process id."""
    settings = {
        "port": 0,
        "model_repository": repository,
        "decode_workers": 2,
        "execution_provider": "cpu",
        "request_timeout_ms": 120_000,
        "cache_folder": "off",
        "max_wait_ms": 0,  # how many are let in would depend on the machine
    } | settings
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command("serve"), cwd=cwd, env=environment(variables, **settings), stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    try:
        url = _first_url(process, log)
        with httpx.Client(base_url=url, timeout=150.0) as client:
            server = LiveServer(process, client, log)
            if wait:
                wait_until_started(server)
            yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def _first_url(process: "subprocess.Popen[str]", log: Path) -> str:
    """The server prints its address as soon as it listens, and a last line once it is ready or never will be."""
    assert process.stdout
    line = process.stdout.readline()
    assert "http://" in line, f"the server did not start: {log.read_text()}"
    return line.split()[-1]


def wait_until_started(server: LiveServer) -> str:
    """The last line that the server prints at its start: a request to try, or why it is not ready."""
    assert server.process.stdout
    for line in server.process.stdout:
        if line.startswith(("try it", "not ready")):
            return line
    raise AssertionError(f"the server ended: {server.log.read_text()}")
