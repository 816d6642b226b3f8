"""Query parameters, as they appear at ``/docs``."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from pydantic.json_schema import SkipJsonSchema

Absent = SkipJsonSchema[None]
"""A parameter that may be left out, but for which a query has no way to say null."""


WindowSeconds = Annotated[float, Field(ge=0.1, le=600)]


class ClassifyQuery(BaseModel):
    """Parameters of ``POST /classify`` and ``/classify/batch``; a misspelt one is refused."""

    model_config = ConfigDict(extra="forbid")

    model: str | Absent = Field(None, max_length=64, description="Name of the model; the default one if absent")
    version: PositiveInt | Absent = Field(None, description="Version of the model; its default one if absent")
    top_k: int = Field(5, ge=0, description="How many labels to answer with; 0 for all")
    timeout_ms: PositiveInt | Absent = Field(None, description="Time from the end of the upload to the answer, ms")


class TimelineQuery(ClassifyQuery):
    """Parameters of ``POST /timeline``."""

    window_seconds: WindowSeconds = Field(5.0, description="Length of a window, s")
    stride_seconds: WindowSeconds | Absent = Field(
        None, description="From the start of one window to the start of the next, s; `window_seconds` if absent"
    )
    timeout_ms: PositiveInt | Absent = Field(None, description="Time for each few windows, which are classified together, ms")


class VersionQuery(BaseModel):
    """Parameters of the routes that manage a model; a misspelt one is refused."""

    model_config = ConfigDict(extra="forbid")

    version: PositiveInt | Absent = Field(None, description="Version of the model")
