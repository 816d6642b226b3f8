"""The page at ``/``: three files of our own, read once, nothing fetched from elsewhere."""

from importlib.resources import files

from fastapi import APIRouter, Response

router = APIRouter(include_in_schema=False)

_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_FILES = {name: (files("app.web") / name).read_bytes() for name in _TYPES}


def _add(path: str, name: str) -> None:
    async def send() -> Response:
        return Response(_FILES[name], headers={"Content-Type": _TYPES[name], "Cache-Control": "no-cache"})

    router.add_api_route(path, send, methods=["GET"], name=name)


_add("/", "index.html")
for _name in ("page.js", "page.css", "icon.svg"):
    _add(f"/{_name}", _name)
