"""Every route, called in every wrong way: never a fault of the server, and always a problem that the documents name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import Unauthorized, UntrustedHost, problem_codes
from tests.live_server import ROOT, LiveServer, running_server
from tests.raw_connection import RawConnection

KEY, HOST = "a-key-of-forty-characters-or-a-few-more", "clips.example"

KEYS: dict[str, dict[str, str]] = {
    "no key": {},
    "wrong key": {"X-API-Key": KEY[:-1]},
    "right key": {"X-API-Key": KEY},
    "bearer": {"Authorization": f"Bearer {KEY}"},
    "two keys": {"X-API-Key": "", "Authorization": f"bearer {KEY}"},
}
HOSTS = {"unknown host": "evil.example", "pod's address": "10.1.2.3:8000", "trusted host": f"{HOST}:443"}
QUERIES = ["", "?", "?%", "?a=b&a=c", "?model=%00", "?version=1e999", "?top_k=" + "9" * 400, "?%ff=%fe", "?timeout_ms=-0"]
TYPES = [
    "video/mp4",
    "multipart/form-data; boundary=x",
    "application/json",
    "video/" + "x" * 600,
    ";",
    "\u00e9",
    "text/html; charset=utf-99",
]
METHODS = ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
ARGUMENTS = {"name": "colours", "version": "1"}
EXEMPT = {"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"}
OUTSIDE_THE_REFERENCE = {"/", "/page.js", "/page.css", "/icon.svg", "/docs", "/openapi.json"}
OPEN = OUTSIDE_THE_REFERENCE | EXEMPT - {"/metrics"}


@pytest.fixture(scope="module")
def guarded(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    door = {"api_keys": KEY, "trusted_hosts": HOST, "cors_origins": f"https://{HOST}"}
    with running_server(repository, tmp_path_factory.mktemp("guarded") / "log", **door) as live:
        yield live


@pytest.fixture(scope="module")
def closed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running_server(repository, tmp_path_factory.mktemp("closed") / "log", docs="off", metrics="off") as live:
        yield live


def routes(live: LiveServer) -> set[tuple[str, str]]:
    """Method and path of everything that the server has: the reference, and what is not in it."""
    reference = live.client.get("/openapi.json", headers={"Host": HOST}).json()["paths"]
    listed = {(method.upper(), path.format(**ARGUMENTS)) for path, methods in reference.items() for method in methods}
    assert ("POST", "/classify") in listed
    return listed | {("GET", path) for path in OUTSIDE_THE_REFERENCE}


def documented_codes() -> set[str]:
    table = (ROOT / "docs" / "api.md").read_text().partition("## Problems")[2].partition("\n\n## ")[0]
    return {code for row in re.findall(r"^\| \d+ \| (.*?) \|", table, re.MULTILINE) for code in re.findall(r"`(\w+)`", row)}


def send(live: LiveServer, method: str, path: str, **request: Any) -> httpx.Response:
    """One request; whatever the answer is, it is no fault, and a refusal is a documented problem."""
    answer = live.client.request(method, path, **request)
    assert answer.status_code < 500, (method, path, request, answer.text)
    assert answer.headers["x-request-id"]
    if answer.status_code >= 400 and method != "HEAD":
        check_refusal(path, answer)
    return answer


def check_refusal(path: str, answer: httpx.Response) -> None:
    if path.startswith("/v2") and "error" in answer.json():  # the Open Inference Protocol has a form of its own
        return
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in documented_codes()
    assert answer.json()["status"] == answer.status_code


def refusal_code(answer: httpx.Response) -> str | None:
    """Why the door stays shut. The Open Inference Protocol has sentences in place of codes."""
    if answer.status_code not in {400, 401}:
        return None
    sentences = {problem.detail: problem.code for problem in (UntrustedHost, Unauthorized)}
    body = answer.json()
    return body.get("code") or sentences.get(body["error"])


def test_the_document_names_every_problem_and_no_other() -> None:
    assert documented_codes() == set(problem_codes())


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", KEYS)
def test_who_may_call_what(guarded: LiveServer, host: str, kind: str) -> None:
    for method, path in routes(guarded):
        answer = send(guarded, method, path, headers={"Host": HOSTS[host], **KEYS[kind]})
        may_enter = host == "trusted host" or path in EXEMPT
        has_key = kind not in {"no key", "wrong key"} or path in OPEN
        code = refusal_code(answer)
        assert (code == "untrusted_host") == (not may_enter), path
        assert (code == "unauthorized") == (may_enter and not has_key), path


@pytest.mark.parametrize("method", METHODS)
def test_odd_requests_are_answered(guarded: LiveServer, method: str) -> None:
    known = routes(guarded)
    for path in {path for _, path in known}:
        headers = {"Host": HOST, "X-API-Key": KEY}
        for query in QUERIES:
            answer = send(guarded, method, path + query, headers=headers)
            if (method, path) not in known and method != "HEAD":  # some pages answer it, as GET
                assert answer.status_code == 405, path
                assert method not in answer.headers["allow"].split(", ")
        for content_type in TYPES:
            typed = httpx.Headers([*headers.items(), ("Content-Type", content_type)], encoding="latin-1")
            send(guarded, method, path, headers=typed, content=b"--x\r\n\r\nabc")


@pytest.mark.parametrize("path", ["/models/", "/classify/", "/models/colours/", "/nowhere", "/docs/oauth2-redirect"])
def test_an_address_has_one_spelling(guarded: LiveServer, path: str) -> None:
    """A redirect would repeat the Host header of the request."""
    answer = send(guarded, "GET", path, headers={"Host": HOST, "X-API-Key": KEY})
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /models HTTP/1.1\r\nHost: clips.example\r\nHost: evil.example\r\n\r\n",
        b"GET /models HTTP/1.1\r\n\r\n",
        b"GET /models HTTP/1.0\r\n\r\n",
        b"GET http://clips.example/models HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ],
)
def test_no_host_and_two_hosts_are_not_trusted(guarded: LiveServer, request_head: bytes) -> None:
    with RawConnection(guarded) as connection:
        connection.write(request_head)
        assert connection.answer() == (400, "untrusted_host")


def test_a_huge_header_is_refused_before_any_route(guarded: LiveServer) -> None:
    for method, path in routes(guarded):
        with RawConnection(guarded) as connection:
            connection.write(f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nX-API-Key: {'x' * 40_000}\r\n\r\n".encode())
            assert connection.answer() == (431, "")


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/metrics"])
def test_what_is_closed_is_not_there(closed: LiveServer, path: str) -> None:
    assert send(closed, "GET", path).json()["code"] == "not_found"
    assert path not in closed.client.get("/").text


def test_the_page_links_to_what_is_there(guarded: LiveServer) -> None:
    page = guarded.client.get("/", headers={"Host": HOST}).text
    assert 'href="/docs"' in page
    assert 'href="/metrics"' in page


def test_metrics_can_be_open_where_keys_are_set(repository: Path, tmp_path: Path) -> None:
    with running_server(repository, tmp_path / "log", api_keys=KEY, metrics="open") as live:
        assert live.client.get("/metrics").status_code == 200
        assert live.client.get("/models").status_code == 401


def test_a_preflight_needs_no_key_and_is_logged(guarded: LiveServer) -> None:
    asked = {
        "Host": HOST,
        "Origin": f"https://{HOST}",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, traceparent, x-api-key",
    }
    answer = guarded.client.options("/classify", headers=asked)
    assert answer.status_code == 200
    assert "X-API-Key" in answer.headers["access-control-allow-headers"]
    assert guarded.log_line(answer.headers["x-request-id"])["method"] == "OPTIONS"


def test_any_origin_is_never_any_origin_with_cookies(repository: Path, tmp_path: Path) -> None:
    with running_server(repository, tmp_path / "log", cors_origins="*") as live:
        answer = live.client.get("/models", headers={"Origin": "https://evil.example", "Cookie": "a=b"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_keys_are_rotated_without_a_restart(repository: Path, tmp_path: Path) -> None:
    old, new = "the-key-of-yesterday", "the-key-of-tomorrow"
    keys = tmp_path / "keys"
    keys.write_text(old)

    def status(key: str) -> int:
        return live.client.get("/models", headers={"X-API-Key": key}).status_code

    with running_server(repository, tmp_path / "log", api_keys_file=keys, api_keys="short") as live:
        assert (status(old), status(new), status("short")) == (200, 401, 200)
        keys.write_text(f"{old}\n{new}\n")
        live.until(lambda: status(new) == 200)
        assert status(old) == 200
        keys.write_text("")
        live.until(lambda: "api_keys_kept" in live.log.read_text())
        assert (status(old), status(new), status("")) == (200, 200, 401)
        keys.write_text(new)
        live.until(lambda: status(old) == 401)
        assert (status(new), status("short")) == (200, 200)
        log = live.log.read_text()
        assert not any(key in log for key in (old, new))
        assert '"event": "short_api_keys", "keys": 1' in log
