"""The page that all routes share: the record, the templates, who decides."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, ParamSpec

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lab.base import Workspace, lasting, number, plain, short
from lab.claims import RUN_ID
from lab.space import Inventory
from lab.store import Lab, Notebook, Proposals, comments_in
from report import proposed_text
from review.guard import Guard
from review.sparks import Sparks

HERE = Path(__file__).resolve().parent
Asked = ParamSpec("Asked")


@dataclass(frozen=True)
class Page:
    """The page of one workspace, as all routes share it."""

    workspace: Workspace
    inventory_of: Callable[[str], Inventory]
    """A function from an environment's name to the inventory that has it."""
    who: str
    """The person whose decisions are recorded."""
    guard: Guard

    @cached_property
    def notebook(self) -> Notebook:
        """The notebook of the workspace; each thread has a connection of its own to the index."""
        return Notebook(self.workspace)

    @cached_property
    def proposals(self) -> Proposals:
        """The queue of proposals of the workspace."""
        return Proposals(self.workspace)

    @cached_property
    def sparks(self) -> Sparks:
        """The small curves of the workspace's runs."""
        return Sparks(self.notebook)

    def steady(self, route: Callable[Asked, Response]) -> Callable[Asked, Response]:
        """A route whose whole answer, rendering included, comes from one look at the folders."""

        @wraps(route)
        def answer(*given: Asked.args, **named: Asked.kwargs) -> Response:
            with self.notebook.index.steady():
                return route(*given, **named)

        return answer

    def lab(self, env_name: str) -> Lab:
        """The lab of the workspace, with the inventory that has an environment."""
        return Lab(self.notebook, self.inventory_of(env_name))

    @cached_property
    def templates(self) -> Environment:
        """The templates of `templates/`; everything that they are filled with is escaped."""
        loader = FileSystemLoader(HERE / "templates")
        templates = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        templates.filters.update(short=short, num=number, lasting=lasting, linked=self.linked)
        templates.filters["proposed"] = lambda proposal: plain(proposed_text(self.notebook, proposal), 400)
        templates.filters["orphaned"] = lambda proposal: (
            ""
            if self.notebook.readable(proposal.parent)
            else f"its parent run {proposal.parent} is gone or can't be read"
        )
        return templates

    def linked(self, text: str) -> Markup:
        """A text with its ids as links to what has them, runs by their numbers."""

        def link(match: re.Match[str]) -> str:
            number = self.notebook.index.number_of(match[0])
            called = match[0] if number is None else f"#{number}"
            return f'<a class="id" href="/find/{match[0]}" title="{match[0]}">{called}</a>'

        return Markup(RUN_ID.sub(link, str(escape(text))))  # noqa: S704 - escaped

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The answer that a filled template makes."""
        csrf = self.guard.signature(request.state.browser)
        values |= {"comments_on": lambda about: comments_in(self.workspace, about)}
        text = self.templates.get_template(template).render(**values, csrf=csrf, path=request.url.path)
        return HTMLResponse(text, status)

    def sorry(self, request: Request, status: int, why: str) -> HTMLResponse:
        """A page that says what is wrong, in a line."""
        return self.render(request, "sorry.html.j2", status, why=plain(why, 4000))
