"""All contestants by turns on each video, round after round; in the first round their frames are compared as well."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from tqdm import tqdm

from benchmarks.decoding.contestant import OURS, Frames
from benchmarks.decoding.runner import ContestantFailed, Runner
from benchmarks.decoding.same_frames import Verdict, judge
from benchmarks.decoding.wanted import Wanted
from benchmarks.decoding.with_reference import Truth

_PATIENCE_SECONDS = 2.0
"""Who took longer for a video is not asked for it again: a long run averages over the noise by itself."""


@dataclass
class Measured:
    """What came out for one set of videos; everything by contestant, then by video."""

    title: str
    videos: list[str]
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    failures: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=lambda: defaultdict(dict))

    def typical_seconds(self, name: str) -> dict[str, float]:
        """The median over the rounds, for each video on which the contestant never failed."""
        return {video: median(values) for video, values in self.seconds[name].items() if video not in self.failures[name]}

    def is_right(self, name: str, video: str) -> bool:
        """Whether the contestant returned the wanted frames."""
        verdict = self.verdicts[name].get(video)
        return verdict is not None and verdict.is_right


def measure(title: str, videos: Sequence[Wanted], runners: Sequence[Runner], reference: Runner, repeats: int) -> Measured:
    """The order rotates. A contestant is not asked again for a video on which it failed, or was slow beyond patience."""
    measured = Measured(title, [video.name for video in videos])
    truths: dict[str, Truth | None] = {}
    for runner in runners:
        _turn(runner, videos[0], Measured("warming up", []))
    with tqdm(total=repeats * len(videos) * len(runners), desc=title, unit="turn", smoothing=0.02) as progress:
        for turn in range(repeats):
            for place, video in enumerate(videos):
                if turn == 0:
                    truths[video.name] = _truth(video, reference, measured)
                truth = truths[video.name]
                asked = replace(video, indices=truth.indices) if truth else video
                first = (turn + place) % len(runners)
                frames = {}
                for runner in [*runners[first:], *runners[:first]]:
                    frames[runner.contestant.name] = _turn(runner, asked, measured)
                    progress.update()
                if turn == 0 and truth:
                    _judge(video, frames, truth, measured)
    return measured


def _truth(video: Wanted, reference: Runner, measured: Measured) -> Truth | None:
    """None where the video breaks decoding from front to back: nobody is judged then."""
    try:
        truth: Truth = reference.run(video).result
    except ContestantFailed as problem:
        measured.failures["reference"][video.name] = str(problem)
        return None
    return truth


def _turn(runner: Runner, video: Wanted, measured: Measured) -> Frames | None:
    """The frames, the first time that this contestant is asked for this video."""
    name = runner.contestant.name
    taken = measured.seconds[name][video.name]
    if video.name in measured.failures[name] or (taken and taken[0] > _PATIENCE_SECONDS):
        return None
    try:
        turn = runner.run(video, keep_result=not taken)
    except ContestantFailed as problem:
        measured.failures[name][video.name] = str(problem)
        return None
    taken.append(turn.seconds)
    frames: Frames | None = turn.result
    return frames


def _judge(video: Wanted, frames: dict[str, Frames | None], truth: Truth, measured: Measured) -> None:
    """All whose frames should be those of mode ``exact``: ours and the peers."""
    ours = frames[OURS]
    for name, returned in frames.items():
        if returned is not None and ours is not None and name != "ours_nearest_reference":
            measured.verdicts[name][video.name] = judge(returned, ours, truth.around)
