"""The bare limit: processes that decode and run a single-thread session, one clip after the other, and nothing else.

``Bare`` is in the benchmark; the processes run this module in the peers' environment, and take orders as lines of JSON.
"""

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from os import environ
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from benchmarks.peers.task import Task


class Bare:
    """``task.workers`` processes that are ready to work."""

    def __init__(self, task: Task, python: Path, videos: Sequence[bytes]) -> None:
        with NamedTemporaryFile(dir="/dev/shm", prefix="clipserve-") as file:
            file.write(pickle.dumps(list(videos)))
            file.flush()
            command = [str(python), "-m", "benchmarks.peers.bare", file.name]
            self._processes = [
                subprocess.Popen(
                    command, env={**environ, **task.environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
                for _ in range(task.workers)
            ]
            for process in self._processes:
                _answer(process)

    def __enter__(self) -> "Bare":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def clips_per_second(self, seconds: float) -> tuple[float, float]:
        """All processes at once, for ``seconds``: clips a second, and clips a second of processor time."""
        for process in self._processes:
            _order(process, seconds)
        seen = [_answer(process) for process in self._processes]
        clips = sum(done for done, _, _ in seen)
        return round(sum(done / wall for done, wall, _ in seen), 2), round(clips / sum(cpu for _, _, cpu in seen), 2)

    def probabilities(self) -> list[list[float]]:
        """What the model gives for each video, one at a time."""
        _order(self._processes[0], 0)
        rows: list[list[float]] = _answer(self._processes[0])
        return rows


def _order(process: "subprocess.Popen[str]", seconds: float) -> None:
    assert process.stdin
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()


def _answer(process: "subprocess.Popen[str]") -> Any:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise SystemExit("a process of the bare limit died; its message is above")
    return json.loads(line)


def main() -> None:
    """Seconds come in; clips, seconds and processor seconds go out; 0 asks for the probabilities of every video."""
    from benchmarks.peers.classifier import Classifier  # noqa: PLC0415 - the benchmark's own environment may lack its libraries

    videos: list[bytes] = pickle.loads(Path(sys.argv[1]).read_bytes())
    classifier = Classifier(Task.from_environment())
    classifier.classify(videos[0])
    print("true", flush=True)
    for line in sys.stdin:
        seconds, start, spent, done = float(line), time.perf_counter(), time.process_time(), 0
        if not seconds:
            print(json.dumps([classifier.classify(video)["probabilities"] for video in videos]), flush=True)
            continue
        while time.perf_counter() - start < seconds:
            classifier.classify(videos[done % len(videos)])
            done += 1
        print(json.dumps([done, time.perf_counter() - start, time.process_time() - spent]), flush=True)


if __name__ == "__main__":
    main()
