"""Where the Open Inference Protocol is spoken: everything under ``/v2``, failures included."""

from app.api.v2.schemas import ErrorBody
from app.errors import Problem

PREFIX = "/v2"
EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration"]


def speaks_protocol(path: str) -> bool:
    """Whether a request to ``path`` is answered in the protocol's words: a failure is ``{"error": "..."}``."""
    return path == PREFIX or path.startswith(PREFIX + "/")


def error_body(problem: Problem, _request_id: str) -> ErrorBody:
    """The problem in the protocol's words, which have no place for the id; a header has it."""
    return ErrorBody(error=problem.detail)
