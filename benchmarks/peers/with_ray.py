"""Ray Serve: an HTTP proxy and replicas, each a process of its own.

``max_queued_requests`` bounds what waits in the proxy, and its ``BackpressureConfig`` makes the refusal a 429 with Retry-After.
``RAY_SERVE_THROUGHPUT_OPTIMIZED`` (set from outside) is what its page on performance advises.
"""

import asyncio
import signal
import tempfile
from typing import Any

import ray
from ray import serve
from ray.serve.config import BackpressureConfig
from starlette.requests import Request

from benchmarks.peers.classifier import Answer, Classifier
from benchmarks.peers.decoders import Frames
from benchmarks.peers.task import Task

BATCH_WAIT_SECONDS = 0.005


class Single:
    """One clip at a time in each replica."""

    def __init__(self, task: Task) -> None:
        self.classifier = Classifier(task)

    async def __call__(self, request: Request) -> Answer:
        """The route."""
        return await asyncio.to_thread(self.classifier.classify, await request.body())


class Batched:
    """Each clip is decoded as it comes; the model runs on batches."""

    def __init__(self, task: Task) -> None:
        self.classifier = Classifier(task)

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=BATCH_WAIT_SECONDS)
    async def answers(self, clips: list[Frames]) -> list[Answer]:
        """One run of the model."""
        return await asyncio.to_thread(self.classifier.answers, clips)

    async def __call__(self, request: Request) -> Any:
        """The route."""
        clip = await asyncio.to_thread(self.classifier.decode, await request.body())
        return await self.answers(clip)


def main() -> None:
    """Serve until SIGTERM."""
    task = Task.from_environment()
    signal.signal(signal.SIGTERM, lambda *_: _stop())
    ray.init(
        num_cpus=task.workers,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=256 * 2**20,
        _node_ip_address="127.0.0.1",
        _temp_dir=tempfile.gettempdir(),
    )
    serve.start(http_options={"host": "127.0.0.1", "port": task.port})
    serve.run(_application(task), route_prefix="/classify", blocking=False)
    signal.pause()


def _application(task: Task) -> Any:
    batched = task.batch_size > 1
    ongoing = 2 * task.batch_size if batched else 1  # one batch at work, one in the making
    queued = {}
    if task.limit is not None:
        # a request counts as queued until a replica has taken it, so a small queue refuses every burst
        ongoing = min(ongoing, max(1, task.limit // (2 * task.workers)))
        queued = {"max_queued_requests": max(1, task.limit - ongoing * task.workers)}
    deployment = serve.deployment(
        num_replicas=task.workers,
        max_ongoing_requests=ongoing,
        ray_actor_options={"num_cpus": 1},
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        **queued,
    )
    return deployment(Batched if batched else Single).bind(task)


def _stop() -> None:
    serve.shutdown()
    ray.shutdown()
    raise SystemExit


if __name__ == "__main__":
    main()
