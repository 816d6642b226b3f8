"""The events of a timeline, as they appear at ``/docs``: each is a line of its own.

video    window | problem  (one for each window, in order)    segments
                                                    or, too soon,  failed
"""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from app.api.schemas import Answer, PredictionBody, ProblemBody, VideoFileBody


class VideoEvent(Answer):
    """Comes first."""

    event: Literal["video"] = Field(description="Which kind of event this is")
    model: str = Field(description="Name of the model that answers")
    version: int = Field(description="Its version")
    video: VideoFileBody = Field(description="What the decoder saw")
    windows: int = Field(ge=1, description="How many events of windows follow, results and problems together")


class WindowEvent(Answer):
    """A window that was classified."""

    event: Literal["window"] = Field(description="Which kind of event this is")
    index: int = Field(ge=0, description="Place of the window, from 0")
    start_seconds: float = Field(ge=0, description="Where the window starts, from the first frame of the video")
    end_seconds: float = Field(gt=0, description="Where it ends")
    predictions: list[PredictionBody] = Field(description="Most probable first")
    tags: list[str] | None = Field(
        description="As in the answer of `/classify`, of this window; null: the model is single_label"
    )
    partial: bool = Field(description="Whether frames are missing from the video, or are damaged in the window or near it")


class WindowProblemEvent(Answer):
    """A window that was not; the others are none the worse for it."""

    event: Literal["problem"] = Field(description="Which kind of event this is")
    index: int = Field(ge=0, description="Place of the window, from 0")
    start_seconds: float = Field(ge=0, description="Where the window starts, from the first frame of the video")
    end_seconds: float = Field(gt=0, description="Where it ends")
    problem: ProblemBody = Field(description="As `POST /classify` would answer")
    retry_after_seconds: int | None = Field(None, ge=1, description="When to send the video again, where it may go better then")


class SegmentBody(Answer):
    """A stretch of the video in which every window has the label."""

    label: str = Field(description="single_label: the most probable one; multi_label: one that reached its threshold")
    start_seconds: float = Field(ge=0, description="From the first frame of the video")
    end_seconds: float = Field(gt=0, description="Where windows overlap, the middle of what they have in common")
    probability: float = Field(ge=0, le=1, description="Of the label, the mean over the windows")
    windows: int = Field(ge=1, description="Windows that were merged")


class SegmentsEvent(Answer):
    """Comes last, once every window has had its event."""

    event: Literal["segments"] = Field(description="Which kind of event this is")
    segments: list[SegmentBody] = Field(description="By start; those of several labels may overlap")
    failed_windows: int = Field(ge=0, description="Windows that had a problem; no segment goes over them")


class FailedEvent(Answer):
    """Comes last where it does not go on: the windows that had no event were not classified."""

    event: Literal["failed"] = Field(description="Which kind of event this is")
    problem: ProblemBody = Field(description="Why")
    retry_after_seconds: int | None = Field(default=None, ge=1, description="When to send the video again")


Event = VideoEvent | WindowEvent | WindowProblemEvent | SegmentsEvent | FailedEvent


class TimelineEvent(RootModel[Annotated[Event, Field(discriminator="event")]]):
    """One line of the answer to ``POST /timeline``."""
