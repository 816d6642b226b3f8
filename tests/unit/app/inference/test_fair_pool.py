"""Processes and videos that wait for each other: nobody is passed over, and no process is lost."""

import asyncio
from typing import cast

from app.inference.decode_worker import DecodeWorker
from app.inference.fair_pool import FairPool
from tests.unit.app.inference.echo_model import run


def worker(name: str) -> DecodeWorker:
    return cast(DecodeWorker, name)


A, B = worker("a"), worker("b")


async def asking(idle: FairPool[DecodeWorker], count: int) -> "list[asyncio.Task[DecodeWorker]]":
    """Calls that wait."""
    asked = [asyncio.create_task(idle.get()) for _ in range(count)]
    await asyncio.sleep(0)
    return asked


def test_the_process_that_came_last_goes_first() -> None:
    async def test() -> None:
        idle: FairPool[DecodeWorker] = FairPool()
        idle.put(A)
        idle.put(B)
        assert [await idle.get(), await idle.get()] == [B, A]

    run(test)


def test_who_waits_longest_is_served_first() -> None:
    async def test() -> None:
        idle: FairPool[DecodeWorker] = FairPool()
        first, second = await asking(idle, 2)
        idle.put(A)
        assert await first == A
        assert not second.done()
        idle.put(B)
        assert await second == B

    run(test)


def test_a_single_video_waits_for_at_most_one_video_of_each_other_flow() -> None:
    async def test() -> None:
        idle: FairPool[DecodeWorker] = FairPool()
        order: list[str] = []

        async def decode(name: str, flow: object) -> None:
            worker = await idle.get(flow)
            order.append(name)
            idle.put(worker)

        batches = [(f"{flow}{index}", flow) for flow in ("a", "b", "c") for index in range(5)]
        videos = [asyncio.create_task(decode(*video)) for video in [*batches, ("single", None)]]
        await asyncio.sleep(0)
        idle.put(A)
        await asyncio.gather(*videos)
        assert order[:4] == ["a0", "b0", "c0", "single"]
        assert [name for name in order if name.startswith("a")] == ["a0", "a1", "a2", "a3", "a4"]

    run(test)


def test_who_waits_in_a_flow_and_leaves_is_passed_over() -> None:
    async def test() -> None:
        idle: FairPool[DecodeWorker] = FairPool()
        leaving, staying = (asyncio.create_task(idle.get("flow")) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        idle.put(A)
        assert await staying == A

    run(test)


def test_a_caller_that_has_left_is_passed_over() -> None:
    async def test() -> None:
        idle: FairPool[DecodeWorker] = FairPool()
        leaving, staying = await asking(idle, 2)
        leaving.cancel()
        await asyncio.wait([leaving])
        idle.put(A)
        assert await staying == A

    run(test)


def test_a_process_that_comes_as_its_caller_leaves_goes_to_the_next() -> None:
    async def test() -> None:
        idle: FairPool[DecodeWorker] = FairPool()
        leaving, staying = await asking(idle, 2)
        idle.put(A)
        leaving.cancel()
        assert await staying == A
        assert leaving.cancelled()

    run(test)


def test_one_that_is_taken_out_is_given_to_nobody() -> None:
    async def test() -> None:
        idle: FairPool[DecodeWorker] = FairPool()
        idle.put(A)
        idle.put(B)
        assert idle.discard(B)
        assert not idle.discard(B)
        assert await idle.get() == A

    run(test)
