"""A pool of decode processes, one video each. A video that crashes, hangs or outstays its time costs its own process only.

Why not a pool from a library: docs/decisions/02-decode-processes.md.
"""

import asyncio
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from typing import get_args

from app.inference.decode_endings import ALLOWS_MORE, EndReason, WorkerEnded, failure
from app.inference.decode_messages import Ready
from app.inference.decode_policy import DecodePolicy
from app.inference.decode_worker import DecodeWorker
from app.inference.fair_pool import FairPool
from app.inference.outage import Outage, TellOutage
from app.inference.sandbox.policy import Protections
from app.inference.video_file import VideoFile
from app.observability import logs, metrics
from clips import WHOLE_VIDEO, Clip, ClipError, ClipSpec, TimeWindow
from clips.acceleration import Accelerator
from clips.errors import CommandError

ABANDONED_SECONDS = 0.5
"""How long a decode goes on whose caller has left: to end a process and start another costs more than most decodes."""

_RESTART_PAUSE_SECONDS = 1.0


class WorkerDidNotStart(CommandError):
    """A decode process cannot run here, or not as asked for."""


class Decoder:
    """Videos to clips, in processes of its own. Used from one event loop."""

    def __init__(self, policy: DecodePolicy, tell_outage: TellOutage = lambda _: None) -> None:
        """``tell_outage`` hears when no process has been alive for a while, and when one is."""
        self.protections: Protections | None = None
        """What holds the processes back; known once the first one is ready."""
        self.accelerator: Accelerator = "none"
        self.accelerator_problem: str | None = None
        """Why the one that was asked for is not used."""
        self._policy = policy
        self._idle: FairPool[DecodeWorker] = FairPool()
        self._workers: set[DecodeWorker] = set()
        self._members: set[DecodeWorker] = set()  # those that are to be replaced when they end
        self._retiring: set[DecodeWorker] = set()  # members whose successors are on their way
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._outage = Outage(tell_outage)
        self._undertaker = ThreadPoolExecutor(1, thread_name_prefix="decode")  # waits for what was killed
        for reason in {*get_args(EndReason)} - {"closed"}:  # a rate can be told from the first one on
            metrics.DECODE_WORKERS_REPLACED.labels(reason)

    async def start(self) -> None:
        """Return once every process can decode.

        Raises: WorkerDidNotStart: one cannot, or lacks a protection that is required.
        """
        await asyncio.gather(*(self._start_worker() for _ in range(self._policy.workers)))

    async def close(self) -> None:
        """End every process; videos that are being decoded fail."""
        self._closed = True
        self._outage.forget()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in list(self._workers):
            worker.kill("closed")
        await asyncio.to_thread(self._undertaker.shutdown)

    async def decode(self, video: VideoFile, spec: ClipSpec, flow: Hashable = None) -> Clip:
        """The clip of ``video``, which may be closed once the call is over, however it ends.

        Videos of one ``flow`` (those of one request, say) take turns with the others; without one, a video is its own.
        Cancelling the call before a process is free costs nothing.

        Raises: ClipError: the video cannot become a clip; DecodeFailed too where it took too long or killed its process.
        """
        (clip,) = await self.decode_windows(video, spec, (WHOLE_VIDEO,), flow)
        return clip

    async def decode_windows(
        self, video: VideoFile, spec: ClipSpec, windows: Sequence[TimeWindow], flow: Hashable = None
    ) -> list[Clip]:
        """A clip of each window, as ``decode`` makes it of the whole video."""
        worker, answered = await self._begin(video, spec, windows, flow)
        timer = asyncio.get_running_loop().call_later(self._policy.timeout_seconds, worker.kill, "timeout")
        try:
            await asyncio.wait([answered])  # a wait, which leaves the answer to ``_abandon`` where it is cancelled
        except asyncio.CancelledError:
            self._abandon(worker, answered, timer)
            raise
        return self._finish(worker, timer)

    async def _begin(
        self, video: VideoFile, spec: ClipSpec, windows: Sequence[TimeWindow], flow: Hashable
    ) -> "tuple[DecodeWorker, asyncio.Future[bytes]]":
        """A process that has the video, and what is done once it has answered or ended."""
        while True:
            worker = await self._idle.get(flow)
            if not worker.is_alive:  # it was ended after it had been handed out
                continue
            try:
                return worker, worker.begin(video, spec, self._policy.limits, windows)
            except ConnectionError:  # it died while it had nothing to do, so the video is not to blame
                continue
            except BaseException:
                self._give_back(worker)
                raise

    def _finish(self, worker: DecodeWorker, timer: asyncio.TimerHandle) -> list[Clip]:
        """The answer of a process that has answered or ended; it may decode the next video."""
        timer.cancel()
        try:
            return worker.clips()
        except WorkerEnded as end:
            raise failure(end.reason, self._policy.timeout_seconds, self._policy.sandbox) from end
        finally:
            self._give_back(worker)

    def _give_back(self, worker: DecodeWorker) -> None:
        """A living process decodes the next video, and after enough of them a successor starts."""
        if not worker.is_alive:
            return
        if worker not in self._members:
            worker.kill("recycled")
            return
        self._idle.put(worker)
        if worker.decoded == self._policy.recycle_clips and worker not in self._retiring:
            self._retiring.add(worker)
            self._keep(asyncio.create_task(self._recycle(worker)))

    async def _recycle(self, worker: DecodeWorker) -> None:
        """Its successor first, so that nobody waits for the change."""
        await self._add_worker()
        self._retiring.discard(worker)
        self._members.discard(worker)
        if self._idle.discard(worker):
            self._give_back(worker)

    async def _add_worker(self) -> None:
        """Start one process, for as long as it takes: a pool that shrinks to nothing would hang every request."""
        while True:
            try:
                await self._start_worker()
            except WorkerDidNotStart as problem:
                logs.warning("decode_worker_did_not_start", problem=str(problem))
                await asyncio.sleep(_RESTART_PAUSE_SECONDS)
            else:
                return

    async def _start_worker(self) -> None:
        try:
            policy = self._policy
            worker = DecodeWorker(policy.sandbox, policy.accelerator, policy.environment, self._ended)
            self._workers.add(worker)
            ready = await worker.ready()
            self._check_protections(worker, ready.protections)
            self._check_accelerator(worker, ready)
        except (OSError, WorkerEnded) as problem:
            raise WorkerDidNotStart(f"a decode process did not start ({problem}); the log says more") from problem
        self._members.add(worker)
        self._idle.put(worker)
        self._outage.end()

    def _check_protections(self, worker: DecodeWorker, protections: Protections) -> None:
        """Say once what holds the processes back. Raises: WorkerDidNotStart: it is less than required."""
        missing, mode = protections.missing(), self._policy.sandbox.mode
        if missing and mode == "required":
            worker.kill("start")
            raise WorkerDidNotStart(
                f"decode processes cannot be held back by {', '.join(missing)} here, which CLIPSERVE_DECODE_SANDBOX=required "
                "asks for; run on a kernel that has it, or set CLIPSERVE_DECODE_SANDBOX=auto"
            )
        if protections != self.protections:
            say = logs.warning if missing else logs.info
            say("decode_protections", mode=mode, **asdict(protections), missing=missing)
        self.protections = protections

    def _check_accelerator(self, worker: DecodeWorker, ready: Ready) -> None:
        """Say why the GPU does not decode. Raises: WorkerDidNotStart: it was asked for by name."""
        if ready.accelerator_problem and self._policy.accelerator == "cuda":
            worker.kill("start")
            raise WorkerDidNotStart(f"CLIPSERVE_DECODE_ACCELERATOR=cuda: {ready.accelerator_problem}")
        if (ready.accelerator, ready.accelerator_problem) != (self.accelerator, self.accelerator_problem):
            logs.info("decode_accelerator", accelerator=ready.accelerator, problem=ready.accelerator_problem)
        self.accelerator, self.accelerator_problem = ready.accelerator, ready.accelerator_problem

    def _ended(self, worker: DecodeWorker) -> None:
        """A process is gone, for whatever reason: bury it, count it, replace it."""
        self._workers.discard(worker)
        self._idle.discard(worker)
        self._undertaker.submit(worker.close)
        if self._closed or worker.reason is None:
            return
        metrics.DECODE_WORKERS_REPLACED.labels(worker.reason).inc()
        say = logs.info if worker.reason == "recycled" else logs.warning
        more = {"raise": ALLOWS_MORE[worker.reason]} if worker.reason in ALLOWS_MORE else {}
        say("decode_worker_ended", pid=worker.pid, reason=worker.reason, exit_code=worker.exit_code, **more)
        if worker in self._members:
            self._members.discard(worker)
            if not self._members:
                self._outage.begin()
            if worker not in self._retiring:
                self._keep(asyncio.create_task(self._add_worker()))

    def _abandon(self, worker: DecodeWorker, answered: "asyncio.Future[bytes]", timer: asyncio.TimerHandle) -> None:
        """Nobody waits for the clip any more: let the process finish if it is quick."""
        patience = asyncio.get_running_loop().call_later(ABANDONED_SECONDS, worker.kill, "abandoned")

        def forget(_: "asyncio.Future[bytes]") -> None:
            patience.cancel()
            with suppress(ClipError, OSError):
                self._finish(worker, timer)

        answered.add_done_callback(forget)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
