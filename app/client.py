"""Send a video to a running server and print the probability of each label, and which of them are tags of the video."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from clips.errors import CommandError, UsageError

EXAMPLE = "clipserve classify lunge.mp4 --url http://127.0.0.1:8000 --top-k 3"

_BAR_WIDTH = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The video, the server, and what to ask it."""
    parser.add_argument("file", type=Path, help="the video")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="address of the server (default: %(default)s)")
    parser.add_argument("--model", help="name of the model; the server's default if absent")
    parser.add_argument("--top-k", type=int, default=5, help="how many labels; 0 for all (default: %(default)s)")
    parser.add_argument("--api-key", help="key for a server that asks for one")


def run(args: argparse.Namespace) -> None:
    """Raises: UsageError: the file or address is wrong. CommandError: no server, or it answered with a problem."""
    answer = _ask(_request(args))
    sys.stdout.write(table(answer) + "\n")


def table(answer: dict[str, Any]) -> str:
    """An answer of ``POST /classify`` as text: its tags if it has any, one line for each label, the model and the time."""
    predictions = answer["predictions"]
    width = max((len(p["label"]) for p in predictions), default=0)
    rows = [
        f"{p['label']:<{width}}  {p['probability']:6.1%}  {'█' * round(p['probability'] * _BAR_WIDTH)}" for p in predictions
    ]
    if answer.get("tags") is not None:
        rows = [f"tags: {', '.join(answer['tags']) or 'none'}", "", *rows]
    times = ", ".join(f"{stage} {ms:.0f} ms" for stage, ms in answer["times_ms"].items())
    return "\n".join([*rows, "", f"{answer['model']}/{answer['version']}: {times}"])


def _request(args: argparse.Namespace) -> Request:
    if not args.url.startswith(("http://", "https://")):
        raise UsageError("--url must start with http:// or https://")
    try:
        video = args.file.read_bytes()
    except OSError as problem:
        raise UsageError(f"{args.file} cannot be read: {problem.strerror}") from problem
    query = {"top_k": args.top_k} | ({"model": args.model} if args.model else {})
    headers = {"Content-Type": "application/octet-stream"} | ({"X-API-Key": args.api_key} if args.api_key else {})
    return Request(f"{args.url.rstrip('/')}/classify?{urlencode(query)}", video, headers)  # noqa: S310 scheme checked above


def _ask(request: Request) -> dict[str, Any]:
    try:
        with urlopen(request) as response:  # noqa: S310 scheme checked above
            answer: dict[str, Any] = json.load(response)
            return answer
    except HTTPError as problem:
        raise CommandError(_complaint(problem)) from problem
    except (URLError, OSError) as problem:
        reason = getattr(problem, "reason", problem)
        raise CommandError(f"no answer from {request.host}: {reason}; is the server running? (`clipserve serve`)") from problem


def _complaint(answer: HTTPError) -> str:
    """One line from a problem, or from whatever else answered."""
    try:
        problem = json.load(answer)
        return f"{problem['detail']} ({problem['code']})"
    except (ValueError, KeyError, TypeError):
        return f"the server answered {answer.code}; is it ClipServe?"
