"""Users of the device and records of graphs never overlap; users do."""

import threading
from concurrent.futures import ThreadPoolExecutor

from app.inference.recording import RecordingGate


def test_users_are_in_at_once() -> None:
    gate, both = RecordingGate(), threading.Barrier(2, timeout=10)

    def use() -> None:
        with gate.using_device():
            both.wait()

    with ThreadPoolExecutor(2) as threads:
        for user in [threads.submit(use) for _ in range(2)]:
            user.result()


def test_a_record_is_alone() -> None:
    gate, inside, seen = RecordingGate(), [0, 0], []

    def use(times: int) -> None:
        for _ in range(times):
            with gate.using_device():
                inside[0] += 1
                seen.append(inside[1])
                inside[0] -= 1

    def record(times: int) -> None:
        for _ in range(times):
            with gate.recording():
                inside[1] += 1
                seen.extend([inside[0], inside[1] - 1])
                inside[1] -= 1

    with ThreadPoolExecutor(6) as threads:
        work = [threads.submit(use, 500) for _ in range(4)] + [threads.submit(record, 100) for _ in range(2)]
        for done in work:
            done.result()
    assert len(seen) == 2400
    assert not any(seen)


def test_a_record_that_fails_lets_the_others_in() -> None:
    gate = RecordingGate()
    try:
        with gate.recording():
            raise ValueError
    except ValueError:
        pass
    with gate.using_device(), gate.using_device():
        pass
