"""`autopilot web`: the page on an address of this machine, until it is stopped."""

import errno
import ipaddress
import secrets
import socket

import uvicorn

from lab.base import AutopilotError, invalid
from review.app import create_app
from review.guard import Guard
from review.page import Page

SHORTEST = 16
"""Characters of a token of a person's own, at least."""


def listening(host: str, port: int, token: str | None) -> tuple[socket.socket, Guard]:
    """A socket that is bound, and who may ask.

    Args:
        host: an address, or `localhost`.
        port: 0 for a free one.
        token: what browsers from elsewhere have to bring; a new one where it is needed and not given.

    Raises:
        InvalidInput: it is no address of this machine, or the token is too short.
        AutopilotError: the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise invalid(
            "host", host, f"is no address ({error})", "127.0.0.1, or 0.0.0.0 for all of this machine"
        ) from None
    if token is not None and len(token) < SHORTEST:
        raise invalid("token", "…", f"has {len(token)} characters", f"{SHORTEST} or more, or none for a new one")
    if not ipaddress.ip_address(address[0]).is_loopback:
        token = token or secrets.token_urlsafe(24)
    bound = socket.socket(family, kind, protocol)  # without it asyncio leaves Nagle's delay of 40 ms on
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(128)
    except PermissionError:
        raise invalid("port", port, "is only for the system", "a port from 1024 on, such as 8321") from None
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise invalid(
                "host", host, "is no address of this machine", "127.0.0.1, or 0.0.0.0 for all of it"
            ) from None
        raise AutopilotError(
            f"port {port} of {host} can't be had ({error.strerror}): another one with --port"
        ) from None
    return bound, Guard(bound.getsockname()[1], token or "")


def address_of(bound: socket.socket, guard: Guard) -> str:
    """The address that a browser opens."""
    name, port = bound.getsockname()[:2]
    if ipaddress.ip_address(name).is_unspecified:
        name = _outward()
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/{f'?token={guard.token}' if guard.token else ''}"


def _outward() -> str:
    """The address under which other machines are likely to know this one; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # kept for documentation (RFC 5737): nobody has it
        except OSError:
            return socket.gethostname()
        return str(asking.getsockname()[0])


def serve(page: Page, bound: socket.socket) -> None:
    """Answer requests until a signal ends the server.

    Args:
        page: what there is to show.
        bound: the socket that it listens on.
    """
    config = uvicorn.Config(
        create_app(page),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        limit_concurrency=200,
        h11_max_incomplete_event_size=65_536,
    )
    uvicorn.Server(config).run(sockets=[bound])
