"""The page, served for real: uvicorn on a free port of this machine."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn

from lab.base.paths import Workspace
from lab.space.inventory import Inventory
from review.app import create_app
from review.guard import Guard
from review.page import Page
from review.serve import listening


@dataclass
class Site:
    """A page that is served, and a browser without a screen."""

    url: str
    guard: Guard
    client: httpx.Client = field(repr=False)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def form(self, path: str) -> dict[str, str]:
        """The hidden fields of a page's first form."""
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.get(path).text)[:2])

    def post(self, path: str, data: dict[str, str], **more: Any) -> httpx.Response:
        """As the page's own form does."""
        headers = {"Origin": self.url, "Sec-Fetch-Site": "same-origin", **more.pop("headers", {})}
        return self.client.post(path, data=data, headers=headers, **more)


Serve = Callable[..., Site]


@pytest.fixture
def serve(workspace: Workspace, inventory: Inventory) -> Iterator[Serve]:
    """Begins to serve the workspace: `serve(host="0.0.0.0", token=...)`."""
    servers: list[tuple[uvicorn.Server, threading.Thread, httpx.Client]] = []

    def begin(host: str = "127.0.0.1", token: str | None = None) -> Site:
        bound, guard = listening(host, 0, token)
        page = Page(workspace, lambda _: inventory, "person ada, web", guard)
        server = uvicorn.Server(uvicorn.Config(create_app(page), log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{guard.port}"
        client = httpx.Client(base_url=url, timeout=60)
        servers.append((server, thread, client))
        return Site(url, guard, client)

    yield begin
    for server, thread, client in servers:
        client.close()
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def site(serve: Serve) -> Site:
    """On loopback."""
    return serve()
