"""The videos of one request: a few at a time, one deadline, and each its own outcome."""

import asyncio
from typing import Any, cast

import pytest

from app.errors import DeadlineExceeded, Problem
from app.inference.admission import Admission, AdmissionPolicy
from app.inference.classify import Classifier
from app.inference.flow import Flow
from app.inference.readiness import Readiness
from app.inference.served import ServedModel, ServedModels
from clips.errors import NotAVideo
from tests.colour_model import SPEC


class Manifest:
    clip_spec = SPEC


class Model:
    manifest = Manifest


class Gate:
    """A decoder that refuses every video as soon as its gate is open, and keeps it until then."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.entered = asyncio.Semaphore(0)
        self.inside = self.most_inside = self.begun = 0

    async def decode(self, *_: object) -> None:
        self.begun += 1
        self.inside += 1
        self.entered.release()
        self.most_inside = max(self.most_inside, self.inside)
        try:
            await self.open.wait()
            await asyncio.sleep(0)
        finally:
            self.inside -= 1
        raise NotAVideo("no")


def flow_through(decoder: Gate, *, timeout_seconds: float = 60.0, at_once: int) -> Flow:
    admission = Admission(AdmissionPolicy(1, 1))
    classifier = Classifier(ServedModels(None), cast(Any, decoder), admission, cast(Readiness, None))
    return Flow(classifier, cast(ServedModel, Model), timeout_seconds, at_once)


async def outcomes(flow: Flow, num_videos: int) -> list[str]:
    results = await asyncio.gather(*(flow.classify(cast(Any, None)) for _ in range(num_videos)), return_exceptions=True)
    return [result.code for result in results if isinstance(result, Problem)]


@pytest.mark.parametrize(("num_videos", "at_once", "most"), [(10, 3, 3), (2, 3, 2), (5, 1, 1)])
def test_no_more_than_so_many_are_inside_at_once_and_all_get_their_turn(num_videos: int, at_once: int, most: int) -> None:
    async def run() -> None:
        decoder = Gate()
        decoder.open.set()
        assert await outcomes(flow_through(decoder, at_once=at_once), num_videos) == ["not_a_video"] * num_videos
        assert (decoder.most_inside, decoder.begun, decoder.inside) == (most, num_videos, 0)

    asyncio.run(run())


def test_the_deadline_counts_from_the_start_of_all_and_a_video_whose_turn_comes_later_is_never_decoded() -> None:
    async def run() -> None:
        decoder = Gate()
        flow = flow_through(decoder, timeout_seconds=0.05, at_once=2)
        assert await outcomes(flow, 5) == [DeadlineExceeded.code] * 5
        assert decoder.begun == 2

    asyncio.run(run())


def test_cancelling_one_leaves_its_turn_to_the_next() -> None:
    async def run() -> None:
        decoder = Gate()
        flow = flow_through(decoder, at_once=1)
        first, second = (asyncio.create_task(flow.classify(cast(Any, None))) for _ in range(2))
        await decoder.entered.acquire()
        first.cancel()
        await decoder.entered.acquire()
        decoder.open.set()
        with pytest.raises(Problem):
            await second
        assert first.cancelled()

    asyncio.run(run())
