"""One gate in front of everything, with a bound for what arrives and one for what was received."""

from contextlib import ExitStack, suppress

import pytest

from app.errors import DeadlineExceeded, QueueFull, RefusedVideo
from app.inference.admission import BURST_SECONDS, Admission, AdmissionPolicy
from clips.errors import NotAVideo


def gate(*, max_queue_size: int = 2, max_uploads: int = 3) -> Admission:
    return Admission(AdmissionPolicy(max_queue_size, max_uploads))


def is_open(admission: Admission) -> bool:
    try:
        with admission.enter():
            return True
    except QueueFull:
        return False


def test_as_many_uploads_as_the_gate_holds_get_in_and_the_next_after_one_has_left() -> None:
    admission = gate()
    with admission.enter(), admission.enter():
        with admission.enter():
            assert not is_open(admission)
        assert is_open(admission)


def test_the_gate_is_closed_while_enough_videos_wait_for_their_answer() -> None:
    admission = gate()
    with admission.enter() as first:
        first.upload_ended()
        with admission.enter() as second:
            second.upload_ended()
            assert not is_open(admission)
        assert is_open(admission)


def test_uploads_that_are_slow_leave_the_places_of_the_received_alone() -> None:
    admission = gate(max_queue_size=1, max_uploads=3)
    with admission.enter(), admission.enter():
        for _ in range(10):
            with admission.enter() as quick:
                quick.upload_ended()


def test_who_was_let_in_is_never_refused_even_where_all_arrive_at_once() -> None:
    admission = gate(max_queue_size=1, max_uploads=3)
    with ExitStack() as inside:
        places = [inside.enter_context(admission.enter()) for _ in range(3)]
        for place in places:
            place.upload_ended()
        assert not is_open(admission)
    assert is_open(admission)


def test_no_more_than_the_sum_is_ever_inside() -> None:
    policy = AdmissionPolicy(max_queue_size=2, max_uploads=3)
    admission = Admission(policy)
    with ExitStack() as inside:
        received = [inside.enter_context(admission.enter()) for _ in range(2)]
        received[0].upload_ended()
        arriving = [inside.enter_context(admission.enter()) for _ in range(2)]
        received[1].upload_ended()
        for place in arriving:
            place.upload_ended()
        assert len(received) + len(arriving) <= policy.max_videos
        assert not is_open(admission)


class Clock:
    """Time that goes on when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Server:
    """Videos inside, and a server that answers one every tenth of a second."""

    def __init__(self, max_wait_seconds: float = 1.0, max_queue_size: int = 100) -> None:
        self.clock = Clock()
        policy = AdmissionPolicy(max_queue_size, 100, max_wait_seconds, keeps_busy=2)
        self.admission = Admission(policy, self.clock)
        self.inside: list[ExitStack] = []

    def arrive(self) -> QueueFull | None:
        """One video more, or why not."""
        stack = ExitStack()
        try:
            stack.enter_context(self.admission.enter()).upload_ended()
        except QueueFull as refusal:
            return refusal
        self.inside.append(stack)
        return None

    def work(self, answers: int = 1) -> None:
        for _ in range(answers):
            self.clock.now += 0.1
            self.inside.pop(0).close()

    def refusals(self, seconds: float, arrivals_per_answer: int) -> list[QueueFull | None]:
        """What those are told who arrive, so many for each answer."""
        told = []
        for _ in range(round(seconds / 0.1)):
            told += [self.arrive() for _ in range(arrivals_per_answer)]
            self.work()
        return told


def warm(**policy: float) -> Server:
    """A server that knows its pace."""
    server = Server(**policy)  # type: ignore[arg-type]
    server.refusals(3.0, arrivals_per_answer=1)
    return server


def test_the_pace_is_that_of_the_work_whatever_the_idle_time() -> None:
    server = warm()
    server.clock.now += 1000
    for _ in range(5):
        assert server.arrive() is None
    assert server.admission.expected_wait_seconds == pytest.approx(0.5, rel=0.1)


def test_a_server_with_little_to_do_is_not_taken_for_a_slow_one() -> None:
    admission, clock = two_at_a_time()
    for _ in range(20):
        with admission.enter() as alone:
            alone.upload_ended()
            clock.now += 0.26
    with ExitStack() as inside:
        for _ in range(7):
            inside.enter_context(admission.enter()).upload_ended()
        clock.now += BURST_SECONDS
        assert is_open(admission)
        assert admission.expected_wait_seconds == pytest.approx(7 * 0.13)


def two_at_a_time() -> tuple[Admission, Clock]:
    clock = Clock()
    return Admission(AdmissionPolicy(100, 100, max_wait_seconds=1.0, keeps_busy=4, side_by_side=2), clock), clock


def test_those_who_leave_without_an_answer_make_an_empty_server_no_slower() -> None:
    admission, clock = two_at_a_time()
    for _ in range(20):
        with suppress(RuntimeError), admission.enter() as leaver:
            leaver.upload_ended()
            clock.now += 2.0
            raise RuntimeError
        with admission.enter() as alone:
            alone.upload_ended()
            clock.now += 0.2
    assert admission._pace.seconds_per_answer == pytest.approx(0.1)


def test_parts_of_one_answer_are_as_much_work_as_their_windows() -> None:
    admission, clock = two_at_a_time()
    with admission.enter() as timeline:
        timeline.upload_of_parts_ended()
        for _ in range(10):
            with timeline.part(4):
                clock.now += 0.4
    assert admission._pace.seconds_per_answer == pytest.approx(0.1)


def test_answers_that_come_together_count_as_what_they_are() -> None:
    server = Server()
    for _ in range(20):
        for _ in range(8):
            server.arrive()
        server.clock.now += 0.8
        for _ in range(8):
            server.inside.pop(0).close()
    server.arrive()
    assert server.admission.expected_wait_seconds == pytest.approx(0.1, rel=0.15)


def test_a_burst_may_fill_the_queue() -> None:
    server = warm()
    assert [server.arrive() for _ in range(90)] == [None] * 90
    assert server.admission.expected_wait_seconds > 5


def test_standing_load_is_refused_beyond_the_longest_wait_and_no_capacity_is_lost() -> None:
    server = warm()
    server.refusals(2.0, arrivals_per_answer=3)
    told = server.refusals(10.0, arrivals_per_answer=3)
    assert told.count(None) == pytest.approx(100, abs=10), "as many as are answered"
    assert server.admission.expected_wait_seconds <= 1.2


def test_who_is_refused_is_told_when_the_queue_will_be_short() -> None:
    server = warm()
    for _ in range(60):
        server.arrive()
    server.clock.now += BURST_SECONDS
    assert server.arrive() is None or server.arrive()
    server.clock.now += BURST_SECONDS
    refusal = server.arrive()
    assert refusal
    assert refusal.retry_after_seconds == pytest.approx(server.admission.expected_wait_seconds - 1.0, abs=1.0)
    assert refusal.retry_after_seconds >= 5


def test_bursts_are_welcome_again_once_the_load_is_gone() -> None:
    server = warm()
    assert any(server.refusals(5.0, arrivals_per_answer=3))
    server.work(len(server.inside))
    assert [server.arrive() for _ in range(50)] == [None] * 50


def test_a_slow_model_is_kept_busy_whatever_the_wait() -> None:
    server = warm(max_wait_seconds=0.01)
    for _ in range(20):
        assert server.arrive() is None
        server.work()
    server.arrive()
    server.clock.now += 10
    assert server.arrive() is None


def test_without_a_longest_wait_the_queue_size_alone_counts() -> None:
    server = warm(max_wait_seconds=0.0, max_queue_size=30)
    told = server.refusals(5.0, arrivals_per_answer=3)
    assert len(server.inside) == 29
    assert any(told)


def test_a_request_that_carries_many_clips_counts_as_many() -> None:
    admission = gate(max_queue_size=4)
    with admission.enter() as place:
        place.upload_ended()
        place.hold(4)
        assert not is_open(admission)
    assert is_open(admission)


def ask_for(admission: Admission, clips: int) -> None:
    with admission.enter() as place:
        place.upload_ended()
        place.hold(clips)


def test_clips_for_which_there_is_no_room_are_refused_and_leave_no_trace() -> None:
    admission = gate(max_queue_size=4)
    with admission.enter() as first:
        first.upload_ended()
        with pytest.raises(QueueFull):
            ask_for(admission, 4)
        with admission.enter() as place:
            place.upload_ended()
            place.hold(3)
            assert not is_open(admission)
    assert is_open(admission)


def test_one_request_of_many_videos_shuts_nobody_out() -> None:
    server = warm()
    batch = object()
    with ExitStack() as inside:
        for _ in range(64):
            inside.enter_context(server.admission.enter(batch)).upload_ended()
        for _ in range(10):
            server.clock.now += 1.0
            assert server.arrive() is None, "it waits for one video of the batch"
            server.work()
        assert server.admission.expected_wait_seconds > 5, "as the operator is told"


def test_a_request_is_let_in_once_for_all_its_videos() -> None:
    server = warm()
    batch = object()
    with ExitStack() as inside:
        inside.enter_context(server.admission.enter(batch)).upload_ended()
        assert any(server.refusals(5.0, arrivals_per_answer=3))
        inside.enter_context(server.admission.enter(batch)).upload_ended()


def test_clips_of_those_who_arrived_together_are_not_refused_for_each_other() -> None:
    admission = gate(max_queue_size=2, max_uploads=5)
    with ExitStack() as inside:
        places = [inside.enter_context(admission.enter()) for _ in range(5)]
        for place in places:
            place.upload_ended()
        for place in places:
            place.hold(1)


def test_a_slow_server_knows_its_pace() -> None:
    server = Server()
    for _ in range(12):
        server.arrive()
        server.clock.now += 3.0
        server.inside.pop(0).close()
    server.arrive()
    assert server.admission.expected_wait_seconds == pytest.approx(3.0, rel=0.1)


def test_a_machine_that_stood_still_is_not_taken_for_a_slow_one() -> None:
    server = warm()
    server.arrive()
    server.clock.now += 30.0
    server.work()
    server.arrive()
    assert server.admission.expected_wait_seconds < 0.15


def test_videos_that_ended_too_late_count_as_work() -> None:
    server = warm()
    for _ in range(40):
        with pytest.raises(DeadlineExceeded):
            end(server, DeadlineExceeded())
    server.arrive()
    assert server.admission.expected_wait_seconds == pytest.approx(1.0, rel=0.2)


def test_answers_without_work_say_nothing_about_the_pace() -> None:
    server = warm()
    before = server.admission._pace.seconds_per_answer
    with server.admission.enter() as place:
        place.upload_ended()
        place.was_known()
    with pytest.raises(RefusedVideo):
        end(server, RefusedVideo(NotAVideo()))
    assert server.admission._pace.seconds_per_answer == before


def told_while_as_many_arrive_as_may(admission: Admission, max_uploads: int) -> int | None:
    with ExitStack() as inside:
        for _ in range(max_uploads):
            inside.enter_context(admission.enter())
        with pytest.raises(QueueFull) as refusal, admission.enter():
            pass
    return refusal.value.retry_after_seconds


@pytest.mark.parametrize(
    ("seconds", "max_uploads", "told"), [(6.0, 3, 2), (30.0, 2, 15), (0.1, 3, 1), (20.0, 100, 1), (500.0, 2, 60)]
)
def test_where_too_many_videos_arrive_who_comes_is_told_when_one_of_them_will_be_there(
    seconds: float, max_uploads: int, told: int
) -> None:
    """As long as uploads took of late, whether they failed or not."""
    clock = Clock()
    admission = Admission(AdmissionPolicy(100, max_uploads), clock)
    assert told_while_as_many_arrive_as_may(admission, max_uploads) == 1, "nobody knows yet"
    for number in range(32):
        with suppress(RuntimeError), admission.enter() as place:
            clock.now += seconds
            if number % 2:
                raise RuntimeError
            place.upload_ended()
    assert told_while_as_many_arrive_as_may(admission, max_uploads) == told


def test_where_too_many_videos_arrive_the_queue_is_waited_for_too() -> None:
    server = Server(max_wait_seconds=1.0)
    server.refusals(3.0, arrivals_per_answer=1)
    for _ in range(60):
        server.arrive()
    with ExitStack() as inside:
        for _ in range(100):
            inside.enter_context(server.admission.enter())
        refusal = server.arrive()
    assert refusal
    assert refusal.retry_after_seconds == pytest.approx(60 * 0.1 - 1.0, abs=1.0)


def test_nobody_is_told_to_wait_for_minutes() -> None:
    server = Server(max_queue_size=50)
    for _ in range(12):
        server.arrive()
        server.clock.now += 20.0
        server.inside.pop(0).close()
    for _ in range(50):
        server.arrive()
    refusal = server.arrive()
    assert refusal
    assert refusal.retry_after_seconds == 60


def end(server: Server, problem: Exception) -> None:
    """A request that ends with ``problem`` after a second."""
    with server.admission.enter() as place:
        place.upload_ended()
        server.clock.now += 1.0
        raise problem


def test_who_leaves_before_the_answer_says_nothing_about_the_pace() -> None:
    server = warm()
    before = server.admission._pace.seconds_per_answer
    with pytest.raises(RuntimeError):
        fail(server.admission, arrived=True)
    assert server.admission._pace.seconds_per_answer == before


def fail(admission: Admission, *, arrived: bool) -> None:
    with admission.enter() as place:
        if arrived:
            place.upload_ended()
        raise RuntimeError


@pytest.mark.parametrize("arrived", [False, True])
def test_a_video_that_fails_leaves_its_place(arrived: bool) -> None:
    admission = gate(max_queue_size=1, max_uploads=1)
    with pytest.raises(RuntimeError):
        fail(admission, arrived=arrived)
    assert is_open(admission)
