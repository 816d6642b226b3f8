"""Traces as a collector receives them: what they tell, what they do not, and that nobody waits for a collector."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.live_server import ROOT, LiveServer, command, environment, running_server
from tests.otlp_collector import Collector, ReceivedSpan, running_collector
from tests.videos import RED, one_frame_video, solid_video

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
SECRET = "secret-of-a-client"
VIDEO = solid_video(RED)
TOLD = {
    "http.scheme", "http.host", "net.host.port", "http.flavor", "http.url", "http.method", "http.status_code", "http.route",
    "clipserve.request_id", "clipserve.model", "clipserve.problem_code",
}  # fmt: skip


def variables(endpoint: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(repository: Path, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    log = tmp_path_factory.mktemp("traced") / "log"
    with running_server(repository, log, variables=variables(collector.endpoint)) as live:
        yield live


def span_of(live: LiveServer, collector: Collector, request_id: str) -> ReceivedSpan:
    """The span of a request that was answered with this id."""

    def found() -> list[ReceivedSpan]:
        return [span for span in collector.spans if span.attributes.get("clipserve.request_id") == request_id]

    live.until(lambda: bool(found()))
    return found()[0]


def test_a_video_is_a_span_with_its_stages_below_the_span_of_the_caller(traced: LiveServer, collector: Collector) -> None:
    answer = traced.client.post("/classify", content=VIDEO, headers={"Content-Type": "video/mp4", **TRACEPARENT})
    span = span_of(traced, collector, answer.headers["x-request-id"])
    assert (span.name, span.trace_id, span.parent_id) == ("POST /classify", TRACE, PARENT)
    assert span.attributes["http.status_code"] == 200
    assert span.attributes["clipserve.model"] == "colours/1"
    assert span.resource["service.name"] == "clipserve"

    stages = collector.below(span)
    times_ms = answer.json()["times_ms"]
    assert [stage.name for stage in stages] == list(times_ms)
    assert [stage.seconds * 1000 for stage in stages] == pytest.approx(list(times_ms.values()), abs=0.001)
    assert all(span.start_ns <= stage.start_ns for stage in stages)
    assert all(before.end_ns == after.start_ns for before, after in pairwise(stages))


def test_a_request_without_a_caller_begins_a_trace_and_its_log_line_names_it(traced: LiveServer, collector: Collector) -> None:
    request_id = traced.client.get("/models").headers["x-request-id"]
    span = span_of(traced, collector, request_id)
    assert (span.name, span.parent_id) == ("GET /models", "")
    assert traced.log_line(request_id)["trace_id"] == span.trace_id


def test_a_refused_video_tells_its_problem_and_how_far_it_came(traced: LiveServer, collector: Collector) -> None:
    answer = traced.classify(one_frame_video())
    span = span_of(traced, collector, answer.headers["x-request-id"])
    assert span.attributes["clipserve.problem_code"] == "too_few_frames"
    assert [stage.name for stage in collector.below(span)] == ["upload", "decode"]


def test_nothing_that_a_client_wrote_is_in_a_trace(traced: LiveServer, collector: Collector) -> None:
    headers = {
        "X-API-Key": SECRET,
        "Authorization": f"Bearer {SECRET}",
        "User-Agent": SECRET,
        "Host": SECRET,
        "X-Forwarded-For": SECRET,
        "tracestate": f"vendor={SECRET}",
        "baggage": f"name={SECRET}",
        **TRACEPARENT,
    }
    for path in (f"/models/{SECRET}", f"/{SECRET}", f"/classify?model={SECRET}"):
        answer = traced.client.request("POST" if "classify" in path else "GET", path, params={"key": SECRET}, headers=headers)
        span = span_of(traced, collector, answer.headers["x-request-id"])
        assert SECRET not in repr(span)
        assert set(span.attributes) <= TOLD
        assert span.attributes["http.url"] == traced.url  # of the server, without a path
        assert span.trace_state == ""


def test_probes_and_metrics_make_no_spans(traced: LiveServer, collector: Collector) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        traced.client.get(path)
    span_of(traced, collector, traced.client.get("/models").headers["x-request-id"])
    assert not {span.name for span in collector.spans} & {"GET /healthz", "GET /readyz", "GET /metrics"}


def test_the_last_spans_are_sent_before_the_server_ends(repository: Path, tmp_path: Path) -> None:
    with running_collector() as collector:
        late = {**variables(collector.endpoint), "OTEL_BSP_SCHEDULE_DELAY": "600000"}
        with running_server(repository, tmp_path / "log", variables=late) as live:
            live.classify(VIDEO)
            assert not collector.spans
            assert live.stop() == 0
        assert {span.name for span in collector.spans} == {"POST /classify", "upload", "decode", "queue", "model"}


def test_a_collector_that_never_answers_holds_up_nobody(repository: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with running_server(repository, tmp_path / "log", variables=variables(endpoint)) as live:
            assert [live.classify(VIDEO).status_code for _ in range(3)] == [200, 200, 200]
            assert live.stop() == 0
        assert "traces_lost" in (tmp_path / "log").read_text()


def refused(repository: Path, program: list[str], **variables: str) -> str:
    """The one line with which a server refuses to start."""
    result = subprocess.run(
        program,
        cwd=ROOT,
        env=environment(variables, model_repository=repository, port=0),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_a_server_that_lacks_the_extra_names_it(repository: Path) -> None:
    without = "import sys; sys.modules['opentelemetry.sdk'] = None; from clipserve import main; sys.exit(main(['serve']))"
    program = [sys.executable, "-c", without]
    assert "the extra `tracing`" in refused(repository, program, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "must be an http or https address"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf alone"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "console"}, "by OTLP alone"),
    ],
)
def test_what_the_exporter_cannot_do_is_refused(repository: Path, names: dict[str, str], told: str) -> None:
    assert told in refused(repository, command("serve"), **names)


@pytest.mark.parametrize("variable", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}])
def test_without_a_collector_nothing_of_the_sdk_is_imported(variable: dict[str, str]) -> None:
    """FastAPI itself imports the interface, which does nothing by itself."""
    probe = (
        "import sys, app.main, app.settings; app.main.create_app(app.settings.read_settings()); "
        "print([name for name in sys.modules if name.startswith("
        "('opentelemetry.sdk', 'opentelemetry.exporter', 'opentelemetry.instrumentation'))])"
    )
    result = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT, env=environment(variable)
    )
    assert result.stdout.strip() == "[]"
