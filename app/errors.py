"""Every way in which a request can fail, as a tree. The class carries code, status and title; ``app.api.problems`` answers.

    Problem
    ├── EmptyBody             400 empty_body
    ├── UntrustedHost         400 untrusted_host          the Host header, not the sender
    ├── MalformedUpload       400 malformed_upload        multipart that cannot be read, or without the field ``file``
    ├── MalformedRequest      400 malformed_request       of the Open Inference Protocol
    ├── Unauthorized          401 unauthorized
    ├── ModelManagementOff    403 model_management_off
    ├── NotFound              404 not_found
    ├── UnknownModel          404 unknown_model
    ├── MethodNotAllowed      405 method_not_allowed
    ├── UploadTimeout         408 upload_timeout
    ├── UploadTooLarge        413 upload_too_large
    ├── UnsupportedMediaType  415 unsupported_media_type  the Content-Type, not the video
    ├── RefusedVideo          415 or 422                  code of the ClipError that refused it
    ├── InvalidParameter      422 invalid_parameter
    ├── ModelRejected         422 model_rejected          a version that is published and cannot be served
    ├── QueueFull             429 queue_full
    ├── InternalError         500 internal_error
    │   └── InferenceFailed   500 inference_failed
    ├── StorageFull           503 storage_full
    ├── ModelUnloaded         503 model_unloaded          while the request was inside
    ├── NotReady              503 not_ready
    ├── Draining              503 draining
    └── DeadlineExceeded      504 deadline_exceeded

A command that cannot start raises ``clips.errors.CommandError`` or ``UsageError`` instead.
"""

from collections.abc import Iterator
from math import ceil
from typing import ClassVar

from clips.errors import ClipError, NotAVideo, UnsupportedContainer

_LONGEST_RETRY_SECONDS = 60


class Problem(Exception):
    """A request that cannot be answered; ``detail`` is written for the person who sent it."""

    status: ClassVar[int] = 500
    code: str = "internal_error"
    title: ClassVar[str] = "Something went wrong in the server"
    detail: str = "The request was understood but could not be answered; try again later."
    retry_after_seconds: int | None = None

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.detail
        super().__init__(self.detail)

    @property
    def http_status(self) -> int:
        """Status of the answer."""
        return self.status

    @classmethod
    def examples(cls) -> "list[Problem]":
        """One of each kind of answer that the class stands for, for the reference."""
        return [cls()]


class EmptyBody(Problem):
    """No bytes where a video was expected."""

    status, code, title = 400, "empty_body", "The request holds no video"
    detail = "Send the video as the multipart field `file` or as the raw request body."


class MalformedUpload(Problem):
    """The multipart body breaks its own rules, or ours."""

    status, code, title = 400, "malformed_upload", "The upload cannot be read"
    detail = "Send exactly one file, in the multipart field `file`."


class MalformedRequest(Problem):
    """A request of the Open Inference Protocol that breaks its rules, or does not fit the model."""

    status, code, title = 400, "malformed_request", "The inference request cannot be read"
    detail = "The request breaks a rule of the Open Inference Protocol, or does not fit the model."


class UntrustedHost(Problem):
    """The server does not go by the name that the request calls it."""

    status, code, title = 400, "untrusted_host", "The server does not answer to this name"
    detail = "The Host header of the request names a host that this server does not serve."


class Unauthorized(Problem):
    """No API key, or a wrong one."""

    status, code, title = 401, "unauthorized", "An API key is needed"
    detail = "Send a valid key in the header X-API-Key, or as Authorization: Bearer."


class ModelManagementOff(Problem):
    """Models are not loaded and unloaded over HTTP here."""

    status, code, title = 403, "model_management_off", "Models cannot be managed over HTTP"
    detail = "This server loads and unloads no models on request; its operator may set CLIPSERVE_MODEL_MANAGEMENT=on."


class NotFound(Problem):
    """No such route."""

    status, code, title = 404, "not_found", "There is nothing at this address"
    detail = "No route of the server has this address."


class UnknownModel(Problem):
    """No such model, or no such version of it."""

    status, code, title = 404, "unknown_model", "This model is not served"
    detail = "There is no model of that name, or no such version; GET /models lists what is served."


class MethodNotAllowed(Problem):
    """The route exists, the method does not."""

    status, code, title = 405, "method_not_allowed", "This address does not answer that method"
    detail = "The header Allow names the methods of this address."


class UploadTimeout(Problem):
    """The body took too long to arrive."""

    status, code, title = 408, "upload_timeout", "The upload took too long"
    detail = "The video did not arrive in time; send it faster, or a smaller one."


class UploadTooLarge(Problem):
    """More bytes than the server accepts."""

    status, code, title = 413, "upload_too_large", "The upload is too large"
    detail = "The upload has more bytes than the server accepts; send a shorter or smaller one."


class UnsupportedMediaType(Problem):
    """A Content-Type that carries no video."""

    status, code, title = 415, "unsupported_media_type", "This content type is not accepted"
    detail = "Send multipart/form-data with the field `file`, or a raw body of type video/* or application/octet-stream."


class RefusedVideo(Problem):
    """The video cannot become a clip; the code is that of the ``ClipError``."""

    title = "The video cannot be classified"

    def __init__(self, refusal: ClipError) -> None:
        super().__init__(str(refusal))
        self.code = refusal.code
        self._status = 415 if isinstance(refusal, NotAVideo | UnsupportedContainer) else 422

    @property
    def http_status(self) -> int:
        """415 where the format is wrong, 422 where the content is."""
        return self._status

    @classmethod
    def examples(cls) -> list[Problem]:
        """One for each reason to refuse a video."""
        return [cls(refusal(refusal.__doc__)) for refusal in ClipError.__subclasses__()]


class InvalidParameter(Problem):
    """A query parameter outside its range."""

    status, code, title = 422, "invalid_parameter", "A parameter is not valid"
    detail = "A parameter is unknown, of the wrong type or outside its range."


class ModelRejected(Problem):
    """A version that breaks a rule, or does not run here; what was served before still is."""

    status, code, title = 422, "model_rejected", "The version cannot be served"
    detail = "The version breaks a rule, or does not run here; the server's log has the reason."


class QueueFull(Problem):
    """More clips wait than the server admits."""

    status, code, title = 429, "queue_full", "The server is busy"
    detail = "As many videos wait as the server admits; try again after the time in Retry-After."
    retry_after_seconds = 1

    def __init__(self, free_in_seconds: float = 0.0) -> None:
        """``free_in_seconds``: when there is room again, as far as is known. Nobody is told to wait for minutes."""
        super().__init__()
        self.retry_after_seconds = min(_LONGEST_RETRY_SECONDS, max(1, ceil(free_in_seconds)))


class InternalError(Problem):
    """A fault of the server."""


class InferenceFailed(InternalError):
    """The model raised, or gave something that is not a row of probabilities for each clip."""

    code, title = "inference_failed", "The model failed"
    detail = "The model could not process this batch of clips; the request may be repeated."


class StorageFull(Problem):
    """No room for the upload, in memory or on the disk."""

    status, code, title = 503, "storage_full", "The server has no room for the video"
    detail = "The server's temporary storage is full; try again shortly, or send a smaller video."
    retry_after_seconds = 5


class ModelUnloaded(Problem):
    """The request was inside for longer than an unload waits."""

    status, code, title = 503, "model_unloaded", "The model was unloaded"
    detail = "The model was unloaded before its answer was ready; GET /models lists what is served now."
    retry_after_seconds = 1


class NotReady(Problem):
    """Models are loading or warming up, or failed their check."""

    status, code, title = 503, "not_ready", "The server is not ready"
    detail = "The server is starting; try again shortly."
    retry_after_seconds = 5


class Draining(Problem):
    """The server is stopping and takes no new work."""

    status, code, title = 503, "draining", "The server is stopping"
    detail = "The server is stopping; send the request to another instance or again shortly."
    retry_after_seconds = 5


class DeadlineExceeded(Problem):
    """The answer was not ready in time."""

    status, code, title = 504, "deadline_exceeded", "The time for this request is over"
    detail = "No answer was ready before the deadline; the request may be repeated, or given a larger timeout_ms."


def problem_codes() -> list[str]:
    """Every code that an answer may carry, sorted."""
    return sorted({kind.code for kind in (*_below(Problem), *_below(ClipError))})


def _below(kind: type[Problem] | type[ClipError]) -> Iterator[type[Problem] | type[ClipError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
