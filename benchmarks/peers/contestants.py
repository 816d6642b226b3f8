"""Who is compared, and the few configurations that each is tried in; the fastest of them is measured."""

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.peers.task import Task

OURS = "clipserve"
_CORES = len(os.sched_getaffinity(0))
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "BENTOML_DO_NOT_TRACK": "True",
    "ORT_DISABLE_TELEMETRY": "1",
}
"""Nothing is sent to the makers, and no token is left in a home directory."""


@dataclass(frozen=True)
class Configuration:
    """One arrangement of a framework's parts: what the documentation offers."""

    label: str
    """As it stands in the tables."""
    workers: int = _CORES
    batch_size: int = 1
    style: str = ""
    environment: tuple[tuple[str, str], ...] = ()

    def task(self, task: Task) -> Task:
        """``task`` in this arrangement."""
        return replace(task, workers=self.workers, batch_size=self.batch_size, style=self.style)


@dataclass(frozen=True)
class Contestant:
    """A server, by the name that it has in the tables."""

    name: str
    package: str
    configurations: tuple[Configuration, ...]
    path: str = "/classify"

    @property
    def is_ours(self) -> bool:
        """Whether it is the server of this project."""
        return self.name == OURS

    def probabilities(self, body: bytes, labels: list[str]) -> list[float]:
        """What an answer says, in the order of ``labels``. Raises: ValueError, KeyError: it is no such answer."""
        answer: dict[str, Any] = json.loads(body)
        if not self.is_ours:
            return [float(p) for p in answer["probabilities"]]
        by_label = {entry["label"]: entry["probability"] for entry in answer["predictions"]}
        return [float(by_label[label]) for label in labels]

    def environment(self, configuration: Configuration, task: Task) -> dict[str, str]:
        """Variables that its process gets."""
        return {**_QUIET, **dict(configuration.environment), **configuration.task(task).environment}


_ALONE = Configuration(f"{_CORES} workers")
_BATCHES = Configuration(f"{_CORES} workers, batches of 8", batch_size=8)

CONTESTANTS = (
    Contestant(OURS, "clipserve", (Configuration("defaults"),), "/classify?top_k=0"),
    Contestant(
        "litserve",
        "litserve",
        (
            Configuration(f"{_CORES} workers, fast queue", style="fast queue"),
            _ALONE,
            Configuration(f"{_CORES} workers, fast queue, batches of 8", batch_size=8, style="fast queue"),
        ),
    ),
    Contestant(
        "bentoml",
        "bentoml",
        (
            _ALONE,
            Configuration(f"1 worker, {_CORES} threads", style="threads"),
            Configuration(f"two services of {_CORES} workers, batches of 8", batch_size=8, style="two services"),
        ),
    ),
    Contestant(
        "ray serve",
        "ray",
        (
            Configuration(
                f"{_CORES} replicas, throughput optimized",
                environment=(("RAY_SERVE_THROUGHPUT_OPTIMIZED", "1"), ("RAY_SERVE_ENABLE_DIRECT_INGRESS", "0")),
            ),
            Configuration(f"{_CORES} replicas"),
            Configuration(f"{_CORES} replicas, batches of 8", batch_size=8),
        ),
    ),
    Contestant(
        "mosec",
        "mosec",
        (
            _ALONE,
            _BATCHES,
            Configuration(f"two stages of {_CORES} workers, batches of 8", batch_size=8, style="two stages"),
        ),
    ),
    Contestant(
        "fastapi",
        "fastapi",
        (
            Configuration(f"1 process, {_CORES} threads", style="threads"),
            Configuration(f"{_CORES} processes", style="processes"),
        ),
    ),
)
MODULES = {
    "litserve": "benchmarks.peers.with_litserve",
    "bentoml": "benchmarks.peers.with_bentoml",
    "ray serve": "benchmarks.peers.with_ray",
    "mosec": "benchmarks.peers.with_mosec",
    "fastapi": "benchmarks.peers.with_fastapi",
}
_PACKAGES = (
    "litserve",
    "bentoml",
    "ray",
    "mosec",
    "fastapi",
    "starlette",
    "uvicorn",
    "onnxruntime-gpu",
    "numpy",
    "av",
    "opencv-python-headless",
)


def versions(python: Path) -> dict[str, str]:
    """What the environment of the peers holds."""
    code = f"import importlib.metadata as m, json; print(json.dumps({{p: m.version(p) for p in {_PACKAGES}}}))"
    result = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(result.stdout)
    return found
