"""LitServe: worker processes that decode and run the model; requests reach them through a queue.

Its documentation offers more workers, batches, and ZeroMQ in place of a manager's queue (``fast_queue``). It bounds no queue;
``timeout`` drops a request that has waited for longer when a worker takes it up.
"""

from typing import Annotated, Any

import litserve
from fastapi import Body

from benchmarks.peers.classifier import Answer, Classifier
from benchmarks.peers.decoders import Frames
from benchmarks.peers.task import Task

BATCH_WAIT_SECONDS = 0.005
FAST_QUEUE = "fast queue"


class VideoAPI(litserve.LitAPI):
    """One model in one worker."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        """Load the model, in the worker."""
        self.classifier = Classifier(Task.from_environment())

    def decode_request(self, request: Annotated[bytes, Body(media_type="video/*")]) -> Frames:
        """In the worker, one request after the other."""
        return self.classifier.decode(request)

    def predict(self, x: Any) -> list[Answer]:
        """With batches LitServe hands over stacked clips, else one."""
        return self.classifier.answers(x if x.ndim == 5 else [x])

    def unbatch(self, output: list[Answer]) -> list[Answer]:
        """Already one for each."""
        return output

    def encode_response(self, output: Any) -> Answer:
        """A batch of one is a list still."""
        answer: Answer = output[0] if isinstance(output, list) else output
        return answer


def _timeout_seconds(task: Task) -> float:
    """LitServe's default where the task has none; half of the task's with batches, because a batch takes about as long."""
    if task.give_up_seconds is None:
        return 30
    return task.give_up_seconds / (2 if task.batch_size > 1 else 1)


def main() -> None:
    """Serve until SIGTERM."""
    task = Task.from_environment()
    wait = BATCH_WAIT_SECONDS if task.batch_size > 1 else 0.0
    server = litserve.LitServer(
        VideoAPI(max_batch_size=task.batch_size, batch_timeout=wait, api_path="/classify"),
        accelerator="cpu",
        workers_per_device=task.workers,
        timeout=_timeout_seconds(task),
        fast_queue=FAST_QUEUE in task.style,
    )
    server.run(
        host="127.0.0.1",
        port=task.port,
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
