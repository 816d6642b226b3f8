"""Processes that decode ahead of training: fresh ones, which end with their parent."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any

from clips.errors import CommandError

_MAX_WORKERS = 8
_DIED = "a decoding process died; --workers 0 decodes in one process and stops at the clip"


@contextmanager
def submitter(workers: int, jobs: int, sharing: int = 1) -> Iterator[Callable[..., Future[Any]]]:
    """``submit`` of a pool of fresh processes, one per core where ``workers`` is -1, or of none where it is 0.

    ``sharing``: so many processes of this machine have a pool, and share the ``workers``; each has one at least.
    Threads of FFmpeg and torch do not fork.
    """
    workers = worker_count(workers, jobs, sharing)
    if workers == 0:
        yield _run_here
        return
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_follow_parent)
    try:
        yield partial(_submit, pool)
    finally:
        pool.shutdown(cancel_futures=True)


def worker_count(workers: int, jobs: int, sharing: int) -> int:
    """Processes of one pool; arguments as of ``submitter``."""
    workers = workers if workers >= 0 else os.cpu_count() or 1
    return min(max(1, workers // sharing) if workers else 0, _MAX_WORKERS, jobs)


def result_of(job: Future[Any]) -> Any:
    """What the job returned. Raises: what it raised; CommandError: its process died."""
    try:
        return job.result()
    except BrokenProcessPool as broken:
        raise CommandError(_DIED) from broken


def _submit(pool: ProcessPoolExecutor, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    try:
        return pool.submit(function, *arguments)
    except BrokenProcessPool as broken:  # one has died since the last job
        raise CommandError(_DIED) from broken


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
