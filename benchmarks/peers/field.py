"""The contestants of one run, and the turn that each of them gets: a fresh server, checked and warmed up."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.load import Reply, closed_loop
from benchmarks.peers.contestants import Configuration, Contestant
from benchmarks.peers.running import Launch, Running, running
from benchmarks.peers.task import Task

CLIENTS = 16
TOLERANCE = 1e-5
PATIENT_SECONDS = 60.0
"""Time limit of a request at a peer outside of the overload: more than any takes."""
_WARM_UP_SECONDS = 2.0
_GATE_VIDEOS = 16
_AT_ONCE = 4


class WrongAnswers(Exception):
    """A server does not say what the model says; the text has the first difference."""


@dataclass
class Field:
    """One tier: the same model, videos and patience for all."""

    contestants: Sequence[Contestant]
    task: Task
    """What peers are told; ours decodes with ``clips`` whatever it says."""
    launch: Launch
    videos: Sequence[bytes]
    labels: list[str]
    expected: dict[str, list[list[float]]]
    """By decoder: the model's probabilities for each video, label by label."""
    chosen: dict[str, Configuration] = field(default_factory=dict)
    """The configuration of each contestant that is measured; its first where none was chosen."""

    def configuration(self, contestant: Contestant) -> Configuration:
        """The one to measure."""
        return self.chosen.get(contestant.name, contestant.configurations[0])

    @contextmanager
    def turn(self, contestant: Contestant, configuration: Configuration | None = None, **protection: Any) -> Iterator[Running]:
        """A fresh server, after the gate and the warm-up. ``protection``: fields of ``Task`` that bound its queue.

        Raises: NotServing, WrongAnswers.
        """
        task = replace(self.task, **({"give_up_seconds": PATIENT_SECONDS} | protection))
        configuration = configuration or self.configuration(contestant)
        with running(contestant, configuration, task, self.launch) as server:
            at_once = 1 if task.limit else _AT_ONCE
            asyncio.run(self._gate(server, at_once))
            asyncio.run(closed_loop(server.client(), self.videos, at_once, _WARM_UP_SECONDS))
            yield server

    async def _gate(self, server: Running, at_once: int) -> None:
        """Videos, some ``at_once`` so that batches are made; the top label and all probabilities must be the model's."""
        client, expected = server.client(), self.expected["clips" if server.contestant.is_ours else self.task.decoder]
        count = min(_GATE_VIDEOS, len(self.videos))
        for start in range(0, count, at_once):
            chunk = range(start, min(start + at_once, count))
            replies = await asyncio.gather(*(client.post(self.videos[i]) for i in chunk))
            for i, reply in zip(chunk, replies, strict=True):
                check(server.contestant, reply, self.labels, expected[i])


def check(contestant: Contestant, reply: Reply, labels: list[str], expected: list[float]) -> None:
    """Raises: WrongAnswers."""
    if reply.status != 200:
        raise WrongAnswers(f"{contestant.name}: status {reply.status} before any load")
    try:
        given = contestant.probabilities(reply.body, labels)
        difference = max(abs(g - e) for g, e in zip(given, expected, strict=True))
    except (ValueError, KeyError, TypeError) as problem:
        raise WrongAnswers(f"{contestant.name}: {type(problem).__name__}: {problem}") from problem
    if difference > TOLERANCE or given.index(max(given)) != expected.index(max(expected)):
        raise WrongAnswers(f"{contestant.name}: a probability is off by {difference:.2e}")
