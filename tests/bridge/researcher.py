"""A scripted agent from outside: takes analyses over the protocol, reads a little, reports and proposes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp import Client

THEORY = "A larger entropy bonus keeps it exploring; no change of entropy would refute that."
FORECAST = {"direction": "up", "low": 0.3, "high": 0.9, "coverage": 0.8}
REPORT = {
    "title": "What the entropy bonus does",
    "observations": ["The score is {{ run.metrics.perf }}."],
    "theory": THEORY,
    "next_step": "Another entropy bonus, to see where it stops helping.",
}


class Refused(Exception):
    """A call was refused, which most tests do not expect."""


async def told(client: "Client", name: str, **arguments: Any) -> dict[str, Any]:
    """A tool's structured answer."""
    answer = await client.call_tool(f"autopilot_{name}", arguments)
    if answer.is_error:
        raise Refused(name, answer.content)
    found: dict[str, Any] = answer.structured_content or {}
    return found


async def taken(client: "Client", **arguments: Any) -> dict[str, Any]:
    """The next analysis that is the client's, or the answer that says that the night is over."""
    while True:
        found = await told(client, "next_analysis", wait=5, **arguments)
        if found["state"] in ("yours", "over"):
            return found


async def finished(client: "Client", briefing: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
    """The answer to the call that ended an analysis: a turn passed, or these changes of the run proposed."""
    mine = {"analysis": briefing["analysis"]}
    if "no proposal is wanted" not in briefing["page"]:
        if changes is None:
            await told(client, "pass_round", **mine, reason="The optimizer knows more of it than I do.")
        else:
            more = {"parent": "current", "theory": THEORY, "expected": FORECAST}
            await told(client, "stage_proposal", **mine, changes=changes, **more)
    if "no report is wanted" in briefing["page"]:
        return {}
    return await told(client, "write_report", **mine, **REPORT)


async def a_night(
    client: "Client",
    changes: Callable[[int], dict[str, Any] | None] = lambda at: {"train.ent_coef": 0.01 + 0.01 * at},
    most: int = 100,
) -> list[dict[str, Any]]:
    """Every analysis of a session, until it is over; what was handed out.

    Args:
        client: who is connected.
        changes: the number of an analysis to what it proposes; None passes the turn.
        most: analyses after which the agent leaves.
    """
    done: list[dict[str, Any]] = []
    while len(done) < most:
        briefing = await taken(client)
        if briefing["state"] == "over":
            break
        await finished(client, briefing, changes(len(done)))
        done.append(briefing)
    return done
