"""A server that follows its model repository: what is published is served, what is removed is not, and nobody waits for it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.colour_model import publish
from tests.live_server import LiveServer, running_server
from tests.videos import RED, solid_video

KEY = "the-key-of-the-operator"
VIDEO = solid_video(RED)


@contextmanager
def following(models: Path, **settings: object) -> Iterator[LiveServer]:
    settings = {"model_poll_seconds": 0.05, "model_management": "on", "api_keys": KEY} | settings
    with running_server(models, models.parent / "log", **settings) as live:
        live.client.headers["X-API-Key"] = KEY
        yield live


def release(models: Path, version: int, name: str = "colours") -> Path:
    """As training publishes: built in a hidden folder, then renamed."""
    built = publish(models.parent / "built", name, version)
    (models / name).mkdir(parents=True, exist_ok=True)
    return built.rename(models / name / str(version))


def served(live: LiveServer) -> list[str]:
    return [f"{model['name']}/{model['version']}" for model in live.client.get("/models").json()["models"]]


def manage(live: LiveServer, change: str, **query: int) -> httpx.Response:
    answer = live.client.post(f"/models/colours/{change}", params=query)
    assert answer.status_code == 200, answer.text
    return answer


def refusals(live: LiveServer, title: str) -> int:
    lines = live.log.read_text().splitlines()
    return sum('"event": "model_refused"' in line and f'"{title}"' in line for line in lines)


def test_a_new_version_takes_the_place_of_the_old_one_and_no_request_notices(tmp_path: Path) -> None:
    models = tmp_path / "models"
    release(models, 1)
    with following(models) as live:
        seen = set()

        def is_replaced() -> bool:
            answer = live.classify(VIDEO)
            assert answer.status_code == 200
            seen.add(answer.json()["version"])
            return served(live) == ["colours/2"]

        assert not is_replaced()
        release(models, 2)
        live.until(is_replaced)
        assert live.classify(VIDEO).json()["version"] == 2
        assert seen <= {1, 2}


def test_a_new_model_is_served_beside_the_others_and_does_not_become_the_default_one(tmp_path: Path) -> None:
    models = tmp_path / "models"
    release(models, 1)
    with following(models) as live:
        release(models, 1, "a-first-name")
        live.until(lambda: served(live) == ["a-first-name/1", "colours/1"])
        assert live.client.get("/models").json()["default"] == "colours"


def test_a_version_that_was_chosen_stays(tmp_path: Path) -> None:
    models = tmp_path / "models"
    release(models, 1)
    with following(models) as live:
        manage(live, "default", version=1)
        release(models, 2)
        live.until(lambda: "colours/2" in served(live))
        release(models, 3)
        live.until(lambda: served(live) == ["colours/1", "colours/3"])
        assert live.classify(VIDEO).json()["version"] == 1


def test_where_all_are_wanted_all_are_served(tmp_path: Path) -> None:
    models = tmp_path / "models"
    release(models, 2)
    with following(models, model_versions="all") as live:
        release(models, 1)
        release(models, 3)
        live.until(lambda: served(live) == ["colours/1", "colours/2", "colours/3"])
        assert live.classify(VIDEO).json()["version"] == 3


def test_a_broken_version_is_tried_once_and_again_when_it_was_mended(tmp_path: Path) -> None:
    models = tmp_path / "models"
    release(models, 1)
    with following(models) as live:
        built = publish(tmp_path / "built", version=2)
        model = (built / "model.onnx").read_bytes()
        (built / "model.onnx").write_bytes(b"broken")
        folder = built.rename(models / "colours" / "2")
        live.until(lambda: refusals(live, "colours/2") == 1)
        release(models, 1, "walk")  # once it is served, the repository was looked at again
        live.until(lambda: "walk/1" in served(live))
        assert refusals(live, "colours/2") == 1
        assert live.classify(VIDEO).json()["version"] == 1
        (folder / "model.onnx").write_bytes(model)
        live.until(lambda: served(live) == ["colours/2", "walk/1"])


def test_when_the_newest_version_is_removed_the_one_before_comes_back_first(tmp_path: Path) -> None:
    models = tmp_path / "models"
    release(models, 1)
    with following(models) as live:
        release(models, 2)
        live.until(lambda: served(live) == ["colours/2"])
        shutil.rmtree(models / "colours" / "2")

        def is_back() -> bool:
            assert live.classify(VIDEO).status_code == 200
            return served(live) == ["colours/1"]

        live.until(is_back)


def test_a_model_that_is_removed_is_unloaded(tmp_path: Path) -> None:
    models = tmp_path / "models"
    release(models, 1)
    release(models, 1, "walk")
    with following(models) as live:
        shutil.rmtree(models / "walk")
        live.until(lambda: served(live) == ["colours/1"])


def test_a_repository_that_is_empty_or_gone_changes_nothing(tmp_path: Path) -> None:
    models = tmp_path / "models"
    release(models, 1)
    with following(models) as live:
        models.rename(tmp_path / "unmounted")
        live.until(lambda: "it cannot be read" in live.log.read_text())
        models.mkdir()
        live.until(lambda: "it holds no model" in live.log.read_text())
        assert live.classify(VIDEO).status_code == 200
        models.rmdir()
        (tmp_path / "unmounted").rename(models)
        release(models, 2)
        live.until(lambda: served(live) == ["colours/2"])


def test_what_was_unloaded_on_request_stays_so(tmp_path: Path) -> None:
    models = tmp_path / "models"
    for version in (1, 2):
        release(models, version)
    with following(models) as live:
        manage(live, "unload")
        release(models, 1, "walk")
        live.until(lambda: "walk/1" in served(live))
        release(models, 2, "walk")
        live.until(lambda: served(live) == ["walk/2"])
        assert manage(live, "load").json()["default_version"] == 2
        release(models, 3)
        live.until(lambda: "colours/3" in served(live))
