"""Loads that can be awaited, and that nobody has to wait for."""

import asyncio
import subprocess
import sys
import threading

import pytest

from app.inference.load_thread import in_load_thread, is_loading
from tests.live_server import ROOT
from tests.unit.app.inference.echo_model import run

LOADS_FOR_EVER = """
import asyncio, threading
from app.inference.load_thread import in_load_thread

async def main():
    asyncio.create_task(in_load_thread(threading.Event().wait))
    await asyncio.sleep(0)

asyncio.run(main())
"""


def test_what_the_load_gives_or_raises_arrives() -> None:
    async def test() -> None:
        assert await in_load_thread(lambda: threading.current_thread().daemon)
        with pytest.raises(ZeroDivisionError):
            await in_load_thread(lambda: 1 // 0)

    run(test)


def test_a_load_that_nobody_waits_for_any_more_goes_on_and_ends_in_silence() -> None:
    goes_on = threading.Event()

    async def test() -> threading.Thread:
        loading = asyncio.create_task(in_load_thread(goes_on.wait))
        await asyncio.sleep(0)
        (thread,) = (thread for thread in threading.enumerate() if thread.name == "load")
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        return thread

    thread = asyncio.run(asyncio.wait_for(test(), 60))
    assert is_loading()
    goes_on.set()
    thread.join(60)
    assert not is_loading()


def test_neither_event_loop_nor_interpreter_waits_for_a_load() -> None:
    ended = subprocess.run([sys.executable, "-c", LOADS_FOR_EVER], cwd=ROOT, check=False, timeout=60)
    assert ended.returncode == 0
