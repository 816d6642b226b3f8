"""What a model says of a video or of a window, as it stands in an answer."""

from collections.abc import Sequence
from typing import TypedDict

from app.api.schemas import PredictionBody
from app.inference.classify import Prediction
from app.inference.tags import tags_of
from clips import Manifest


class Told(TypedDict):
    """Fields of an answer."""

    predictions: list[PredictionBody]
    tags: list[str] | None


def told(manifest: Manifest, predictions: Sequence[Prediction], top_k: int) -> Told:
    """The ``top_k`` most probable labels, 0 for all; and every tag, whatever ``top_k`` is."""
    tags = tags_of(manifest, predictions)
    return Told(
        predictions=[PredictionBody(label=each.label, probability=each.probability) for each in predictions[: top_k or None]],
        tags=None if tags is None else [tag.label for tag in tags],
    )
