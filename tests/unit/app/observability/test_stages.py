"""Where stages end, they reach the record of their own video."""

import asyncio

import pytest

from app.observability import stages


def test_stages_come_in_the_order_in_which_they_ended() -> None:
    with stages.keep_record() as times:
        stages.record("upload", 0.25)
        stages.record("decode", 0.0015)
    stages.record("model", 1.0)
    assert times.ms == {"upload": 250.0, "decode": 1.5}
    assert times.server_timing() == "upload;dur=250.0, decode;dur=1.5"


def test_a_stage_that_fails_has_a_time_too() -> None:
    with pytest.raises(ValueError, match="damaged"), stages.keep_record() as times, stages.timed("decode"):
        raise ValueError("damaged")
    assert times.seconds["decode"] > 0


def test_videos_side_by_side_have_records_of_their_own() -> None:
    async def one(name: str) -> dict[str, float]:
        with stages.keep_record() as times:
            await asyncio.create_task(ends_elsewhere(name))
        return times.seconds

    async def ends_elsewhere(name: str) -> None:
        stages.record(name, 1.0)

    async def both() -> list[dict[str, float]]:
        return await asyncio.gather(one("upload"), one("model"))

    assert asyncio.run(both()) == [{"upload": 1.0}, {"model": 1.0}]


def test_of_videos_side_by_side_the_longest_is_on_the_record_of_their_request() -> None:
    short, long = stages.StageTimes(), stages.StageTimes()
    short.seconds = {"upload": 9.0, "decode": 1.0, "queue": 1.0, "model": 1.0}
    long.seconds = {"upload": 1.0, "decode": 1.0, "queue": 5.0}
    with stages.keep_record() as times:
        with stages.timed("upload", counted=False):
            pass
        stages.note_longest([short, long])
    assert list(times.seconds) == ["upload", "decode", "queue"]
    assert times.seconds["upload"] < 1
    assert times.seconds["queue"] == 5.0


def test_nothing_side_by_side_leaves_the_record_as_it_is() -> None:
    with stages.keep_record() as times:
        stages.note_longest([])
    assert not times.seconds
