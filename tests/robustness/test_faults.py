"""Decode processes that are hit while good requests run: only the video in their hands fails, and others take their place.

The process to hit is one that decodes a culprit, a video of tens of seconds, so that every good request must be answered.
"""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import httpx
import pytest

from app.inference.sandbox.kernel import machine
from tests.colour_model import publish
from tests.live_server import LiveServer, running_server
from tests.robustness.bombs import huge_frames, still_video
from tests.robustness.workers import PeakMemory, busy_process, decode_processes, locked_in_processes
from tests.videos import GREEN, solid_video

GOOD = solid_video(GREEN)
GOOD_REQUESTS, CLIENTS = 32, 8
WORKERS = 2
TIMEOUT_SECONDS = 20.0
MEMORY_BYTES = 512 * 2**20
BALLOONS = 4

Answers = list["Future[httpx.Response]"]


@pytest.fixture(scope="module")
def culprit() -> bytes:
    """4K, 6000 frames, and each needs the one before: beyond the time of any test here."""
    return still_video(6000)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("faults")
    publish(folder / "models")
    settings = {
        "decode_timeout_seconds": TIMEOUT_SECONDS,
        "decode_cpu_seconds": 600,
        "decode_memory_bytes": MEMORY_BYTES,
        "decode_max_pixels": 2**27,
    }
    with running_server(folder / "models", folder / "log", decode_workers=WORKERS, **settings) as server:
        yield server
        assert server.process.poll() is None
        assert server.client.get("/readyz").status_code == 200


def until_complete(live: LiveServer) -> None:
    """Wait until every process is there that should be, none of them starting any more."""
    live.until(lambda: len(locked_in_processes(live.process.pid)) == WORKERS)


def ask_good(live: LiveServer, pool: ThreadPoolExecutor) -> Answers:
    return [pool.submit(live.classify, GOOD) for _ in range(GOOD_REQUESTS)]


def check_good(answers: Answers) -> None:
    results = [answer.result() for answer in answers]
    assert [(result.status_code, result.text) for result in results if result.status_code != 200] == []
    assert [result.json()["predictions"][0]["label"] for result in results] == ["green"] * GOOD_REQUESTS


def replaced(live: LiveServer, reason: str) -> float:
    return live.metric(f'clipserve_decode_workers_replaced_total{{reason="{reason}"}}')


needs_proc = pytest.mark.skipif(machine() is None, reason="looks at processes through /proc")


@needs_proc
@pytest.mark.parametrize(
    ("hit", "reason"),
    [(signal.SIGKILL, "died"), (signal.SIGSEGV, "died"), (signal.SIGSTOP, "timeout")],
    ids=["SIGKILL", "SIGSEGV", "SIGSTOP"],
)
def test_a_process_that_is_hit_costs_the_video_in_its_hands_and_no_other(
    live: LiveServer, culprit: bytes, hit: signal.Signals, reason: str
) -> None:
    until_complete(live)
    before = replaced(live, reason)
    with ThreadPoolExecutor(1) as for_the_culprit, ThreadPoolExecutor(CLIENTS) as pool:
        blamed = for_the_culprit.submit(live.classify, culprit)
        victim = busy_process(live)
        answers = ask_good(live, pool)
        next(as_completed(answers))
        os.kill(victim, hit)
        check_good(answers)
        assert (blamed.result().status_code, blamed.result().json()["code"]) == (422, "decode_failed")
    live.until(lambda: victim not in decode_processes(live.process.pid))
    until_complete(live)
    assert replaced(live, reason) == before + 1


@needs_proc
def test_a_memory_balloon_is_refused_within_its_bounds_and_costs_no_other_video(live: LiveServer) -> None:
    balloon = huge_frames()
    with PeakMemory(live.process.pid) as peak, ThreadPoolExecutor(1) as for_balloons, ThreadPoolExecutor(CLIENTS) as pool:
        answers = ask_good(live, pool)
        refused = [for_balloons.submit(live.classify, balloon) for _ in range(BALLOONS)]
        check_good(answers)
        for answer in refused:
            assert (answer.result().status_code, answer.result().json()["code"]) == (422, "decode_failed"), answer.result().text
            assert "memory" in answer.result().json()["detail"]
    assert 0 < peak.bytes <= MEMORY_BYTES
    assert live.classify(GOOD).status_code == 200


def test_the_balloon_is_a_video_where_there_is_memory_for_it(tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    publish(tmp_path / "models")
    with running_server(tmp_path / "models", tmp_path / "log", decode_workers=1, decode_max_pixels=2**27) as live:
        assert live.classify(huge_frames()).status_code == 200


@needs_proc
def test_good_requests_that_wait_for_the_only_process_are_answered_by_its_successor(tmp_path: Path, culprit: bytes) -> None:
    publish(tmp_path / "models")
    with (
        running_server(
            tmp_path / "models",
            tmp_path / "log",
            decode_workers=1,
            decode_cpu_seconds=600,
            decode_timeout_seconds=60,
        ) as live,
        ThreadPoolExecutor(1) as for_the_culprit,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        blamed = for_the_culprit.submit(live.classify, culprit)
        victim = busy_process(live)
        answers = ask_good(live, pool)
        live.until(lambda: live.metric("clipserve_admitted ") == 1 + CLIENTS)
        os.kill(victim, signal.SIGKILL)
        check_good(answers)
        assert blamed.result().status_code == 422
