"""The page at ``/``: four files of our own, read once, nothing fetched from elsewhere."""

from collections.abc import Mapping
from importlib.resources import files

from fastapi import APIRouter, Response

_TYPES = {
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_FILES = {name: (files("app.web") / name).read_bytes() for name in _TYPES}
_PAGE = (files("app.web") / "index.html").read_text()
_LINKS = "<!-- links -->"


def page_router(links: Mapping[str, str]) -> APIRouter:
    """The page, with ``links``: path -> text."""
    router = APIRouter(include_in_schema=False)
    shown = " ".join(f'<a href="{path}">{text}</a>' for path, text in links.items())
    _add(router, "/", _PAGE.replace(_LINKS, shown).encode(), "text/html; charset=utf-8")
    for name, content_type in _TYPES.items():
        _add(router, f"/{name}", _FILES[name], content_type)
    return router


def _add(router: APIRouter, path: str, content: bytes, content_type: str) -> None:
    async def send() -> Response:
        return Response(content, headers={"Content-Type": content_type, "Cache-Control": "no-cache"})

    router.add_api_route(path, send, methods=["GET"], name=path)
