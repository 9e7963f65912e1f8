"""A night of three runs driven by an agent from outside: `make demo-mcp` (about two minutes).

A client process of the official SDK starts `autopilot mcp`, begins a night over it, takes each analysis, proposes and
reports. The agent is a script of thirty lines in place of a language model, so that it costs nothing.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters, stdio_client, types

SETTINGS = """[start]
approve = "auto"      # a client may begin a night whose valid proposals are trained
model_share = 1.0     # and all of its new configs are the agent's
confirm = "none"
"""
NIGHT = {
    "env": "puffer_cartpole", "model": "agent", "seeds": 1, "max_runs": 7,
    "settings": {"train.total_timesteps": 300_000},
}  # fmt: skip
IDEAS: list[tuple[dict[str, Any], str]] = [
    ({"train.ent_coef": 0.01}, "Exploration ends early: a larger bonus keeps entropy up, else this is refuted."),
    ({"train.minibatch_size": 4096}, "Too few optimizer steps: twice as many raise the score, or this is refuted."),
]


class Refused(Exception):
    """A call was refused."""


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def short(value: Any) -> str:
    """A value on one line of a terminal."""
    text = " ".join(str(value).split())
    return text if len(text) <= 110 else f"{text[:109]}…"


async def call(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    """A tool's answer; what was asked is printed."""
    shown = {key: value for key, value in arguments.items() if key not in ("theory", "expected")}
    say(f"→ {name} {short(shown or '')}")
    answer = await client.call_tool(f"autopilot_{name}", arguments)
    if answer.is_error or answer.structured_content is None:
        say(f"  refused: {answer.content[0].text}")  # type: ignore[union-attr]
        raise Refused
    found: dict[str, Any] = answer.structured_content
    return found


async def analyse(client: Client, briefing: dict[str, Any], ideas: list[tuple[dict[str, Any], str]]) -> None:
    """One analysis: a look at the run, a proposal, a report."""
    mine = {"analysis": briefing["analysis"]}
    run = await call(client, "run", run="current")
    score = run["run"]["score"]
    worst = run["diagnosis"][0]["statement"] if run["diagnosis"] else "nothing stands out"
    seen = f"{score['mean']:.3g} (n={score['n']})" if score else run["run"]["state"]
    say(f"  {run['run']['name']}: {seen}; {short(worst)}")
    theory = "The optimizer's model knows more of this than one more guess would; the next score tells."
    if "no proposal is wanted" not in briefing["page"]:
        if ideas:
            changes, theory = ideas.pop(0)
            expected = {"direction": "up", "low": 0.1, "high": 0.9, "coverage": 0.8}
            told = {"parent": "incumbent", "changes": changes, "theory": theory, "expected": expected}
            say(f"  {short((await call(client, 'stage_proposal', **mine, **told))['said'])}")
        else:
            say(f"  {short((await call(client, 'pass_round', **mine, reason=theory))['said'])}")
    if "no report is wanted" in briefing["page"]:
        return
    report = {
        "title": f"What {run['run']['name']} came to",
        "observations": ["The score is {{ run.metrics.perf }}.", worst],
        "theory": theory,
        "next_step": "Train what was staged, and compare the two.",
    }
    done = await call(client, "write_report", **mine, **report)
    say(f"  claims {done['facts']['claims']}. {done['said']}")


async def night(workspace: Path) -> None:
    """A night through a server in a process of its own."""
    autopilot = str(Path(sys.executable).with_name("autopilot"))
    server = StdioServerParameters(command=autopilot, args=["--workspace", str(workspace), "mcp"], env=dict(os.environ))
    about = types.Implementation(name="demo", version="1")
    async with Client(stdio_client(server), client_info=about) as client:
        handle = await call(client, "start", **NIGHT)
        while handle["state"] == "running":  # it measures how fast this machine trains, for the plan
            await anyio.sleep(5)
            handle = await call(client, "job", job=handle["job"])
        say(f"  {handle['state']}: {short(handle['said'] or handle['result'])}")
        ideas = list(IDEAS)
        while (briefing := await call(client, "next_analysis", wait=40))["state"] != "over":
            say(f"  {short(briefing['said'])}")
            if briefing["state"] == "yours":
                await analyse(client, briefing, ideas)
        say(f"  {briefing['said']}")
        digest = await call(client, "digest")
        say(f"  {digest['headline']['text']}")


def main() -> None:
    """The demo in a workspace of its own, which is kept."""
    workspace = Path(tempfile.mkdtemp(prefix="autopilot-demo-"))
    (workspace / "autopilot.toml").write_text(SETTINGS, encoding="utf-8")
    try:
        anyio.run(night, workspace)
    except* Refused:  # which was printed
        sys.exit(1)
    say(f"\nIts reports: {workspace}/runs/*/report.md")


if __name__ == "__main__":
    main()
