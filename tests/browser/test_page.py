"""The page at ``/``, as a person uses it: real Chromium against the real server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Page, chromium_page, installed_chromium
from tests.colour_model import publish
from tests.live_server import LiveServer, running_server
from tests.videos import GREEN, VP9_WEBM, one_frame_video, solid_video

REQUIRED = os.environ.get("CLIPSERVE_REQUIRE_BROWSER") == "1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    if installed_chromium() is None:
        reason = "no chromium here (apt-get install chromium); CLIPSERVE_REQUIRE_BROWSER=1 makes this a failure"
        pytest.fail(reason) if REQUIRED else pytest.skip(reason)
    with chromium_page() as opened:
        yield opened


@pytest.fixture
def page(browser: Page, server: LiveServer) -> Page:
    browser.open(server.url)
    browser.wait_for("document.querySelector('#served').textContent.includes('labels')")
    return browser


def classify(page: Page, video: bytes, file: Path) -> None:
    file.write_bytes(video)
    page.choose_file("#file", file)
    page.wait_for("!document.querySelector('#send').disabled")
    page.evaluate("document.querySelector('#send').click()")
    page.wait_for("document.querySelector('#answer').ariaBusy === 'false' && document.querySelector('#hint').hidden")


def test_a_chosen_video_is_classified_and_its_probabilities_are_drawn(page: Page, tmp_path: Path) -> None:
    classify(page, solid_video(GREEN, encoding=VP9_WEBM), tmp_path / "green.webm")
    assert page.text("#top-label").startswith("green, 100.0%")
    assert page.evaluate("[...document.querySelectorAll('#predictions .label')].map(e => e.textContent)")[0] == "green"
    assert page.evaluate("document.querySelector('.bar').getBoundingClientRect().width") > 100
    assert page.evaluate("[...document.querySelectorAll('dt')].map(e => e.textContent)") == [
        "upload",
        "decode",
        "queue",
        "model",
    ]
    assert "colours version 1" in page.text("#facts")
    assert page.complaints == []
    if folder := os.environ.get("CLIPSERVE_SCREENSHOTS"):
        page.screenshot(Path(folder) / "page.png")
        page.prefer("dark")
        page.screenshot(Path(folder) / "page-dark.png")


def test_tags_are_named_and_stand_out(browser: Page, tmp_path: Path) -> None:
    publish(tmp_path / "models", thresholds=[0.5, 0.5, 0.5])
    with running_server(tmp_path / "models", tmp_path / "log.jsonl") as tagging:
        browser.open(tagging.url)
        browser.wait_for("document.querySelector('#served').textContent.includes('labels')")
        classify(browser, solid_video((255, 255, 0), encoding=VP9_WEBM), tmp_path / "yellow.webm")
        assert sorted(browser.text("#top-label").split(", ")) == ["green", "red"]
        chosen = browser.evaluate("[...document.querySelectorAll('#predictions .chosen .label')].map(e => e.textContent)")
        assert sorted(chosen) == ["green", "red"]
        classify(browser, solid_video((0, 0, 0), encoding=VP9_WEBM), tmp_path / "black.webm")
        assert browser.text("#top-label") == "No tag"
        assert browser.evaluate("document.querySelectorAll('#predictions .chosen').length") == 0
    assert browser.complaints == []


def test_a_refused_video_shows_why(page: Page, tmp_path: Path) -> None:
    classify(page, one_frame_video(), tmp_path / "still.mp4")
    assert "at least 2 are needed" in page.text("#problem-detail")
    assert "too_few_frames" in page.text("#problem-reference")
    assert page.evaluate("document.querySelector('#result').hidden")


def test_a_file_name_is_shown_as_text(page: Page, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>.mp4"
    (tmp_path / name).write_bytes(solid_video(GREEN))
    page.choose_file("#file", tmp_path / name)
    page.wait_for("!document.querySelector('#send').disabled")
    assert name in page.text("#chosen")
    assert page.evaluate("document.querySelectorAll('#chosen img').length") == 0


def test_the_page_fits_a_narrow_screen(page: Page) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=320, height=640, deviceScaleFactor=1, mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
