"""Models come and go while the server serves: the answer is of the version that was asked for; a broken one changes nothing."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.colour_model import SHARPNESS, colour_graph, golden_probabilities, publish
from tests.live_server import LiveServer, running_server
from tests.raw_connection import RawConnection
from tests.videos import RED, solid_video

KEY = "the-key-of-the-operator"
VIDEO = solid_video(RED)
SWITCHES = 50
CLIENTS = 4
MUCH_WORK = 100
"""Makes a version take a good part of a second to load."""


@contextmanager
def managed(folder: Path, **settings: object) -> Iterator[LiveServer]:
    """A server whose models may be managed, and a client that carries the key."""
    settings = {"model_management": "on", "api_keys": KEY, "model_versions": "all"} | settings
    with running_server(folder / "models", folder / "log", **settings) as live:
        live.client.headers["X-API-Key"] = KEY
        yield live


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Serves ``colours/1`` throughout; tests bring versions of their own."""
    folder = tmp_path_factory.mktemp("managed")
    publish(folder / "models")
    with managed(folder) as server:
        yield server


@pytest.fixture(scope="module")
def models(live: LiveServer) -> Path:
    return live.log.parent / "models"


@pytest.fixture
def version(_numbers: Iterator[int]) -> int:
    """One that no other test uses."""
    return next(_numbers)


@pytest.fixture(scope="module")
def _numbers() -> Iterator[int]:
    return count(2)


def manage(live: LiveServer, change: str, version: int | None = None, name: str = "colours") -> httpx.Response:
    return live.client.post(f"/models/{name}/{change}", params={} if version is None else {"version": version})


def served(live: LiveServer, name: str = "colours") -> list[int]:
    return [model["version"] for model in live.client.get("/models").json()["models"] if model["name"] == name]


def log_lines(live: LiveServer, event: str) -> list[str]:
    return [line for line in live.log.read_text().splitlines() if f'"event": "{event}"' in line]


def check(answer: httpx.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return str(answer.json()["detail"])


# how requests fare


def sharpness(version: int) -> float:
    """Each version is surer than the one before, by more than an answer may be off."""
    return 1 + version / 20


def test_not_one_request_is_dropped_or_answered_by_another_model_while_versions_come_and_go(tmp_path: Path) -> None:
    """Each answer names a version, and its probabilities are those that this version alone gives."""
    models = tmp_path / "models"
    for version in range(1, SWITCHES + 2):
        publish(models, version=version, sharpness=sharpness(version))
    publish(models, "walk", sharpness=sharpness(SWITCHES + 10))
    asked: list[dict[str, object]] = [{}, {"model": "colours"}, {"model": "colours", "version": 1}, {"model": "walk"}]
    with managed(tmp_path, model_versions="latest") as live, ThreadPoolExecutor(CLIENTS) as pool:
        for version in (1, 2):
            assert manage(live, "load", version).status_code == 200
        assert manage(live, "unload", SWITCHES + 1).status_code == 200
        over = threading.Event()
        clients = [pool.submit(ask_until, live, query, over) for query in asked]
        try:
            for version in range(3, SWITCHES + 2):
                come_and_go(live, version)
        finally:
            over.set()
        answers = [client.result() for client in clients]
    for query, given in zip(asked, answers, strict=True):
        assert len(given) >= SWITCHES / 2
        for answer in given:
            check_answer(answer, query)
    assert len({answer.json()["version"] for answer in answers[0]}) > SWITCHES / 4


def ask_until(live: LiveServer, query: dict[str, object], over: threading.Event) -> list[httpx.Response]:
    """One request after the other."""
    answers = []
    with httpx.Client(base_url=live.url, headers={"X-API-Key": KEY, "Content-Type": "video/mp4"}, timeout=120.0) as client:
        while not over.is_set():
            answers.append(client.post("/classify", params={"top_k": 0, **query}, content=VIDEO))  # type: ignore[dict-item]
    return answers


def come_and_go(live: LiveServer, version: int) -> None:
    """The next version becomes the default one, the first is chosen in its place and let go again, the one before leaves."""
    for change, of in (("load", version), ("default", 1), ("default", version), ("default", None), ("unload", version - 1)):
        answer = manage(live, change, of)
        assert answer.status_code == 200, answer.text
        if change != "unload":
            assert answer.json()["default_version"] == (1 if (change, of) == ("default", 1) else version)
    assert sorted(served(live)) == [1, version]


def check_answer(answer: httpx.Response, query: dict[str, object]) -> None:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["model"] == query.get("model", "colours")
    if "version" in query:
        assert body["version"] == query["version"]
    surest = sharpness(SWITCHES + 10 if body["model"] == "walk" else body["version"])
    expected = max(golden_probabilities(VIDEO, surest))
    assert body["predictions"][0]["probability"] == pytest.approx(expected, abs=2e-4)


def test_a_request_that_is_inside_is_answered_by_the_version_that_it_found(
    live: LiveServer, models: Path, version: int
) -> None:
    publish(models, version=version)
    manage(live, "load", version)
    half = len(VIDEO) // 2
    with RawConnection(live) as arriving, ThreadPoolExecutor(1) as pool:
        arriving.post(f"X-API-Key: {KEY}", f"Content-Length: {len(VIDEO)}", body=VIDEO[:half])
        live.until(lambda: live.metric("clipserve_uploads ") == 1)
        going = pool.submit(manage, live, "unload", version)
        live.until(lambda: version not in served(live))
        check(live.classify(VIDEO, version=version), 404, "unknown_model")
        assert live.classify(VIDEO).json()["version"] == 1
        assert not going.done()
        arriving.write(VIDEO[half:])
        assert arriving.answer()[0] == 200
        assert going.result().json()["unloaded"] == [version]


def test_a_request_does_not_keep_a_version_for_longer_than_the_drain_time(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with managed(tmp_path, drain_seconds=0) as live, RawConnection(live) as arriving:
        arriving.post(f"X-API-Key: {KEY}", f"Content-Length: {len(VIDEO)}", body=VIDEO[:100])
        live.until(lambda: live.metric("clipserve_uploads ") == 1)
        assert manage(live, "unload").status_code == 200
        arriving.write(VIDEO[100:])
        assert arriving.answer() == (503, "model_unloaded")


def test_a_load_holds_nobody_up(live: LiveServer, models: Path, version: int) -> None:
    publish(models, version=version, work=MUCH_WORK)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(manage, live, "load", version)
        answers = 0
        while not loading.done():
            assert live.classify(VIDEO).status_code == 200
            answers += 1
        assert loading.result().status_code == 200
    assert answers > 1
    manage(live, "unload", version)


# loading


def test_a_load_without_a_version_takes_the_newest_on_the_disk(live: LiveServer, models: Path, version: int) -> None:
    publish(models, version=version)
    answer = manage(live, "load").json()
    assert (answer["name"], answer["default_version"], answer["default_is_chosen"]) == ("colours", version, False)
    assert [served["version"] for served in answer["versions"]] == [version, 1]
    assert answer == live.client.get("/models/colours").json()
    assert [model["is_default"] for model in answer["versions"]] == [True, False]
    assert live.classify(VIDEO).json()["version"] == version
    manage(live, "unload", version)


def test_a_version_that_is_served_is_not_loaded_again(live: LiveServer) -> None:
    before = len(log_lines(live, "model_loaded"))
    assert manage(live, "load", 1).status_code == 200
    assert len(log_lines(live, "model_loaded")) == before


def test_loads_of_one_version_at_once_are_one_load(live: LiveServer, models: Path, version: int) -> None:
    publish(models, version=version, work=MUCH_WORK)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: manage(live, "load", version), range(3)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len([line for line in log_lines(live, "model_loaded") if f"colours/{version}" in line]) == 1
    manage(live, "unload", version)


def test_loads_of_one_broken_version_at_once_fail_alike(live: LiveServer, models: Path, version: int) -> None:
    break_golden_clip(publish(models, version=version, work=MUCH_WORK))
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: manage(live, "load", version), range(3)))
    assert len({check(answer, 422, "model_rejected") for answer in answers}) == 1
    assert len([line for line in log_lines(live, "model_loaded") if f"colours/{version}" in line]) == 1


def test_changes_of_one_model_are_made_one_after_the_other(live: LiveServer, models: Path, version: int) -> None:
    """Whatever the order, each is answered, and what the server says of itself is true."""
    publish(models, version=version)
    with ThreadPoolExecutor(4) as pool:
        changes = [change for _ in range(8) for change in ("load", "unload")]
        answers = list(pool.map(lambda change: manage(live, change, version), changes))
    assert {answer.status_code for answer in answers} <= {200, 404}
    is_served = version in served(live)
    assert live.classify(VIDEO, version=version).status_code == (200 if is_served else 404)
    info = f'clipserve_model_info{{model="colours",precision="fp32",provider="cpu",version="{version}"}}'
    assert live.metric(info) == is_served
    if is_served:
        manage(live, "unload", version)


def test_a_version_that_is_on_its_way_out_is_loaded_once_it_is_gone(live: LiveServer, models: Path, version: int) -> None:
    """The other order would leave two of it, or unload the new one."""
    publish(models, version=version)
    manage(live, "load", version)
    with RawConnection(live) as arriving, ThreadPoolExecutor(2) as pool:
        arriving.post(f"X-API-Key: {KEY}", f"Content-Length: {len(VIDEO)}", body=VIDEO[:100])
        live.until(lambda: live.metric("clipserve_uploads ") == 1)
        going = pool.submit(manage, live, "unload", version)
        live.until(lambda: version not in served(live))
        coming = pool.submit(manage, live, "load", version)
        for _ in range(20):  # more than enough time to load it, were it not for the one that goes
            assert live.classify(VIDEO).status_code == 200
        assert not coming.done()
        arriving.write(VIDEO[100:])
        assert arriving.answer()[0] == 200
        assert (going.result().status_code, coming.result().status_code) == (200, 200)
    assert version in served(live)
    manage(live, "unload", version)


# what is refused


def change_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text()) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))


def break_golden_clip(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["golden"]["probabilities"]["fp32"] = [0.0, 1.0, 0.0]
    change_manifest(folder, golden=manifest["golden"])


def link_out(folder: Path) -> None:
    (folder / "model.onnx").rename(folder.parent / "model.onnx")
    (folder / "model.onnx").symlink_to("../model.onnx")


def second_name(folder: Path) -> None:
    os.link(folder / "model.onnx", folder.parents[2] / f"{folder.name}.onnx")


def pipe(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")


def with_graph(change: Callable[[onnx.ModelProto], object]) -> Callable[[Path], None]:
    """The version anew, with another graph and the hash that fits it."""

    def replace(folder: Path) -> None:
        graph = colour_graph()
        change(graph)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        publish(folder.parents[1], folder.parent.name, int(folder.name), graph=graph)

    return replace


def external_weights(graph: onnx.ModelProto) -> None:
    weights = graph.graph.initializer[1]
    onnx.external_data_helper.set_external_data(weights, "/etc/hostname")
    weights.ClearField("raw_data")


def foreign_operator(graph: onnx.ModelProto) -> None:
    graph.opset_import.append(helper.make_opsetid("evil", 1))
    graph.graph.node.append(helper.make_node("Surprise", ["logits"], ["x"], domain="evil"))


def another_output(graph: onnx.ModelProto) -> None:
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 0
    graph.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3]))


def invalid_graph(graph: onnx.ModelProto) -> None:
    graph.graph.node[0].op_type = "NoSuchOperator"


def one_clip_at_a_time(graph: onnx.ModelProto) -> None:
    """Its input has any batch, and what it does has not."""
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1, 3], np.int64), "one"))
    graph.graph.node.insert(3, helper.make_node("Reshape", ["logits", "one"], ["one_row"]))
    graph.graph.node[-1].input[0] = "one_row"


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "manifest": (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json is not valid: Invalid JSON"),
    "huge manifest": (lambda folder: (folder / "manifest.json").write_bytes(bytes(2**20 + 1)), "is larger than 1048576 bytes"),
    "file name": (
        lambda folder: change_manifest(
            folder, golden=json.loads((folder / "manifest.json").read_text())["golden"] | {"file": "../1/golden.mp4"}
        ),
        "golden: file: ",
    ),
    "hash": (lambda folder: (folder / "model.onnx").write_bytes(b"other"), "model.onnx is not the file that was published"),
    "missing": (lambda folder: (folder / "model.onnx").unlink(), "model.onnx cannot be read: No such file"),
    "golden clip": (break_golden_clip, "is off by 1.0"),
    "link": (link_out, "model.onnx is a link that leads out of the version's folder"),
    "hard link": (second_name, "model.onnx has a second name"),
    "pipe": (pipe, "model.onnx is not a regular file"),
    "external data": (with_graph(external_weights), "keeps weights in another file"),
    "foreign operator": (with_graph(foreign_operator), "the operator Surprise of the domain evil"),
    "contract": (with_graph(another_output), "expected one float32 output `probabilities`"),
    "one clip at a time": (with_graph(one_clip_at_a_time), "the model does not run"),
    "invalid graph": (with_graph(invalid_graph), "the model cannot run on the execution provider 'cpu'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_version_replaces_nothing_and_the_answer_says_why(
    live: LiveServer, models: Path, version: int, case: str
) -> None:
    harm, cause = BROKEN[case]
    harm(publish(models, version=version))
    answer = manage(live, "load", version)
    detail = check(answer, 422, "model_rejected")
    assert cause in detail
    assert str(models) not in answer.text
    assert "onnxruntime_src" not in answer.text
    assert "\n" not in detail
    assert f"colours/{version}" in log_lines(live, "model_refused")[-1]
    assert served(live) == [1]
    assert live.classify(VIDEO).json()["version"] == 1


def test_the_log_has_the_reason_that_the_answer_leaves_out(live: LiveServer, models: Path, version: int) -> None:
    with_graph(invalid_graph)(publish(models, version=version))
    answer = manage(live, "load", version)
    assert "NoSuchOperator" not in answer.text
    assert "NoSuchOperator" in log_lines(live, "model_refused")[-1]


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("colours/load", {"version": 999}, 404, "unknown_model"),
        ("nobody/load", {}, 404, "unknown_model"),
        ("nobody/unload", {}, 404, "unknown_model"),
        ("colours/unload", {"version": 999}, 404, "unknown_model"),
        ("colours/default", {"version": 999}, 404, "unknown_model"),
        ("nobody/default", {}, 404, "unknown_model"),
        ("colours/load", {"version": 0}, 422, "invalid_parameter"),
        ("colours/load", {"version": "latest"}, 422, "invalid_parameter"),
        ("colours/load", {"versoin": 1}, 422, "invalid_parameter"),
        ("..%2f..%2fetc/load", {}, 404, "not_found"),
        ("..%5c..%5cetc/load", {}, 422, "invalid_parameter"),
        ("..data/load", {}, 422, "invalid_parameter"),
        (f"{'x' * 65}/load", {}, 422, "invalid_parameter"),
    ],
)
def test_what_cannot_be_changed(live: LiveServer, path: str, query: dict[str, object], status: int, code: str) -> None:
    check(live.client.post(f"/models/{path}", params=query), status, code)  # type: ignore[arg-type]


# who may


@pytest.mark.parametrize("change", ["load", "unload", "default"])
def test_nobody_changes_models_without_a_key(live: LiveServer, change: str) -> None:
    answer = httpx.post(f"{live.url}/models/colours/{change}")
    check(answer, 401, "unauthorized")
    assert served(live) == [1]


@pytest.mark.parametrize("change", ["load", "unload", "default"])
def test_by_default_nobody_changes_models_at_all(server: LiveServer, change: str) -> None:
    check(server.client.post(f"/models/colours/{change}"), 403, "model_management_off")
    assert server.classify(VIDEO).status_code == 200


# the last model


def test_a_server_without_a_model_is_not_ready_and_says_why_until_one_is_loaded(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with managed(tmp_path) as live:
        assert manage(live, "unload").json() == {"name": "colours", "unloaded": [1], "served": []}
        assert "no model is served" in check(live.client.get("/readyz"), 503, "not_ready")
        check(live.classify(VIDEO), 503, "not_ready")
        assert live.client.get("/models").json() == {"default": None, "models": []}
        assert live.client.get("/healthz").status_code == 200
        assert manage(live, "load").status_code == 200
        assert live.client.get("/readyz").status_code == 200
        assert live.classify(VIDEO).status_code == 200
        assert live.stop() == 0


# the response cache


def test_a_video_that_was_classified_before_is_answered_from_memory(tmp_path: Path) -> None:
    publish(tmp_path / "models", version=1)
    publish(tmp_path / "models", version=2, sharpness=2 * SHARPNESS)
    with managed(tmp_path, response_cache_entries=10) as live:
        first, second = live.classify(VIDEO), live.upload(VIDEO, top_k=1)
        assert [answer.headers["cache-status"] for answer in (first, second)] == ["ClipServe; fwd=miss", "ClipServe; hit"]
        assert second.json()["predictions"] == first.json()["predictions"][:1]
        assert second.json()["video"] == first.json()["video"]
        assert [second.json()["times_ms"][stage] for stage in ("decode", "queue", "model")] == [0, 0, 0]
        other = live.classify(VIDEO, version=1)
        assert other.headers["cache-status"] == "ClipServe; fwd=miss"
        assert other.json()["predictions"] != first.json()["predictions"]
        assert live.metric('clipserve_response_cache_total{result="hit"}') == 1
        assert live.metric('clipserve_response_cache_total{result="miss"}') == 2


def test_the_answers_of_a_version_end_with_it(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with managed(tmp_path, response_cache_entries=10) as live:
        live.classify(VIDEO)
        manage(live, "unload")
        manage(live, "load")
        assert live.classify(VIDEO).headers["cache-status"] == "ClipServe; fwd=miss"


def test_what_was_refused_is_looked_at_again(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with managed(tmp_path, response_cache_entries=10) as live:
        for _ in range(2):
            check(live.classify(b"no video"), 415, "not_a_video")
        assert live.metric('clipserve_response_cache_total{result="hit"}') == 0


def test_by_default_nothing_is_kept(server: LiveServer) -> None:
    for _ in range(2):
        assert "cache-status" not in server.classify(VIDEO).headers
