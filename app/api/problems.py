"""Failures to answers, for ours, Starlette's and FastAPI's alike: RFC 9457 ``application/problem+json``, and under ``/v2``
the error object of the Open Inference Protocol."""

import json
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.api.schemas import ProblemBody
from app.api.v2.protocol import error_body, speaks_protocol
from app.errors import InternalError, InvalidParameter, MalformedUpload, MethodNotAllowed, NotFound, Problem, problem_codes
from app.observability import metrics

MEDIA_TYPE = "application/problem+json"

CLIENT_CLOSED_REQUEST = 499
"""Nobody reads this answer; the log and the metrics do."""


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every exception that a route raises. Unforeseen ones are left to ``app.api.faults``."""
    for code in problem_codes():
        metrics.PROBLEMS.labels(code)  # a rate can be told from the first one on
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameter)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)


def problem_response(problem: Problem, request_id: str, path: str) -> Response:
    """The answer to a request to ``path`` that failed."""
    metrics.PROBLEMS.labels(problem.code).inc()
    headers = {} if problem.retry_after_seconds is None else {"Retry-After": str(problem.retry_after_seconds)}
    if problem.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if speaks_protocol(path):
        return Response(error_body(problem, request_id).model_dump_json(), problem.http_status, headers, "application/json")
    body = problem_body(problem, request_id)
    return Response(json.dumps(body.model_dump()), problem.http_status, headers, MEDIA_TYPE)


def problem_body(problem: Problem, request_id: str) -> ProblemBody:
    """The problem in the words of RFC 9457."""
    return ProblemBody(
        type=f"urn:clipserve:problem:{problem.code}",
        title=problem.title,
        status=problem.http_status,
        detail=problem.detail,
        code=problem.code,
        request_id=request_id,
    )


async def send_problem(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that reaches no route."""
    scope["state"]["problem_code"] = problem.code
    await problem_response(problem, scope["state"]["request_id"], scope["path"])(scope, receive, send)


def _answer(request: Request, problem: Problem) -> Response:
    request.state.problem_code = problem.code
    return problem_response(problem, request.state.request_id, request.scope["path"])


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(request, error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What the router raises by itself, in our words: its texts may quote the request."""
    assert isinstance(error, HTTPException)
    known: dict[int, type[Problem]] = {400: MalformedUpload, 404: NotFound, 405: MethodNotAllowed}
    response = _answer(request, known.get(error.status_code, InternalError)())
    response.headers.update(error.headers or {})
    return response


async def _on_invalid_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    complaints = (f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
    return _answer(request, InvalidParameter("; ".join(complaints)))


async def _on_disconnect(request: Request, _error: Exception) -> Response:
    request.state.problem_code = "client_closed_request"
    return Response(status_code=CLIENT_CLOSED_REQUEST)
