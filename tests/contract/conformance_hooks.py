"""What Schemathesis is told about videos. Loaded by its command line, through ``schemathesis.toml``."""

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, HookContext, Response

from app.api.form import MAX_PARTS
from tests.videos import BLUE, RED, damaged, numbered_video, solid_video

MODEL = "colours"
VIDEOS = [solid_video(RED), solid_video(BLUE), numbered_video()]
_BROKEN = [damaged(video) for video in VIDEOS]

_BYTES = st.one_of(st.sampled_from(VIDEOS), st.sampled_from(_BROKEN), st.binary())

schemathesis.openapi.format("binary", _BYTES)
schemathesis.openapi.media_type("video/*", _BYTES)


@schemathesis.hook
def filter_case(context: HookContext, case: Case) -> bool:
    """The model that everything else needs stays loaded."""
    return not (case.path.endswith("/unload") and MODEL in (case.path_parameters or {}).values())


@schemathesis.check
def a_video_is_classified(ctx: CheckContext, response: Response, case: Case) -> None:
    """A whole video with parameters as documented is answered, unless the model is unknown or there is no time for it."""
    body = response.request.body
    if not (case.meta and case.meta.generation.mode.is_positive and isinstance(body, bytes) and any(v in body for v in VIDEOS)):
        return
    if body.count(b"Content-Disposition: form-data") > MAX_PARTS:
        return  # a property that is an array is sent as several parts, and no schema can say how many parts there may be
    assert response.status_code in {200, 404, 429, 504}, response.text


@schemathesis.check
def a_problem_has_a_code_of_the_document(ctx: CheckContext, response: Response, case: Case) -> None:
    """The schema says that a code is a text; the examples of the status are all that there are."""
    told = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("content", {})
    if "application/problem+json" in told:
        assert response.json()["code"] in told["application/problem+json"]["examples"], response.text
