"""mosec: an HTTP server in Rust before Python worker processes, in one stage or in two (decode, then the model).

``capacity`` bounds the requests inside, 429 beyond; ``timeout`` (3 s by default) ends one with 408.
"""

import sys
from typing import Any

from mosec import Server, Worker

from benchmarks.peers.classifier import Classifier
from benchmarks.peers.decoders import Frames
from benchmarks.peers.task import Task

BATCH_WAIT_MS = 5
TWO_STAGES = "two stages"


class _VideoIn(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.classifier = Classifier(Task.from_environment())

    def deserialize(self, data: bytes) -> bytes:
        """The body is the video; mosec lends its memory."""
        return bytes(data)


class Whole(_VideoIn):
    """From bytes to the answer; a batch where batches are on."""

    def forward(self, data: Any) -> Any:
        """mosec hands over a list where batches are on."""
        if isinstance(data, list):
            return self.classifier.answers([self.classifier.decode(video) for video in data])
        return self.classifier.classify(data)


class Decoding(_VideoIn):
    """The first of two stages."""

    def forward(self, data: bytes) -> Frames:
        """One video."""
        return self.classifier.decode(data)


class Running(Worker):
    """The second of two stages."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = Classifier(Task.from_environment())

    def forward(self, data: Any) -> Any:
        """mosec hands over a list where batches are on."""
        return self.classifier.answers(data) if isinstance(data, list) else self.classifier.answers([data])[0]


def main() -> None:
    """Serve until SIGTERM."""
    task = Task.from_environment()
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", str(task.port), "--log-level", "warning"]
    sys.argv += ["--max-request-size", str(64 * 2**20)] + (["--capacity", str(task.limit)] if task.limit else [])
    if task.give_up_seconds and task.limit is None:
        sys.argv += ["--timeout", str(round(1000 * task.give_up_seconds))]
    server = Server()
    if task.style == TWO_STAGES:
        server.append_worker(Decoding, num=task.workers, route="/classify")
        server.append_worker(
            Running, num=task.workers, max_batch_size=task.batch_size, max_wait_time=BATCH_WAIT_MS, route="/classify"
        )
    else:
        server.append_worker(
            Whole, num=task.workers, max_batch_size=task.batch_size, max_wait_time=BATCH_WAIT_MS, route="/classify"
        )
    server.run()


if __name__ == "__main__":
    main()
