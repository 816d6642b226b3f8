"""Start and stop of the real server: what refuses to start says why in one line, and nothing admitted is lost at the end."""

import json
import os
import select
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.colour_model import publish
from tests.live_server import ROOT, LiveServer, command, environment, running_server, wait_until_started
from tests.raw_connection import RawConnection
from tests.videos import GREEN, RED, solid_video

KEPT = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

MUCH_WORK = 1200
"""Keeps a server loading for far longer than any test looks."""


def serve(repository: Path, *flags: str, **settings: object) -> "subprocess.CompletedProcess[str]":
    settings = {"model_repository": repository, "port": 0, "decode_workers": 1} | settings
    return subprocess.run(
        command("serve", *flags), cwd=ROOT, env=environment(**settings), capture_output=True, text=True, check=False, timeout=60
    )


def complaint(result: "subprocess.CompletedProcess[str]") -> str:
    """The one line for the person at the terminal; the others are the log."""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_a_port_in_use_is_found_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = serve(tmp_path / "nowhere", port=port)
    assert result.returncode == 1
    assert complaint(result).startswith(f"clipserve serve: port {port} is in use on 127.0.0.1")


def test_a_missing_repository(tmp_path: Path) -> None:
    result = serve(tmp_path / "nowhere")
    assert result.returncode == 1
    assert "there is no model repository at" in complaint(result)


def test_an_empty_repository(tmp_path: Path) -> None:
    result = serve(tmp_path)
    assert result.returncode == 1
    assert "no model is published in" in complaint(result)


def test_a_changed_model_file(tmp_path: Path) -> None:
    model = publish(tmp_path) / "model.onnx"
    model.write_bytes(model.read_bytes() + b"\0")
    result = serve(tmp_path)
    assert result.returncode == 1
    assert "model.onnx is not the file that was published" in complaint(result)


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU here")
def test_a_named_provider_that_cannot_run(repository: Path) -> None:
    result = serve(repository, "--execution-provider", "cuda")
    assert result.returncode == 1
    assert "cannot run on the execution provider 'cuda'" in complaint(result)


@pytest.mark.parametrize(
    ("flags", "settings", "named"),
    [
        ((), {"port": "http"}, "CLIPSERVE_PORT"),
        (("--max-batch-size", "257"), {}, "CLIPSERVE_MAX_BATCH_SIZE"),
        (("--no-such-flag",), {}, "--no-such-flag"),
    ],
)
def test_wrong_usage_is_exit_code_2(repository: Path, flags: tuple[str, ...], settings: dict[str, str], named: str) -> None:
    result = serve(repository, *flags, **settings)
    assert result.returncode == 2
    assert named in result.stderr
    assert "Traceback" not in result.stderr


def test_a_model_that_fails_its_golden_clip_is_never_ready(tmp_path: Path) -> None:
    folder = publish(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["golden"]["probabilities"]["fp32"] = [0.0, 1.0, 0.0]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with running_server(tmp_path, tmp_path / "log", wait=False) as live:
        assert "the golden clip of colours/1 (fp32 on cpu) is off by 1.0" in wait_until_started(live)
        ready = live.client.get("/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
        assert "golden clip" in ready.json()["detail"]
        assert live.classify(solid_video(RED)).json()["code"] == "not_ready"
        assert live.client.get("/healthz").status_code == 200


def test_a_server_that_loads_is_alive_and_not_ready_and_says_when_to_come_back(tmp_path: Path) -> None:
    publish(tmp_path, work=MUCH_WORK)
    with running_server(tmp_path, tmp_path / "log", wait=False, intra_op_threads=1) as live:
        ready, classified = live.client.get("/readyz"), live.classify(solid_video(RED))
        for answer in (ready, classified):
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
            assert int(answer.headers["retry-after"]) > 0
        assert live.client.get("/healthz").status_code == 200


def test_sigterm_ends_a_server_that_loads_although_nothing_can_interrupt_a_load(tmp_path: Path) -> None:
    publish(tmp_path, work=MUCH_WORK)
    with running_server(tmp_path, tmp_path / "log", wait=False, intra_op_threads=1, drain_seconds=5) as live:
        live.until(lambda: '"decode_protections"' in (tmp_path / "log").read_text())
        live.process.terminate()
        assert live.process.wait(15) == 0
    log = (tmp_path / "log").read_text()
    assert '"load_left_behind"' in log
    assert "Traceback" not in log


def test_sigterm_answers_what_was_admitted_refuses_the_rest_and_exits_0(tmp_path: Path) -> None:
    """The clips wait for a batch that never fills, so that what was admitted is still there when the signal comes."""
    publish(tmp_path)
    green, red = solid_video(GREEN), solid_video(RED)
    with (
        running_server(tmp_path, tmp_path / "log", max_batch_size=16, max_queue_delay_ms=10_000) as live,
        ThreadPoolExecutor(12) as pool,
    ):
        admitted = [pool.submit(live.classify, green) for _ in range(12)]
        live.until(lambda: live.metric("clipserve_admitted ") == 12)
        live.process.terminate()
        live.until(lambda: live.client.get("/readyz").status_code == 503)
        ready, refused = live.client.get("/readyz"), live.classify(red)
        answers = [future.result() for future in admitted]
        assert (ready.status_code, ready.json()["code"]) == (503, "draining")
        assert (refused.status_code, refused.json()["code"]) == (503, "draining")
        assert int(refused.headers["retry-after"]) > 0
        assert {answer.status_code for answer in answers} == {200}
        assert live.process.wait(60) == 0


def test_an_upload_that_began_before_sigterm_may_end_after_it_and_is_answered(tmp_path: Path) -> None:
    publish(tmp_path)
    video = solid_video(GREEN)
    with running_server(tmp_path, tmp_path / "log") as live, RawConnection(live) as admitted, RawConnection(live) as kept:
        kept.write(KEPT)
        assert kept.answer() == (200, "")
        admitted.post(f"Content-Length: {len(video)}", body=video[:1000])
        live.until(lambda: live.metric("clipserve_uploads ") == 1)
        live.process.terminate()
        live.until(lambda: live.client.get("/readyz").status_code == 503)
        kept.write(KEPT)
        told_to_close = kept.read_to_the_end()
        admitted.write(video[1000:])
        answer = admitted.read_to_the_end()
        assert live.process.wait(60) == 0
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert told_to_close.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert b"\r\nconnection: close\r\n" in told_to_close


def test_a_server_that_does_not_drain_keeps_its_connections(server: LiveServer) -> None:
    assert "connection" not in server.client.get("/readyz").headers


def test_what_is_not_finished_when_the_time_to_drain_is_over_is_told_so(tmp_path: Path) -> None:
    """A sender that stops in the middle could hold the server for an hour."""
    publish(tmp_path)
    patience = {"upload_timeout_seconds": 3600, "upload_min_bytes_per_second": 0}
    with running_server(tmp_path, tmp_path / "log", drain_seconds=1, **patience) as live, RawConnection(live) as connection:
        connection.post("Content-Length: 1000", body=b"half")
        live.until(lambda: live.metric("clipserve_uploads ") == 1)
        live.process.terminate()
        assert connection.answer() == (503, "draining")
        assert connection.is_closed(timeout_seconds=60)
        assert live.process.wait(60) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_an_idle_server_stops_and_leaves_no_process(tmp_path: Path, repository: Path) -> None:
    with running_server(repository, tmp_path / "log") as live:
        children = ends_of(children_of(live))
        assert len(children) >= 2
        assert live.stop() == 0
        assert all(child.poll(60_000) for child in children)  # Python's own resource tracker ends a little later


def test_a_server_that_is_killed_leaves_no_decode_process(tmp_path: Path, repository: Path) -> None:
    with running_server(repository, tmp_path / "log") as live:
        children = ends_of(children_of(live))
        live.process.kill()
        for child in children:
            assert child.poll(60_000), "a decode process outlived the server"


def children_of(live: LiveServer) -> list[int]:
    """Process ids; each thread has a list of those that it started."""
    lists = Path(f"/proc/{live.process.pid}/task").glob("*/children")
    return [int(pid) for path in lists for pid in path.read_text().split()]


def ends_of(pids: list[int]) -> list["select.poll"]:
    """Each becomes readable when its process ends."""
    polls = []
    for pid in pids:
        poll = select.poll()
        poll.register(os.pidfd_open(pid), select.POLLIN)
        polls.append(poll)
    return polls
