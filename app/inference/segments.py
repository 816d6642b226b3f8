"""Windows to segments: what happens when, in a few lines. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.inference.classify import Prediction
from app.inference.tags import tags_of
from app.inference.windows import shares
from clips import Manifest, TimeWindow


@dataclass(frozen=True)
class Segment:
    """A stretch of the video in which every window has the label."""

    label: str
    start_seconds: float
    end_seconds: float
    probability: float
    """Of the label, the mean over its windows."""
    windows: int
    """How many it was merged from."""

    def extended(self, end_seconds: float, probability: float) -> "Segment":
        """By one more window."""
        mean = (self.probability * self.windows + probability) / (self.windows + 1)
        return replace(self, end_seconds=end_seconds, probability=mean, windows=self.windows + 1)


def labels_of(manifest: Manifest, predictions: Sequence[Prediction]) -> dict[str, float]:
    """The labels that a window has, with their probabilities.

    The most probable one; of a multi_label model all that reach their thresholds.
    """
    tags = tags_of(manifest, predictions)
    return {each.label: each.probability for each in (predictions[:1] if tags is None else tags)}


def merged(windows: Sequence[TimeWindow], labels: Sequence[Mapping[str, float]]) -> list[Segment]:
    """Neighbouring windows that share a label become one segment, by start and label; a window may have none.

    windows    A  A  A  B  -  B        ->   A 0-3, B 3-4, B 5-6
    """
    finished: list[Segment] = []
    growing: dict[str, Segment] = {}
    for share, of_window in zip(shares(windows), labels, strict=True):
        end = share.end_seconds or 0.0
        goes_on = {label for label in of_window if label in growing and growing[label].end_seconds == share.start_seconds}
        finished += [segment for label, segment in growing.items() if label not in goes_on]
        growing = {
            label: growing[label].extended(end, probability)
            if label in goes_on
            else Segment(label, share.start_seconds, end, probability, 1)
            for label, probability in of_window.items()
        }
    return sorted([*finished, *growing.values()], key=lambda segment: (segment.start_seconds, segment.label))
