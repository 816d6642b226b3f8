"""What is decoded for the frames that are wanted, drawn.

A stream is a row of letters in decoding order, a frame each:

    K   predicted from no other
    P   predicted from the K or P before it; others may be predicted from it
    b   predicted from the K or P before it; no other refers to it
    B   predicted from the two K or P before it; no other refers to it

Below it stand the wanted frames (``*``) and the plan: ``+`` decoded for others, ``.`` left out, ``|`` a new start.
"""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clips.plan import CodedFrame, NearestReferences, Plan, plan_decoding


def stream(letters: str) -> list[CodedFrame]:
    """The frames that the letters draw, one tick apart."""
    frames: list[CodedFrame] = []
    before: tuple[int, ...] = ()
    for number, letter in enumerate(letters):
        needs = {"K": (), "B": before[-2:]}.get(letter, before[-1:])
        frames.append(CodedFrame(number, needs, letter in "KP"))
        before += (number,) * (letter in "KP")
    return frames


def places(wanted: str) -> list[int]:
    return [number for number, mark in enumerate(wanted) if mark == "*"]


def drawn(letters: str, wanted: str) -> str:
    assert len(letters) == len(wanted)
    return plan_decoding(stream(letters), places(wanted)).drawing()


DRAWINGS = {
    "a long group is decoded from its keyframe up to the wanted frame": (
        "KPPPPPPPPP",
        "......*...",
        "++++++*...",
    ),
    "of short groups one is touched": (
        "KPPKPPKPPKPP",
        ".......*....",
        "......+*....",
    ),
    "a wanted keyframe costs itself alone": (
        "KPPKPPKPP",
        "...*.....",
        "...*.....",
    ),
    "frames that nothing refers to are left out": (
        "KbbPbbPbbPbb",
        "..........*.",
        "+..+..+..+*.",
    ),
    "a frame that nothing refers to is decoded where it is wanted": (
        "KbbPbbPbbPbb",
        "..*.*.......",
        "+.*+*.......",
    ),
    "several wanted frames of a group share its keyframe": (
        "KPPPPPPPPP",
        ".*...*..*.",
        "+*+++*++*.",
    ),
    "the decoder starts anew where frames between two groups are left out": (
        "KbbPbbKbbPKbP",
        ".*..........*",
        "+*........|+.*",
    ),
    "it goes on where nothing between two groups is left out": (
        "KPPKPP",
        "..*.*.",
        "++*+*.",
    ),
    "it goes on where all of the second group's frames are wanted": (
        "KPPKPP",
        "*.****",
        "*+****",
    ),
    "leading pictures of an open group need the group before": (
        "KPbPKBBP",
        ".....*..",
        "++.++*..",
    ),
    "what follows the leading pictures does not": (
        "KPbPKBBP",
        ".......*",
        "....+..*",
    ),
    "no new start where a later leading picture reaches back": (
        "KPbKBBP",
        ".*...**",
        "+*.+.**",
    ),
    "a new start where the leading pictures are not wanted": (
        "KPbKBBP",
        ".*....*",
        "+*.|+..*",
    ),
    "all wanted": (
        "KbPKbPKBP",
        "*********",
        "*********",
    ),
    "none wanted": (
        "KbPKbP",
        "......",
        "......",
    ),
    "a stream of keyframes": (
        "KKKKKKKK",
        ".*...*.*",
        ".*...|*.|*",
    ),
}


@pytest.mark.parametrize("claim", DRAWINGS)
def test_plan_by_drawing(claim: str) -> None:
    letters, wanted, plan = DRAWINGS[claim]
    assert drawn(letters, wanted) == plan


PYRAMID = [(), (0,), (0, 1), (0, 2), (0, 3), (2, 3), (1, 2), (2, 6), (1, 6)]
"""shown   0 1 2 3 4 5 6 7 8
   number  0 4 3 5 2 7 6 8 1"""


@pytest.mark.parametrize(
    ("wanted", "plan"),
    [
        ("....*....", "++++*...."),
        (".....*...", "++++.*..."),
        (".......*.", "+++...+*."),
        ("........*", "+++...+.*"),
        ("..*......", "++*......"),
        (".*.......", "+*......."),
    ],
)
def test_of_a_pyramid_only_the_branch_above_a_wanted_frame_is_decoded(wanted: str, plan: str) -> None:
    frames = [CodedFrame(number, needs, True) for number, needs in enumerate(PYRAMID)]
    assert plan_decoding(frames, places(wanted)).drawing() == plan


def test_the_cost_of_a_plan_is_its_frames() -> None:
    assert plan_decoding(stream("KbbPbbPKP"), [5, 8]).cost == 5


def from_masks(masks: list[int]) -> list[CodedFrame]:
    """Bit k of a frame's number says that it is predicted from the frame k + 1 before it."""
    needs = [tuple(n - k - 1 for k in range(6) if mask >> k & 1 and k < n) for n, mask in enumerate(masks)]
    referred = {number for several in needs for number in several}
    return [CodedFrame(number, several, number in referred) for number, several in enumerate(needs)]


# half of the frames are predicted from none: many groups, some of them open
streams = st.lists(st.integers(-63, 63).map(lambda mask: max(0, mask)), min_size=1, max_size=30).map(from_masks)
wishes = st.sets(st.integers(0, 29), max_size=8)


def plan_of(frames: list[CodedFrame], wished: set[int]) -> tuple[set[int], Plan]:
    wanted = {number for number in wished if number < len(frames)}
    return wanted, plan_decoding(frames, wanted)


def decoded(plan: Plan) -> list[int]:
    return [number for stretch in plan.stretches for number in stretch]


@given(streams, wishes)
def test_all_that_is_wanted_is_decoded_and_nothing_that_neither_is_wanted_nor_needed(
    frames: list[CodedFrame], wished: set[int]
) -> None:
    wanted, plan = plan_of(frames, wished)
    needed = set(wanted)
    for number in reversed(range(len(frames))):
        needed.update(frames[number].needs if number in needed else ())
    assert set(decoded(plan)) == needed


@given(streams, wishes)
def test_frames_are_decoded_in_rising_order_and_none_twice(frames: list[CodedFrame], wished: set[int]) -> None:
    numbers = decoded(plan_of(frames, wished)[1])
    assert all(a < b for a, b in pairwise(numbers))


@given(streams, wishes)
def test_what_a_frame_needs_is_decoded_before_it_since_the_last_new_start(frames: list[CodedFrame], wished: set[int]) -> None:
    for stretch in plan_of(frames, wished)[1].stretches:
        for place, number in enumerate(stretch):
            assert set(frames[number].needs) <= set(stretch[:place])


@given(streams, wishes)
def test_a_new_start_leaves_something_out_and_is_drawn(frames: list[CodedFrame], wished: set[int]) -> None:
    wanted, plan = plan_of(frames, wished)
    assert all(after[0] - before[-1] > 1 for before, after in pairwise(plan.stretches))
    drawing = plan.drawing()
    assert len(drawing.replace("|", "")) == len(frames)
    assert drawing.count("|") == max(0, len(plan.stretches) - 1)
    assert (drawing.count("*"), drawing.count("+")) == (len(wanted), plan.cost - len(wanted))


def nearest(letters: str, exact: list[int], times: list[float], reach: float) -> str:
    """The letters of the frames taken, with their numbers: ``K0 P3``."""
    taken = NearestReferences(stream(letters)).of(exact, [Fraction(time) for time in times], Fraction(reach))
    return " ".join(f"{letters[number]}{number}" for number in taken)


def test_a_keyframe_within_reach_is_taken_before_a_nearer_frame() -> None:
    assert nearest("KPPPKPPP", [2, 6], [2.5, 6.5], reach=2) == "K4 P6"
    assert nearest("KPPPKPPP", [2, 6], [2.5, 6.5], reach=3) == "K4 K4"


def test_without_a_keyframe_within_reach_the_nearest_frame_that_others_refer_to_is_taken() -> None:
    assert nearest("KbbPbbPbbPbb", [4, 8], [4.5, 8.0], reach=1.5) == "P3 P9"


def test_with_neither_within_reach_the_frame_on_screen_is_taken() -> None:
    assert nearest("KbbbbbbP", [3], [3.5], reach=2) == "b3"


def test_the_reach_is_kept_to_the_tick() -> None:
    assert nearest("KbbbP", [2], [2.0], reach=2) == "K0"
    assert nearest("KbbbP", [2], [2.0], reach=1.99) == "b2"


def test_of_two_equally_near_the_earlier_is_taken() -> None:
    assert nearest("KbbbKbbb", [2], [2.0], reach=4) == "K0"


def test_a_frame_that_is_never_shown_is_never_taken() -> None:
    frames = [CodedFrame(0, (), True), CodedFrame(None, (), True), CodedFrame(2, (1,), False)]
    assert NearestReferences(frames).of([2], [Fraction(2)], Fraction(1)) == [2]


quarters = st.integers(0, 120).map(lambda number: Fraction(number, 4))


@given(streams, st.lists(quarters, min_size=1, max_size=8), quarters)
def test_every_frame_taken_is_within_reach_or_the_exact_one(
    frames: list[CodedFrame], times: list[Fraction], reach: Fraction
) -> None:
    exact = [min(int(time), len(frames) - 1) for time in times]
    for time, fallback, taken in zip(times, exact, NearestReferences(frames).of(exact, times, reach), strict=True):
        shown = frames[taken].time
        assert shown is not None
        assert taken == fallback or abs(shown - time) <= reach
        starts_within_reach = [f for f in frames if not f.needs and f.time is not None and abs(f.time - time) <= reach]
        assert not (starts_within_reach and frames[taken].needs)
