"""Who may call: API keys, and pages from other origins."""

from collections.abc import Iterator

import httpx
import pytest

from tests.colour_model import publish
from tests.live_server import LiveServer, running_server
from tests.videos import RED, solid_video

KEY = "a-long-and-secret-key"
ORIGIN = "https://clips.example"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("guarded")
    publish(folder / "models")
    settings = {"api_keys": f"another,{KEY}", "cors_origins": ORIGIN}
    with running_server(folder / "models", folder / "log", **settings) as live:
        yield live


def classify(live: LiveServer, headers: list[tuple[str, str]] | dict[str, str]) -> httpx.Response:
    return live.client.post(
        "/classify", content=solid_video(RED), headers=[("Content-Type", "video/mp4"), *dict(headers).items()]
    )


@pytest.mark.parametrize("headers", [{"X-API-Key": KEY}, {"X-API-Key": "another"}, {"Authorization": f"Bearer {KEY}"}])
def test_a_right_key_opens(guarded: LiveServer, headers: dict[str, str]) -> None:
    assert classify(guarded, headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY + "x"},
        {"X-API-Key": "\u00e9\u00ff".encode("latin-1").decode("latin-1")},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer"},
        {"Cookie": f"X-API-Key={KEY}"},
    ],
)
def test_anything_else_does_not(guarded: LiveServer, headers: dict[str, str]) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = guarded.client.post("/classify", content=b"", headers={"Content-Type": "video/mp4", **encoded})  # type: ignore[dict-item]
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/models", "/models/colours", "/metrics"])
def test_what_tells_about_the_server_needs_a_key(guarded: LiveServer, path: str) -> None:
    assert guarded.client.get(path).status_code == 401
    assert guarded.client.get(path, headers={"X-API-Key": KEY}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/docs"])
def test_probes_and_the_page_need_none(guarded: LiveServer, path: str) -> None:
    assert guarded.client.get(path).status_code == 200


def test_keys_are_never_logged(guarded: LiveServer) -> None:
    classify(guarded, {"X-API-Key": KEY})
    assert KEY not in guarded.log.read_text()


def test_a_named_origin_may_call_and_read_what_it_needs(guarded: LiveServer) -> None:
    answer = classify(guarded, {"X-API-Key": KEY, "Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in answer.headers
    assert {"Retry-After", "X-Request-ID"} <= set(answer.headers["access-control-expose-headers"].split(", "))


def test_a_named_origin_may_ask_first(guarded: LiveServer) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    assert guarded.client.options("/classify", headers=asked).headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("origin", ["https://evil.example", "http://clips.example", ORIGIN + ".evil.example", "null"])
def test_another_origin_may_not(guarded: LiveServer, origin: str) -> None:
    assert "access-control-allow-origin" not in classify(guarded, {"X-API-Key": KEY, "Origin": origin}).headers


def test_a_problem_can_be_read_by_a_named_origin(guarded: LiveServer) -> None:
    assert classify(guarded, {"Origin": ORIGIN}).headers["access-control-allow-origin"] == ORIGIN


def test_by_default_no_foreign_page_may_read_anything(server: LiveServer) -> None:
    assert "access-control-allow-origin" not in classify(server, {"Origin": ORIGIN}).headers
