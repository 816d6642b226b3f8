"""Which model answers, and how one goes: nobody who found it is left without an answer, and nothing of it stays."""

import asyncio
import weakref
from collections.abc import Awaitable
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from app.errors import DeadlineExceeded, Draining, ModelUnloaded, UnknownModel
from app.inference.served import ServedModel, ServedModels
from app.observability import metrics
from tests.colour_model import SPEC
from tests.unit.app.inference.echo_model import run
from tests.unit.app.inference.loaded_model import PROCESSORS, load

LATER_SECONDS = 60.0


async def infer_after(model: ServedModel, end: Awaitable[None]) -> None:
    """A request that is inside when ``end`` happens."""
    with model.in_use():
        await end
        await model.batcher.infer(np.zeros(SPEC.shape, np.uint8), monotonic() + LATER_SECONDS)


def test_the_newest_version_answers_unless_another_is_chosen(tmp_path: Path) -> None:
    async def test() -> None:
        served = ServedModels(None)
        for version in (2, 10, 9):
            served.add(load(tmp_path, version=version))
        assert served.find().manifest.version == 10
        served.choose("colours", 9)
        served.add(load(tmp_path, version=11))
        assert served.find("colours").manifest.version == 9
        served.choose("colours", None)
        assert served.find("colours").manifest.version == 11
        await served.close()

    run(test)


def test_a_choice_ends_with_its_version(tmp_path: Path) -> None:
    async def test() -> None:
        served = ServedModels(None)
        for version in (1, 2):
            served.add(load(tmp_path, version=version))
        served.choose("colours", 1)
        (gone,) = served.take("colours", 1)
        assert served.chosen_version("colours") is None
        assert served.find().manifest.version == 2
        await gone.close()
        await served.close()

    run(test)


def test_what_is_not_served_is_neither_chosen_nor_taken(tmp_path: Path) -> None:
    async def test() -> None:
        served = ServedModels(None)
        served.add(load(tmp_path))
        for change in (served.choose, served.take):
            for name, version in (("colours", 2), ("nobody", None)):
                with pytest.raises(UnknownModel):
                    change(name, version)
        assert served.version_numbers("colours") == {1}
        await served.close()

    run(test)


def test_a_model_that_comes_later_does_not_become_the_default_one(tmp_path: Path) -> None:
    async def test() -> None:
        served = ServedModels(None)
        for name in ("walk", "colours"):
            served.add(load(tmp_path, name))
        assert served.default_name == "walk"
        taken = served.take("walk", None)
        assert served.default_name == "colours"
        taken += served.take("colours", None)
        assert served.default_name is None
        for model in taken:
            await model.close()

    run(test)


def test_no_other_model_stands_in_for_a_default_that_was_named(tmp_path: Path) -> None:
    async def test() -> None:
        served = ServedModels("walk")
        served.add(load(tmp_path))
        with pytest.raises(UnknownModel):
            served.find()
        await served.close()

    run(test)


def test_a_model_goes_once_the_last_request_has_its_answer(tmp_path: Path) -> None:
    async def test() -> None:
        model = load(tmp_path)
        with model.in_use():
            with model.in_use():
                going = asyncio.create_task(model.retire(LATER_SECONDS))
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not going.done()
        await going
        with pytest.raises(ModelUnloaded), model.in_use():
            pass

    run(test)


def test_a_request_that_outstays_its_time_does_not_keep_the_model(tmp_path: Path) -> None:
    async def test() -> None:
        model = load(tmp_path)
        with pytest.raises(ModelUnloaded):
            await infer_after(model, model.retire(timeout_seconds=0.0))

    run(test)


def test_a_server_that_stops_says_so_itself(tmp_path: Path) -> None:
    async def test() -> None:
        model = load(tmp_path)
        with pytest.raises(Draining):
            await infer_after(model, model.close())

    run(test)


def test_nothing_of_a_model_stays(tmp_path: Path) -> None:
    """Its session holds the weights; the reference count alone must free it, for the collector may take its time."""

    async def test() -> None:
        model = load(tmp_path)
        session = weakref.ref(model.engine.sessions[0])
        assert b'model="colours",precision="fp32"' in metrics.exposition()[0]
        await model.retire(LATER_SECONDS)
        assert b'model="colours",precision="fp32"' not in metrics.exposition()[0]
        assert b'clipserve_queue_length{model="colours/1"}' not in metrics.exposition()[0]
        del model
        await asyncio.sleep(0)
        assert session() is None

    run(test)


async def video(model: ServedModel, begun: list[str], name: str, end: asyncio.Event, flow: str | None = None) -> None:
    """A video that is under way until ``end`` happens."""
    async with model.turn(monotonic() + LATER_SECONDS, flow):
        begun.append(name)
        await end.wait()


def test_where_no_batch_is_filled_one_video_more_than_processors_is_under_way(tmp_path: Path) -> None:
    async def test() -> None:
        model, begun, ends = load(tmp_path, max_batch_size=1), list[str](), [asyncio.Event() for _ in range(4)]
        names = ["a1", "a2", "a3", "b1"]
        videos = [asyncio.create_task(video(model, begun, name, end, name[0])) for name, end in zip(names, ends, strict=True)]
        await asyncio.sleep(0)
        assert begun == names[: PROCESSORS + 1]
        videos[2].cancel()
        ends[0].set()
        await videos[0]
        await asyncio.sleep(0)
        assert begun == ["a1", "a2", "b1"]
        for end in ends:
            end.set()
        await asyncio.gather(*videos, return_exceptions=True)
        assert model.turns is not None
        assert len(model.turns) == PROCESSORS + 1
        await model.close()

    run(test)


def test_where_batches_are_filled_any_number_of_videos_is_under_way(tmp_path: Path) -> None:
    async def test() -> None:
        model, begun, end = load(tmp_path, max_batch_size=2), list[str](), asyncio.Event()
        videos = [asyncio.create_task(video(model, begun, str(number), end)) for number in range(9)]
        await asyncio.sleep(0)
        assert len(begun) == 9
        end.set()
        await asyncio.gather(*videos)
        await model.close()

    run(test)


def test_a_turn_that_comes_too_late_is_none(tmp_path: Path) -> None:
    async def test() -> None:
        model, end = load(tmp_path, max_batch_size=1), asyncio.Event()
        videos = [asyncio.create_task(video(model, [], "", end)) for _ in range(PROCESSORS + 1)]
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded):
            async with model.turn(monotonic(), None):
                pytest.fail("there is no turn left")
        late = asyncio.create_task(video(model, [], "", end))
        await asyncio.sleep(0)
        await model.retire(0)
        end.set()
        with pytest.raises(ModelUnloaded):
            await late
        await asyncio.gather(*videos)

    run(test)
