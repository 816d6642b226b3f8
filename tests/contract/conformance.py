"""Schemathesis, which makes requests out of the server's own document and holds the answers against it."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.colour_model import publish
from tests.live_server import ROOT, LiveServer, running_server

MODEL, SPARE_VERSION, KEPT_VERSION = "colours", 1, 2
"""The server starts with the newest version; the other one may be loaded and unloaded."""

CONFIG = Path(__file__).with_name("schemathesis.toml")


@dataclass(frozen=True)
class Conformance:
    """What came of one run."""

    answers: dict[str, Counter[int]]
    """Operation, such as ``POST /classify`` -> status -> how many answers; what broke the connection has status 0."""
    failures: list[str]
    """Operation, check and message, each once."""
    passed: bool
    """Schemathesis found nothing, and could do all that it wanted to."""
    output: str
    """What Schemathesis printed, with a command that repeats each failure."""

    def and_(self, other: "Conformance") -> "Conformance":
        """Both runs as one."""
        operations = self.answers.keys() | other.answers.keys()
        answers = {name: self.answers.get(name, Counter()) + other.answers.get(name, Counter()) for name in operations}
        failures = list(dict.fromkeys(self.failures + other.failures))
        return Conformance(answers, failures, self.passed and other.passed, self.output + other.output)


@contextmanager
def served(folder: Path, api_key: str | None) -> Iterator[LiveServer]:
    """A server for requests of all kinds. With an ``api_key`` it asks for it, and manages models. Writes into ``folder``."""
    for version in (SPARE_VERSION, KEPT_VERSION):
        publish(folder / "models", MODEL, version)
    settings = {} if api_key is None else {"api_keys": api_key, "model_management": "on"}
    with running_server(folder / "models", folder / "log.jsonl", **settings) as live:
        yield live


def conformance(live: LiveServer, folder: Path, cases: int, seed: int, api_key: str | None = None) -> Conformance:
    """Send about ``cases`` requests to each operation, and more where that turns out to be fewer. Writes into ``folder``."""
    options = ["--max-examples", str(cases), "--seed", str(seed)]
    if api_key is not None:
        options += ["--header", f"X-API-Key: {api_key}"]
    found = _run(live, folder / "all.ndjson", options)
    few = [operation for operation in documented(live) if found.answers.get(operation, Counter()).total() < cases]
    if not few:
        return found
    # of 100, a route with one name in its path is sent about a third: names that answers of others held are used again
    alone = [option for operation in few for option in ("--include-name", operation)]
    return found.and_(_run(live, folder / "few.ndjson", [*options, "--phases", "fuzzing", *alone]))


def _run(live: LiveServer, report: Path, options: list[str]) -> Conformance:
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{live.url}/openapi.json"]
    command += ["--no-color", "--report-ndjson-path", str(report), *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    answers, failures = _read(report)
    return Conformance(answers, failures, run.returncode == 0, run.stdout + run.stderr)


def documented(live: LiveServer) -> list[str]:
    """The operations of the document, such as ``POST /classify``."""
    paths = live.client.get("/openapi.json").json()["paths"]
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


def _read(report: Path) -> tuple[dict[str, Counter[int]], list[str]]:
    answers: defaultdict[str, Counter[int]] = defaultdict(Counter)
    failures: dict[str, None] = {}
    with report.open() as lines:
        for event in map(json.loads, lines):
            recorder = event.get("ScenarioFinished", {}).get("recorder", {})
            for case_id, interaction in recorder.get("interactions", {}).items():
                operation = _operation(recorder["cases"][case_id]["value"])
                answers[operation][(interaction["response"] or {}).get("status_code", 0)] += 1
                for check in recorder["checks"].get(case_id, []):
                    if check["status"] != "success":
                        failures[f"{operation}: {check['name']}: {check.get('failure')}"] = None
    return dict(answers), list(failures)


def _operation(case: dict[str, Any]) -> str:
    return f"{case['method']} {case['path']}"
