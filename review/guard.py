"""The guard of the page: on this machine anybody may ask who can open it, from elsewhere whoever has the token.

Against other pages in the same browser: the Host has to be ours (DNS rebinding), each change has to come from our own
page (Origin, and a token in the form that is bound to a cookie), and what is shown may load and run nothing but our own
files (Content-Security-Policy).
"""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
LONGEST = 65_536
"""Bytes of a request's body, at most."""
SAFE = frozenset(("GET", "HEAD"))


@dataclass(frozen=True)
class Guard:
    """A guard that lets requests pass or refuses them."""

    port: int
    token: str = ""
    """The token that a browser from elsewhere has to bring; empty where only this machine reaches the page."""
    secret: str = field(default_factory=lambda: secrets.token_hex(32))
    """The secret of this process, which forms are signed with."""

    @property
    def cookie(self) -> str:
        """The cookie's name; cookies know no ports, so pages of two workspaces must not share one."""
        return f"autopilot-{self.port}"

    async def __call__(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse a request, or answer it with the headers that bind the browser; a middleware."""
        response = self._refused(request)
        if response is None and (given := self._brought(request)):
            response = RedirectResponse(request.url.path, status_code=303)
            self._keep(response, given)
        if response is None:
            browser = request.cookies.get(self.cookie, "")
            known = self._ours(browser)
            request.state.browser = browser if known else self._new()
            response = await call_next(request)
            if not known and not request.url.path.startswith("/static/"):
                self._keep(response, request.state.browser)
        for name, value in HEADERS.items():
            response.headers[name] = value
        if not request.url.path.startswith("/static/"):
            response.headers["Cache-Control"] = "no-store"
        return response

    def signature(self, browser: str) -> str:
        """The signature that a form has to bring along."""
        return hmac.new(self.secret.encode(), f"form {browser}".encode(), sha256).hexdigest()

    def signed(self, request: Request, signature: str) -> bool:
        """Whether a form came from a page that we gave this browser."""
        return hmac.compare_digest(self.signature(request.state.browser), signature)

    def bars(self, request: Request) -> Response | None:
        """The refusal of a program's request, which has no cookie and no form; None where it may pass.

        A program that is no browser sends no Origin. Where there is a token it comes as `Authorization: Bearer`.
        """
        if not self._is_here(request.headers.get("host", "")):
            return _no(421, "this address is not one of this server's")
        if {"origin", "sec-fetch-site"} & set(request.headers) and not self._from_here(request):
            return _no(403, "pages of other sites may not ask here")
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        known = kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token.encode())
        return None if known or not self.token else _no(401, "bring the token, as in 'Authorization: Bearer TOKEN'")

    def _refused(self, request: Request) -> Response | None:
        if not self._is_here(request.headers.get("host", "")):
            return _no(421, "this address is not one of this page's")
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > LONGEST or "transfer-encoding" in request.headers:
            return _no(413, f"a request may have {LONGEST:,} bytes")
        if request.method not in SAFE and not self._from_here(request):
            return _no(403, "only the page itself may change something")
        if self.token and not (self._ours(request.cookies.get(self.cookie, "")) or self._brought(request)):
            return _no(401, "open the address that 'autopilot web' has printed: it ends in ?token=…")
        return None

    def _is_here(self, host: str) -> bool:
        """Whether a host is an address of this machine; a name counts only where it is the machine's own."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if port not in (None, self.port):
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            own = socket.gethostname().lower()
            return name == "localhost" or (bool(self.token) and (name == own or name.startswith(f"{own}.")))
        return bool(self.token) or address.is_loopback

    def _from_here(self, request: Request) -> bool:
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site not in (None, "same-origin"):
            return False
        return origin is not None and urlsplit(origin).netloc == request.headers.get("host")

    # A browser is known by a random name that we have signed: with the token's hash where there is one, so that only
    # who has brought it gets one.

    def _new(self) -> str:
        name = secrets.token_hex(16)
        return f"{name}.{self._mark(name)}"

    def _mark(self, name: str) -> str:
        return hmac.new(self.secret.encode(), f"browser {name} {self.token}".encode(), sha256).hexdigest()[:32]

    def _ours(self, cookie: str) -> bool:
        name, _, mark = cookie.partition(".")
        return hmac.compare_digest(self._mark(name), mark)

    def _brought(self, request: Request) -> str | None:
        given = request.query_params.get("token", "")
        return self._new() if self.token and hmac.compare_digest(given.encode(), self.token.encode()) else None

    def _keep(self, response: Response, browser: str) -> None:
        response.set_cookie(self.cookie, browser, httponly=True, samesite="strict", path="/")


def _no(status: int, why: str) -> Response:
    return PlainTextResponse(f"autopilot: {why}\n", status_code=status)
