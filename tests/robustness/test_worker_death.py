"""Decode processes that die while the server works: the culprit's video fails, nobody else's, and the pool recovers."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.colour_model import publish
from tests.live_server import running_server
from tests.robustness.workers import decode_processes
from tests.videos import GREEN, solid_video

GREEN_VIDEO = solid_video(GREEN)


def test_killed_decoders_cost_at_most_their_own_videos(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with running_server(tmp_path / "models", tmp_path / "log") as live:
        rounds = 3
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(live.classify, GREEN_VIDEO) for _ in range(40)]
            killed: set[int] = set()
            for _ in range(rounds):
                for pid in decode_processes(live.process.pid):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                futures += [pool.submit(live.classify, GREEN_VIDEO) for _ in range(10)]
                futures[-1].result()
            answers = [future.result() for future in futures]
        failed = [answer for answer in answers if answer.status_code != 200]
        assert len(failed) <= len(killed)
        assert {answer.json()["code"] for answer in failed} <= {"decode_failed"}
        assert {a.json()["predictions"][0]["label"] for a in answers if a.status_code == 200} == {"green"}
        live.until(lambda: live.metric('clipserve_decode_workers_replaced_total{reason="died"}') == len(killed))
        assert live.client.get("/readyz").status_code == 200


def test_a_server_none_of_whose_decoders_stays_alive_is_not_ready_and_recovers(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with running_server(tmp_path / "models", tmp_path / "log") as live:

        def is_not_ready_without_decoders() -> bool:
            for pid in decode_processes(live.process.pid):
                os.kill(pid, signal.SIGKILL)
            return live.client.get("/readyz").status_code == 503

        live.until(is_not_ready_without_decoders)
        detail = live.client.get("/readyz").json()["detail"]
        assert "no decode process is alive" in detail
        assert live.client.get("/v2/health/ready").status_code == 503
        assert live.classify(GREEN_VIDEO).json()["code"] == "not_ready"
        assert live.metric("clipserve_ready ") == 0
        live.until(lambda: live.client.get("/readyz").status_code == 200)
        assert live.classify(GREEN_VIDEO).status_code == 200
