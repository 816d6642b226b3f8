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
            user.result(10)


def test_a_record_is_alone() -> None:
    gate, users, records, seen = RecordingGate(), set[int](), set[int](), []

    def use(times: int) -> None:
        for _ in range(times):
            with gate.using_device():
                users.add(threading.get_ident())
                seen.append(len(records))
                users.discard(threading.get_ident())

    def record(times: int) -> None:
        for _ in range(times):
            with gate.recording():
                seen.extend([len(users), len(records)])
                records.add(threading.get_ident())
                records.discard(threading.get_ident())

    with ThreadPoolExecutor(6) as threads:
        work = [threads.submit(use, 500) for _ in range(4)] + [threads.submit(record, 100) for _ in range(2)]
        for done in work:
            done.result(60)
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
