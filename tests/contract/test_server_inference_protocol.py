"""Everything under ``/v2`` is answered in the words of the Open Inference Protocol, whatever a client sends."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.colour_model import SPEC
from tests.live_server import LiveServer
from tests.protocol_body import CLIP_BYTES, HEADER_LENGTH, binary_request, json_request, solid_clips
from tests.videos import BLUE, GREEN, RED

INFER = "/v2/models/colours/infer"
CLIP = solid_clips(RED)


def check_error(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    message = answer.json()["error"]
    assert isinstance(message, str)
    assert message.strip()
    assert "Traceback" not in message
    return message


def test_health_is_told_by_status_and_body(server: LiveServer) -> None:
    for path, body in (("live", {"live": True}), ("ready", {"ready": True})):
        answer = server.client.get(f"/v2/health/{path}")
        assert (answer.status_code, answer.json()) == (200, body)
    assert server.client.get("/v2/models/colours/ready").json() == {"name": "colours", "ready": True}


def test_the_server_answers_with_and_without_a_slash(server: LiveServer) -> None:
    assert server.client.get("/v2").json() == server.client.get("/v2/").json()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nowhere", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/nobody", 404),
        ("GET", "/v2/models/nobody/ready", 404),
        ("GET", "/v2/models/nobody/config", 404),
        ("GET", "/v2/models/colours/versions/0", 404),
        ("GET", "/v2/models/colours/versions/-1", 404),
        ("GET", "/v2/models/colours/versions/01", 404),
        ("GET", "/v2/models/colours/versions/1.0", 404),
        ("GET", "/v2/models/colours/versions/%D9%A1", 404),
        ("GET", "/v2/models/%ff%fe", 404),
        ("POST", "/v2/models/nobody/infer", 404),
        ("POST", "/v2/models/colours/versions/2/infer", 404),
        ("POST", "/v2/repository/models/colours/load", 404),
        ("POST", "/v2", 405),
        ("GET", INFER, 405),
        ("DELETE", "/v2/models/colours", 405),
        ("GET", "/v2/repository/index", 405),
        ("PUT", "/v2/health/live", 405),
    ],
)
def test_what_is_not_there_is_an_error_of_the_protocol(server: LiveServer, method: str, path: str, status: int) -> None:
    check_error(server.client.request(method, path), status)


def test_addresses_that_only_begin_alike_keep_their_problems(server: LiveServer) -> None:
    assert server.client.get("/v22").headers["content-type"] == "application/problem+json"


def test_metrics_and_logs_tell_both_kinds_of_models_apart(server: LiveServer) -> None:
    line = 'clipserve_requests_total{route="/v2/models/{name}",status="200"}'
    before = server.metric(line)
    server.client.get("/v2/models/colours")
    assert server.metric(line) == before + 1


def test_an_answer_in_json(server: LiveServer) -> None:
    answer = server.client.post(INFER, content=json_request(solid_clips(GREEN, BLUE), id="7"))
    assert answer.headers["content-type"] == "application/json"
    assert HEADER_LENGTH not in answer.headers
    body = answer.json()
    assert (body["model_name"], body["model_version"], body["id"]) == ("colours", "1", "7")
    (output,) = body["outputs"]
    assert set(output) == {"name", "datatype", "shape", "data"}
    assert (output["name"], output["datatype"], output["shape"]) == ("probabilities", "FP32", [2, 3])
    assert np.argmax(np.reshape(output["data"], (2, 3)), axis=1).tolist() == [1, 2]


def test_an_answer_without_an_id_where_none_was_sent(server: LiveServer) -> None:
    assert "id" not in server.client.post(INFER, content=json_request(CLIP)).json()


def test_an_answer_in_binary_data(server: LiveServer) -> None:
    body, headers = binary_request(CLIP, parameters={"binary_data_output": True})
    check_binary(server.client.post(INFER, content=body, headers=headers))


def test_a_body_of_nothing_but_binary_data_is_one_clip(server: LiveServer) -> None:
    check_binary(server.client.post(INFER, content=CLIP.tobytes(), headers={HEADER_LENGTH: "0"}))


def check_binary(answer: httpx.Response) -> None:
    """The header tells where the JSON ends, and the JSON how much follows."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    length = int(answer.headers[HEADER_LENGTH])
    (output,) = json.loads(answer.content[:length])["outputs"]
    data = answer.content[length:]
    assert output == {
        "name": "probabilities",
        "datatype": "FP32",
        "shape": [1, 3],
        "parameters": {"binary_data_size": len(data)},
    }
    assert np.frombuffer(data, "<f4").argmax() == 0


@pytest.mark.parametrize("length", ["-1", "1.5", "x", "", "1 2", "0x10", "9" * 5000, "\u00b2"])
def test_a_length_that_is_no_number_is_refused(server: LiveServer, length: str) -> None:
    headers = {HEADER_LENGTH: length.encode("latin-1")}
    answer = server.client.post(INFER, content=json_request(CLIP), headers=headers)  # type: ignore[arg-type]
    assert HEADER_LENGTH in check_error(answer, 400)


@pytest.mark.parametrize("length", ["1", "60", "100000", str(10**17)])
def test_a_length_that_lies_is_refused(server: LiveServer, length: str) -> None:
    body, _ = binary_request(CLIP)
    check_error(server.client.post(INFER, content=body, headers={HEADER_LENGTH: length}), 400)


@pytest.mark.parametrize("size", [1, CLIP_BYTES - 1, CLIP_BYTES + 1, 2 * CLIP_BYTES])
def test_binary_data_alone_of_another_size_is_refused(server: LiveServer, size: int) -> None:
    check_error(server.client.post(INFER, content=bytes(size), headers={HEADER_LENGTH: "0"}), 400)


NESTED = b"[" * 60_000
HOSTILE = {
    "empty": b"",
    "no-json": b"\x00\xff",
    "deep": NESTED,
    "deep-data": b'{"inputs": [{"data": ' + NESTED,
    "huge-number": b'{"id": ' + b"9" * 60_000 + b"}",
    "nan": json_request(CLIP).replace(b'"shape"', b'"x": NaN, "shape"'),
    "surrogate": json_request(CLIP, id="\ud800"),
    "cut": json_request(CLIP)[:-20],
    "overflowing-shape": json_request(CLIP).replace(b"[1, 4,", b"[%d, 4," % (2**64 + 1)),
    "negative-shape": json_request(CLIP).replace(b"[1, 4,", b"[-1, 4,"),
    "wrong-value": json_request(CLIP).replace(b"255", b"256", 1),
    "long-json": json_request(CLIP, id="x" * 70_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_refused(server: LiveServer, name: str) -> None:
    check_error(server.client.post(INFER, content=HOSTILE[name]), 400)


def test_more_bytes_than_any_request_may_have(server: LiveServer) -> None:
    most = 64 * CLIP_BYTES + 65_536
    declared = server.client.post(INFER, content=bytes(most + 1), headers={HEADER_LENGTH: "0"})
    assert str(most) in check_error(declared, 413)
    assert server.client.post(INFER, content=bytes(most), headers={HEADER_LENGTH: "0"}).status_code == 400


def chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 50_000):
        yield body[start : start + 50_000]


def test_more_bytes_than_were_declared_are_counted(server: LiveServer) -> None:
    answer = server.client.post(INFER, content=chunks(bytes(65 * CLIP_BYTES + 65_536)), headers={HEADER_LENGTH: "0"})
    check_error(answer, 413)


def test_a_body_in_chunks_is_read(server: LiveServer) -> None:
    assert server.client.post(INFER, content=chunks(json_request(CLIP))).status_code == 200


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_what_becomes_too_much_is_refused(server: LiveServer, encoding: str, compress: Any) -> None:
    bomb = compress(bytes(100_000_000))
    check_error(server.client.post(INFER, content=bomb, headers={"Content-Encoding": encoding, HEADER_LENGTH: "0"}), 413)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_not_compressed_does_not_pass_for_it(server: LiveServer, encoding: str) -> None:
    answer = server.client.post(INFER, content=json_request(CLIP), headers={"Content-Encoding": encoding})
    assert encoding in check_error(answer, 400)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x" * 5000])
def test_other_encodings_are_refused(server: LiveServer, encoding: str) -> None:
    check_error(server.client.post(INFER, content=json_request(CLIP), headers={"Content-Encoding": encoding}), 415)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": true}', b'{"ready": null}'])
def test_the_index_takes_a_body_or_none(server: LiveServer, body: bytes) -> None:
    assert [entry["name"] for entry in server.client.post("/v2/repository/index", content=body).json()] == ["colours"]


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"ready": 1}', b"\xff", NESTED])
def test_the_index_takes_no_other(server: LiveServer, body: bytes) -> None:
    check_error(server.client.post("/v2/repository/index", content=body), 400)


def test_the_index_takes_no_long_body(server: LiveServer) -> None:
    check_error(server.client.post("/v2/repository/index", content=chunks(b" " * 100_000)), 413)


def test_the_shape_in_the_metadata_is_that_of_the_model(server: LiveServer) -> None:
    assert server.client.get("/v2/models/colours").json()["inputs"][0]["shape"] == [-1, *SPEC.shape]
