"""The door for agents. Slow imports happen where they are needed."""

from typing import Annotated

import typer


def mcp(
    context: typer.Context,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT", help="Listen there, else on standard input; but on this machine only with a token."
        ),
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="What a client from elsewhere has to bring; a new one if not given.")
    ] = None,
    allow_decisions: Annotated[
        bool, typer.Option("--allow-decisions", help="Clients may approve and reject proposals.")
    ] = False,
    allow_train: Annotated[
        bool, typer.Option("--allow-train", help="Clients may train and confirm outside of a session.")
    ] = False,
) -> None:
    """Serve this workspace to an agent, such as Claude Code or Codex, over the Model Context Protocol."""
    from bridge.door import Door
    from bridge.server import PATH, place_of, require_sdk, serve_http, serve_stdio
    from review.serve import address_of, listening

    require_sdk()
    door = Door.of(context.obj, decisions=allow_decisions, training=allow_train)
    if http is None:
        serve_stdio(door)
        return
    host, port = place_of(http)
    bound, guard = listening(host, port, token)
    address = address_of(bound, guard).partition("?")[0].rstrip("/")
    how = f"; clients bring the header 'Authorization: Bearer {guard.token}'" if guard.token else ""
    typer.echo(f"{address}{PATH} serves {context.obj.root}{how}; Ctrl-C ends it")
    serve_http(door, bound, guard)
