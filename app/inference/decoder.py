"""A pool of decode processes, one video each. A video that crashes, hangs or outstays its time costs its own process only.

Why not a pool from a library: docs/decisions/02-decode-processes.md.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from app.inference.decode_worker import DecodeWorker
from app.observability import logs, metrics
from clips import Clip, ClipSpec, DecodeFailed, DecodeLimits

ABANDONED_SECONDS = 1.0
"""How long a decode goes on whose caller has left: to end a process and start another costs more than most decodes."""

_RESTART_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class DecodePolicy:
    """How much decoding may cost."""

    workers: int
    timeout_seconds: float
    limits: DecodeLimits


class Decoder:
    """Videos to clips, in processes of its own. Used from one event loop."""

    def __init__(self, policy: DecodePolicy) -> None:
        self._policy = policy
        self._idle: asyncio.LifoQueue[DecodeWorker] = asyncio.LifoQueue()
        self._workers: set[DecodeWorker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        # one thread waits on the pipe of each process; as many again start replacements
        self._threads = ThreadPoolExecutor(2 * policy.workers, thread_name_prefix="decode")

    async def start(self) -> None:
        """Return once every process can decode."""
        await asyncio.gather(*(self._add_worker() for _ in range(self._policy.workers)))

    async def close(self) -> None:
        """End every process; videos that are being decoded fail."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self._workers:
            worker.close()
        self._workers.clear()
        self._threads.shutdown(wait=False)

    async def decode(self, video: bytes, spec: ClipSpec) -> Clip:
        """The clip of ``video``. Cancelling the call before a process is free costs nothing.

        Raises: ClipError: the video cannot become a clip; DecodeFailed too where it took too long or killed its process.
        """
        worker = await self._take_idle()
        job = asyncio.create_task(self._decode_on(worker, video, spec))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            self._abandon(worker, job)
            raise

    async def _take_idle(self) -> DecodeWorker:
        while True:
            worker = await self._idle.get()
            if worker.is_alive:
                return worker
            self._give_back(worker)

    async def _decode_on(self, worker: DecodeWorker, video: bytes, spec: ClipSpec) -> Clip:
        loop = asyncio.get_running_loop()
        timed_out = False

        def expire() -> None:
            nonlocal timed_out
            timed_out = True
            worker.kill()

        timer = loop.call_later(self._policy.timeout_seconds, expire)
        try:
            return await loop.run_in_executor(self._threads, worker.decode, video, spec, self._policy.limits)
        except DecodeFailed as failure:
            if timed_out:
                message = f"Decoding took longer than {self._policy.timeout_seconds:g} s; send a shorter or smaller video."
                raise DecodeFailed(message) from failure
            raise
        finally:
            timer.cancel()
            self._give_back(worker)

    def _give_back(self, worker: DecodeWorker) -> None:
        """A living process decodes the next video; a dead one is replaced."""
        if worker.is_alive:
            self._idle.put_nowait(worker)
            return
        metrics.DECODE_WORKERS_REPLACED.inc()
        logs.warning("decode_worker_ended", pid=worker.pid)
        self._workers.discard(worker)
        worker.close()
        self._keep(asyncio.create_task(self._add_worker()))

    async def _add_worker(self) -> None:
        """Start one process, for as long as it takes: a pool that shrinks to nothing would hang every request."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                worker = await loop.run_in_executor(self._threads, DecodeWorker)
            except OSError:
                logs.exception("decode_worker_did_not_start")
                await asyncio.sleep(_RESTART_PAUSE_SECONDS)
                continue
            self._workers.add(worker)
            try:
                await loop.run_in_executor(self._threads, worker.wait_until_ready)
            except (OSError, EOFError):
                logs.exception("decode_worker_did_not_start")
                metrics.DECODE_WORKERS_REPLACED.inc()
                self._workers.discard(worker)
                worker.close()
                await asyncio.sleep(_RESTART_PAUSE_SECONDS)
                continue
            self._idle.put_nowait(worker)
            return

    def _abandon(self, worker: DecodeWorker, job: asyncio.Task[Clip]) -> None:
        """Nobody waits for ``job`` any more: let it finish if it is quick."""
        timer = asyncio.get_running_loop().call_later(ABANDONED_SECONDS, worker.kill)

        def forget(done: asyncio.Task[Clip]) -> None:
            timer.cancel()
            if not done.cancelled():
                done.exception()  # read, so that asyncio does not report it

        job.add_done_callback(forget)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
