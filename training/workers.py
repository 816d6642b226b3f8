"""Processes that decode ahead of training: fresh ones, which end with their parent."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from clips.errors import CommandError

_MAX_WORKERS = 8


@contextmanager
def submitter(workers: int, jobs: int, sharing: int = 1) -> Iterator[Callable[..., Future[Any]]]:
    """``submit`` of a pool of fresh processes, one per core where ``workers`` is -1, or of none where it is 0.

    ``sharing``: so many processes of this machine have a pool, and share the ``workers``; each has one at least.
    Threads of FFmpeg and torch do not fork.
    """
    workers = min(workers if workers >= 0 else os.cpu_count() or 1, _MAX_WORKERS, jobs)
    workers = max(1, workers // sharing) if workers else 0
    if workers == 0:
        yield _run_here
        return
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_follow_parent)
    try:
        yield pool.submit
    finally:
        pool.shutdown(cancel_futures=True)


def result_of(job: Future[Any]) -> Any:
    """What the job returned. Raises: what it raised; CommandError: its process died."""
    try:
        return job.result()
    except BrokenProcessPool as broken:
        raise CommandError("a decoding process died; --workers 0 decodes in one process and stops at the clip") from broken


def _run_here(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    done: Future[Any] = Future()
    done.set_result(function(*arguments))
    return done


def _follow_parent() -> None:
    """Ctrl-C is the parent's to handle; but where the parent is killed, a worker would wait for jobs for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
