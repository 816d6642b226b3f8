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
