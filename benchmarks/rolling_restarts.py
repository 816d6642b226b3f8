"""Rolling restarts under load: two servers behind a proxy that retries, restarted in turn, and what their clients notice.

Each restart is SIGTERM, the end of the process, a new process on another port, and a wait until the proxy has seen it ready.
"""

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from tqdm import tqdm

from benchmarks.record import percentiles, write_result
from tests.colour_model import publish
from tests.live_server import LiveServer, running_server
from tests.retrying_proxy import Backend, Ended, Message, RetryingProxy, read_message
from tests.videos import BLUE, GREEN, RED, solid_video

REPLICAS = 2
VIDEOS = {"red": solid_video(RED), "green": solid_video(GREEN), "blue": solid_video(BLUE)}
NO_ANSWER = 0


@dataclass
class Seen:
    """What clients and restarts saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    """Of every request; ``NO_ANSWER`` where its connection ended."""
    wrong: int = 0
    """Answers of another video."""
    latencies_seconds: list[float] = field(default_factory=list)
    drains_seconds: list[float] = field(default_factory=list)
    """From SIGTERM to the end of the process."""
    starts_seconds: list[float] = field(default_factory=list)
    """From the start of the process until the proxy has seen it ready."""
    exit_codes: Counter[int] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)

    @property
    def nothing_was_lost(self) -> bool:
        """Every request was answered 200, for its own video, and every server ended well."""
        return set(self.statuses) == {200} and not self.wrong and set(self.exit_codes) == {0}


def main() -> None:
    """Restart, print and record; exit code 1 where a request was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rolling_restarts",
        description=__doc__,
        epilog="example: python -m benchmarks.rolling_restarts --restarts 4 --clients 8",
    )
    parser.add_argument("--restarts", type=int, default=20, help="how many, the servers in turn (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=4, help="callers at once (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=0.1, help="of a caller between requests, s (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tqdm(total=args.restarts, unit="restart", disable=None) as bar:
        seen = asyncio.run(roll(Path(folder), args.restarts, args.clients, args.pause, restarted=bar.update))
    figures = summary(seen)
    for name, value in figures.items():
        print(name, value)
    write_result(
        "rolling_restarts", {"restarts": args.restarts, "clients": args.clients, "pause_seconds": args.pause} | figures
    )
    raise SystemExit(0 if seen.nothing_was_lost else 1)


async def roll(
    folder: Path, restarts: int, clients: int, pause_seconds: float, restarted: Callable[[], object] = lambda: None
) -> Seen:
    """Restart ``restarts`` times while ``clients`` send videos. ``folder`` is for models and logs."""
    publish(folder / "models")
    seen, over = Seen(), asyncio.Event()
    replicas = [Replica(folder, number) for number in range(REPLICAS)]
    with ExitStack() as cleanup:
        for replica in replicas:
            cleanup.callback(replica.kill)
        async with RetryingProxy([replica.backend for replica in replicas]) as proxy:
            await asyncio.gather(*(replica.start() for replica in replicas))
            callers = [asyncio.create_task(_call(proxy.port, pause_seconds, seen, over)) for _ in range(clients)]
            for number in range(restarts):
                await replicas[number % REPLICAS].restart(seen)
                restarted()
            over.set()
            await asyncio.gather(*callers)
            seen.retries = proxy.retries
    return seen


class Replica:
    """One of the servers."""

    def __init__(self, folder: Path, number: int) -> None:
        self.backend = Backend(port=1)  # nothing listens there
        self._folder, self._number = folder, number
        self._life = ExitStack()
        self._live: LiveServer

    async def start(self) -> None:
        """Return once the proxy has seen it ready."""
        log = self._folder / f"log-{self._number}"
        server = running_server(self._folder / "models", log, decode_workers=1, intra_op_threads=1)
        self._live = await asyncio.to_thread(self._life.enter_context, server)
        self.backend.port = self._live.client.base_url.port or 0
        await self.backend.ready.wait()

    async def restart(self, seen: Seen) -> None:
        """SIGTERM, wait for its end, start another."""
        signalled = monotonic()
        seen.exit_codes[await asyncio.to_thread(self._live.stop)] += 1
        seen.drains_seconds.append(monotonic() - signalled)
        await asyncio.to_thread(self._life.close)
        self.backend.ready.clear()
        await self.start()
        seen.starts_seconds.append(monotonic() - signalled - seen.drains_seconds[-1])

    def kill(self) -> None:
        """End it, whatever it does."""
        self._life.close()


async def _call(port: int, pause_seconds: float, seen: Seen, over: asyncio.Event) -> None:
    """One client, over one connection for as long as it lasts: a video, its answer, a pause, the next video."""
    connection = None
    while not over.is_set():
        for colour, video in VIDEOS.items():
            connection = connection or await asyncio.open_connection("127.0.0.1", port)
            started = monotonic()
            try:
                connection[1].write(_request(video))
                answer = await read_message(connection[0])
            except (ConnectionError, Ended, asyncio.IncompleteReadError):
                seen.statuses[NO_ANSWER] += 1
                connection[1].close()
                connection = None
                continue
            seen.latencies_seconds.append(monotonic() - started)
            seen.statuses[answer.status] += 1
            seen.wrong += answer.status == 200 and f'"label":"{colour}"'.encode() not in answer.body
            await asyncio.sleep(pause_seconds)
    if connection:
        connection[1].close()


def _request(video: bytes) -> bytes:
    headers = {"host": "proxy", "content-type": "video/mp4", "content-length": str(len(video))}
    return Message("POST /classify?top_k=1 HTTP/1.1", headers, video).encoded()


def summary(seen: Seen) -> dict[str, Any]:
    """What is printed and recorded."""
    return {
        "requests": seen.statuses.total(),
        "statuses": dict(seen.statuses),
        "answers_of_another_video": seen.wrong,
        "nothing_was_lost": seen.nothing_was_lost,
        "retries": dict(seen.retries),
        "exit_codes": dict(seen.exit_codes),
        "drain_seconds": _spread(seen.drains_seconds),
        "start_seconds": _spread(seen.starts_seconds),
        "latency_ms": percentiles([1000 * seconds for seconds in seen.latencies_seconds]),
    }


def _spread(seconds: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(seconds)
    middle, last = ordered[len(ordered) // 2], ordered[-1]
    return {"median": round(middle, 3), "max": round(last, 3), "all": [round(value, 3) for value in seconds]}


if __name__ == "__main__":
    main()
