"""Query parameters, as they appear at ``/docs``."""

from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from pydantic.json_schema import SkipJsonSchema

Absent = SkipJsonSchema[None]
"""A parameter that may be left out, but for which a query has no way to say null."""


class ClassifyQuery(BaseModel):
    """Parameters of ``POST /classify`` and ``/classify/batch``; a misspelt one is refused."""

    model_config = ConfigDict(extra="forbid")

    model: str | Absent = Field(None, max_length=64, description="Name of the model; the default one if absent")
    version: PositiveInt | Absent = Field(None, description="Version of the model; its default one if absent")
    top_k: int = Field(5, ge=0, description="How many labels to answer with; 0 for all")
    timeout_ms: PositiveInt | Absent = Field(None, description="Time from the end of the upload to the answer, ms")


class VersionQuery(BaseModel):
    """Parameters of the routes that manage a model; a misspelt one is refused."""

    model_config = ConfigDict(extra="forbid")

    version: PositiveInt | Absent = Field(None, description="Version of the model")
