"""From the probability of a tag to whether a video has it."""

from collections.abc import Iterable

from app.inference.classify import Prediction
from clips import Manifest


def tags_of(manifest: Manifest, predictions: Iterable[Prediction]) -> list[Prediction] | None:
    """Those that reach their thresholds, in their order; None of a single_label model, which gives no tags."""
    if manifest.thresholds is None:
        return None
    threshold = dict(zip(manifest.labels, manifest.thresholds, strict=True))
    return [each for each in predictions if each.probability >= threshold[each.label]]
