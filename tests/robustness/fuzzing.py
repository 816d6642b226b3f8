"""Broken videos, one after the other, against a live server: what it answered, and what it must never do."""

import json
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic

from tests.colour_model import publish
from tests.live_server import LiveServer, running_server
from tests.robustness.mutation import Mutant, mutant
from tests.robustness.seeds import Seed
from tests.robustness.workers import PeakMemory
from tests.videos import RED, solid_video

STATUSES = frozenset({200, 400, 413, 415, 422})
AT_ONCE = 4
DECODE_TIMEOUT_SECONDS = 8.0
CPU_SECONDS = 3
LONGEST_SECONDS = 10.0
MAX_WORKER_BYTES = 1_500_000_000
STOPPED = "stopped the decoder"
OUR_FAULTS = {"fault", "misbehaved"}
"""Ends of a decode process that no video may bring about; a crash inside FFmpeg is counted, and answered like a refusal."""
_MORE_DESCRIPTORS = 16


@dataclass(frozen=True)
class Answer:
    """What came back for one input."""

    status: int
    """HTTP status; 0 where there was no answer."""
    body: str
    seconds: float

    def problem(self) -> dict[str, str]:
        """The problem's fields; empty where it is none."""
        return dict(json.loads(self.body)) if self.status >= 400 else {}


@dataclass
class Findings:
    """What a run saw."""

    answers: Counter[str] = field(default_factory=Counter)
    """By status and code."""
    slowest_seconds: float = 0.0
    peak_worker_bytes: int = 0
    worker_deaths: dict[str, int] = field(default_factory=dict)
    """Decode processes that ended before their time, by reason."""
    stopped: list[int] = field(default_factory=list)
    """Numbers of the inputs that took their decode process with them. They are answered, but worth a look."""
    faults: list[str] = field(default_factory=list)
    """What must not be, each with the number of its input where one is known."""

    @property
    def inputs(self) -> int:
        """How many were sent."""
        return self.answers.total()

    def add(self, broken: Mutant, answer: Answer, fault: str | None, stopped: bool) -> None:
        """Count one input."""
        self.answers[f"{answer.status} {answer.problem().get('code', '')}".strip()] += 1
        self.slowest_seconds = max(self.slowest_seconds, answer.seconds)
        if stopped:
            self.stopped.append(broken.number)
        if fault:
            self.faults.append(f"input {broken.number} ({broken.seed}; {'; '.join(broken.steps)}): {fault}")


@contextmanager
def fuzzed_server(folder: Path) -> Iterator[LiveServer]:
    """A server with small times, so that a decoder that hangs shows soon."""
    publish(folder / "models")
    settings = {"decode_timeout_seconds": DECODE_TIMEOUT_SECONDS, "decode_cpu_seconds": CPU_SECONDS}
    with running_server(folder / "models", folder / "log", **settings) as live:
        yield live


def fuzz(live: LiveServer, seeds: Sequence[Seed], numbers: Sequence[int], keep: Path) -> Iterator[Findings]:
    """Send the inputs with these numbers, a few at once; yields what was seen so far, after each, and all of it at the end.

    Inputs that were answered wrongly or stopped a decode process are written to ``keep``, each under its number.
    """
    findings, descriptors = Findings(), _descriptors(live)
    with PeakMemory(live.process.pid) as peak, Clients(live) as clients:
        for broken, answer in clients.answers(seeds, numbers):
            fault, stopped = _fault(answer), STOPPED in answer.body
            findings.add(broken, answer, fault, stopped)
            if fault or stopped:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / str(broken.number)).write_bytes(broken.data)
            yield findings
    findings.peak_worker_bytes = peak.bytes
    findings.worker_deaths = worker_deaths(live)
    findings.faults += _faults_at_the_end(live, findings, descriptors)
    yield findings


def worker_deaths(live: LiveServer) -> dict[str, int]:
    """Decode processes that ended, by reason; without those that made way after enough videos."""
    name = "clipserve_decode_workers_replaced_total{"
    samples = [line for line in live.client.get("/metrics").text.splitlines() if line.startswith(name)]
    counts = {sample.split('"')[1]: int(float(sample.split()[-1])) for sample in samples}
    return {reason: count for reason, count in counts.items() if count and reason != "recycled"}


class Clients:
    """A few callers at once."""

    def __init__(self, live: LiveServer) -> None:
        self._address = (live.client.base_url.host, live.client.base_url.port)
        self._pool = ThreadPoolExecutor(AT_ONCE)

    def __enter__(self) -> "Clients":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def answers(self, seeds: Sequence[Seed], numbers: Sequence[int]) -> Iterator[tuple[Mutant, Answer]]:
        """In the order of the numbers."""
        waiting: deque[Future[tuple[Mutant, Answer]]] = deque()
        for number in numbers:
            waiting.append(self._pool.submit(self._ask, seeds, number))
            if len(waiting) == 2 * AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _ask(self, seeds: Sequence[Seed], number: int) -> tuple[Mutant, Answer]:
        broken = mutant(seeds, number)
        connection, started = HTTPConnection(*self._address, timeout=60), monotonic()
        try:
            connection.request("POST", "/classify", broken.data, {"Content-Type": "application/octet-stream"})
            response = connection.getresponse()
            status, body = response.status, response.read().decode()
        except (OSError, HTTPException) as problem:
            status, body = 0, repr(problem)
        finally:
            connection.close()
        return broken, Answer(status, body, monotonic() - started)


def _fault(answer: Answer) -> str | None:
    """What is wrong with an answer; None: nothing."""
    if answer.status not in STATUSES:
        return f"status {answer.status}: {answer.body}"
    if answer.seconds > LONGEST_SECONDS:
        return f"took {answer.seconds:.1f} s, longer than {LONGEST_SECONDS:.1f} s"
    if "Traceback" in answer.body or "/" in answer.problem().get("detail", ""):
        return f"the answer tells of the inside: {answer.body}"
    return None


def _faults_at_the_end(live: LiveServer, findings: Findings, descriptors: int) -> Iterator[str]:
    """What the server has become."""
    if live.process.poll() is not None:
        yield f"the server ended with {live.process.returncode}"
        return
    if (ready := live.client.get("/readyz").status_code) != 200:
        yield f"/readyz answers {ready}"
    if (good := live.classify(solid_video(RED))).status_code != 200 or good.json()["predictions"][0]["label"] != "red":
        yield f"a sound video is answered {good.status_code}: {good.text}"
    if findings.peak_worker_bytes > MAX_WORKER_BYTES:
        yield f"a decode process took {findings.peak_worker_bytes / 1e6:.0f} MB"
    if own := OUR_FAULTS & findings.worker_deaths.keys():
        yield f"exceptions that nobody foresaw ({', '.join(own)}); the server's log has them; inputs {findings.stopped}"
    if (now := _descriptors(live)) > descriptors + _MORE_DESCRIPTORS:
        yield f"the server has {now} open descriptors, {descriptors} before"


def _descriptors(live: LiveServer) -> int:
    return len(os.listdir(f"/proc/{live.process.pid}/fd"))  # noqa: PTH208 numbers, not files
