"""Many decoded clips through one model, with a progress bar."""

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.decoding import DecodedClips
from training.model_source import Classify

_BATCH = 4


def classify_all(decoded: DecodedClips, classify: Classify, title: str) -> NDArray[np.float32]:
    """Probabilities (clips, labels), in the order of the clips."""
    starts = range(0, len(decoded), _BATCH)
    bar = tqdm(starts, desc=title, unit="batch", disable=None, leave=False)
    return np.concatenate([classify(decoded.read(range(start, min(start + _BATCH, len(decoded))))) for start in bar])
