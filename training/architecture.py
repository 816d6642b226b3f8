"""Which network: the trunk that looks at frames, and what makes one answer of several of them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Backbone = Literal["resnet18", "resnet34", "resnet50"]
Temporal = Literal["average", "attention", "shift", "lstm", "transformer"]


class Architecture(BaseModel):
    """Everything that decides names and shapes of the weights, the number of labels apart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: Backbone = "resnet50"
    temporal: Temporal = "average"
    """``average`` and ``attention`` are blind to the order of the frames."""
    width: int = Field(default=512, ge=8, le=4096)
    """Of what ``lstm`` and ``transformer`` compute with."""
    layers: int = Field(default=1, ge=1, le=8)
    """Of ``lstm`` and ``transformer``."""
    bidirectional: bool = False
    """``lstm`` reads the frames backwards too."""
