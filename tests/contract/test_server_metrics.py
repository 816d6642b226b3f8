"""Metrics: the document lists exactly what is declared, and what is declared is counted."""

import re
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import Counter, Gauge, Histogram, Info
from prometheus_client.parser import text_string_to_metric_families

from app.errors import problem_codes
from app.inference.decode_endings import EndReason
from app.inference.decoder import ABANDONED_SECONDS
from app.observability import metrics
from tests.live_server import LiveServer, running_server
from tests.raw_connection import RawConnection
from tests.videos import RED, one_frame_video, solid_video

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations" / "observability.md"
SUFFIXES = {"counter": "_total", "histogram": ("_seconds", "_size", "_bytes")}

Declared = dict[str, tuple[str, str, str]]
"""Name -> type, labels, meaning."""


def declared() -> Declared:
    found: Declared = {}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram | Info):
            (family,) = metric.describe()
            name = {"counter": "_total", "info": "_info"}.get(family.type, "")
            kind = "gauge" if isinstance(metric, Info) else family.type
            found[family.name + name] = (kind, ", ".join(f"`{label}`" for label in metric._labelnames), family.documentation)
    for family in metrics._GpuMemory().describe():
        found[family.name] = (family.type, "`gpu`", family.documentation)
    return found


def test_the_document_lists_exactly_the_metrics_that_are_declared() -> None:
    rows = re.findall(r"^\| `(clipserve_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert {name: (kind, labels, meaning) for name, kind, labels, meaning in rows} == declared()


def test_the_documents_name_every_reason() -> None:
    (refused,) = metrics.CONNECTIONS_REFUSED.collect()
    reasons = {sample.labels["reason"] for sample in refused.samples}
    listed = DOCUMENT.read_text().partition("`reason` of a refused connection:")[2].partition("`reason` of a decode process")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == reasons
    decoding = (DOCUMENT.parent / "README.md").read_text()
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", decoding, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) >= {*get_args(EndReason)} - {"closed"}
    assert f"had not finished {ABANDONED_SECONDS:g} s later" in decoding


@pytest.mark.parametrize("name", declared())
def test_names_follow_the_conventions(name: str) -> None:
    kind, _, meaning = declared()[name]
    assert re.fullmatch(r"clipserve(_[a-z]+)+", name)
    assert name.endswith(SUFFIXES.get(kind, ""))
    assert kind == "counter" or not name.endswith("_total")
    assert meaning.endswith(".")


def test_what_is_answered_was_declared(server: LiveServer) -> None:
    families = {family.name: family for family in text_string_to_metric_families(server.client.get("/metrics").text)}
    named = {name.removesuffix("_total") for name in declared()} - {
        "clipserve_gpu_memory_used_bytes",
        "clipserve_gpu_memory_total_bytes",
    }
    assert {name for name in families if name.startswith("clipserve_")} >= named
    assert {"process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds", "python_info"} <= set(families)


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU here")
def test_without_a_gpu_there_is_no_metric_of_one(server: LiveServer) -> None:
    assert "clipserve_gpu" not in server.client.get("/metrics").text


def test_every_problem_stage_and_reason_is_counted_from_the_start(repository: Path, tmp_path: Path) -> None:
    with running_server(repository, tmp_path / "log") as live:
        text = live.client.get("/metrics").text
        assert all(f'clipserve_problems_total{{code="{code}"}} 0.0' in text for code in problem_codes())
        assert 'clipserve_decode_workers_replaced_total{reason="timeout"} 0.0' in text
        assert 'reason="closed"' not in text
        assert all(f'clipserve_stage_seconds_count{{stage="{stage}"}} 0.0' in text for stage in metrics.STAGES)


def test_a_request_in_progress_is_seen_by_itself(server: LiveServer) -> None:
    server.until(lambda: server.metric("clipserve_requests_in_progress ") == 1)


def test_bytes_are_counted_as_they_are_read(server: LiveServer) -> None:
    video, before = solid_video(RED), server.metric("clipserve_received_bytes_total ")
    server.classify(video)
    assert server.metric("clipserve_received_bytes_total ") == before + len(video)


def test_a_stage_that_fails_is_timed(server: LiveServer) -> None:
    counts = [f'clipserve_stage_seconds_count{{stage="{stage}"}}' for stage in ("decode", "queue")]
    decoded, queued = map(server.metric, counts)
    server.classify(one_frame_video())
    assert [server.metric(count) for count in counts] == [decoded + 1, queued]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(b"not http\r\n\r\n", "not_http"), (b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000 + b"\r\n\r\n", "head_too_large")],
)
def test_what_never_becomes_a_request_is_counted(server: LiveServer, sent: bytes, reason: str) -> None:
    line = f'clipserve_connections_refused_total{{reason="{reason}"}}'
    before = server.metric(line)
    with RawConnection(server) as connection:
        connection.write(sent)
        connection.read_to_the_end()
    assert server.metric(line) == before + 1


def test_a_connection_too_many_and_a_silent_one_are_counted(repository: Path, tmp_path: Path) -> None:
    with running_server(repository, tmp_path / "log", max_connections=2, request_head_timeout_seconds=1) as live:
        line = 'clipserve_connections_refused_total{reason="%s"}'
        with RawConnection(live) as first, RawConnection(live) as second, RawConnection(live) as one_more:
            for connection in (one_more, first, second):
                connection.read_to_the_end()
        live.until(lambda: live.metric(line % "head_timeout") == 2)
        assert live.metric(line % "too_many") == 1
        live.until(lambda: live.metric("clipserve_connections ") == 1)


def test_the_series_of_a_model_end_with_it() -> None:
    info = ("gone", "3", "fp32", "cpu")
    metrics.MODEL_INFO.labels(*info).set(1)
    metrics.QUEUE_LENGTH.labels("gone/3").set(0)
    metrics.BATCH_SIZE.labels("gone/3").observe(1)
    metrics.BATCH_SIZE.labels("kept/1").observe(1)
    metrics.forget_model("gone/3", *info)
    text = metrics.exposition()[0].decode()
    assert "gone" not in text
    assert 'model="kept/1"' in text
