"""The page: a FastAPI app that renders on the server; every answer is made from the record when it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException

from lab.base.errors import AutopilotError, InvalidInput, NotFound
from lab.base.paths import Workspace
from lab.base.text import lasting, number, plain, short
from lab.claims.tokens import RUN_ID
from lab.space.inventory import Inventory
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from review.guard import Guard

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Page:
    """What all routes share."""

    workspace: Workspace
    inventory_of: Callable[[str], Inventory]
    """Takes an environment's name."""
    who: str
    """Whose decisions are recorded."""
    guard: Guard

    @cached_property
    def notebook(self) -> Notebook:
        """The workspace's; each thread has a connection of its own to the index."""
        return Notebook(self.workspace)

    @cached_property
    def proposals(self) -> Proposals:
        """The workspace's."""
        return Proposals(self.workspace)

    @cached_property
    def templates(self) -> Environment:
        """Of `templates/`; everything that they are filled with is escaped."""
        made = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        made.filters.update(short=short, num=number, lasting=lasting, linked=_linked)
        return made

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A template, filled, as an answer."""
        csrf = self.guard.signature(request.state.browser)
        text = self.templates.get_template(template).render(**values, csrf=csrf, path=request.url.path)
        return HTMLResponse(text, status)

    def sorry(self, request: Request, status: int, why: str) -> HTMLResponse:
        """A page that says what is wrong, in a line."""
        return self.render(request, "sorry.html.j2", status, why=plain(why, 4000))


def _linked(text: str) -> Markup:
    """A text with its ids as links to what has them."""
    return Markup(RUN_ID.sub(lambda found: f'<a class="id" href="/find/{found[0]}">{found[0]}</a>', str(escape(text))))  # noqa: S704 - escaped


def create_app(page: Page) -> FastAPI:
    """The app of one workspace.

    Args:
        page: what its routes share.
    """
    from review.forms import deciding
    from review.pages import charts, pages

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, default_response_class=HTMLResponse)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for router in (pages(page), charts(page), deciding(page)):
        app.include_router(router)

    @app.get("/favicon.ico")
    def _icon() -> FileResponse:
        return FileResponse(HERE / "static" / "icon.svg", media_type="image/svg+xml")

    @app.exception_handler(AutopilotError)
    def _expected(request: Request, error: AutopilotError) -> HTMLResponse:
        status = 404 if isinstance(error, NotFound) else 400 if isinstance(error, InvalidInput) else 500
        return page.sorry(request, status, str(error))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> HTMLResponse:
        return page.sorry(
            request, error.status_code, "there is no such page" if error.status_code == 404 else error.detail
        )

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> HTMLResponse:
        first = error.errors()[0]
        return page.sorry(request, 400, f"{first['loc'][-1]} = {str(first.get('input'))[:60]}: {first['msg'].lower()}")

    app.middleware("http")(page.guard)
    return app
