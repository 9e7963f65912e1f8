"""The offline researcher: reads and proposes with no model at all, through the same interface and the same tools.

It is a fixed procedure, not a pretence of a language model: it asks the tools what an LLM would ask, takes its next
config from the search behind `suggest_configs`, of several the one that puts the diagnosis to the test
(`reasoning.py`), and puts into words what the tools returned (templates in `prompts/offline/`). All it knows comes
from the conversation: with other runs it says other things.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent.model.chat import Message, Reply, ToolCall
from agent.model.reasoning import answer, ill, open_questions, weighed
from lab.judge import NEIGHBOURHOOD, like_the_parent
from lab.space import few
from report import render

SWEPT = 60
"""Replicates of a sweep in a session without a limit."""
ASKED = 4
"""Configs that the search is asked for: of them the diagnosis picks, and the others are for when one was begun."""
SUGGESTED = 3
"""Times that the search is asked, where all its suggestions were begun by somebody else meanwhile."""


class OfflineResearcher:
    """A `ChatModel` without a model."""

    @property
    def name(self) -> str:
        """The researcher's name, as it stands in reports."""
        return "offline"

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """Make the next calls of the procedure; see `agent.model.chat.ChatModel.complete`."""
        known = _Known(messages)
        calls = _survey(known) or _details(known) or _choice(known) or _conclusion(known)
        prefix = f"call_{len(messages)}"
        made = tuple(
            ToolCall(id=f"{prefix}_{index}", name=name, arguments=json.dumps(arguments))
            for index, (name, arguments) in enumerate(calls)
        )
        return Reply(message=Message(role="assistant", tool_calls=made))


Calls = list[tuple[str, dict[str, Any]]]


class _Known:
    """What the tools have answered so far: the calls of the conversation, each with its result."""

    def __init__(self, messages: Sequence[Message]) -> None:
        asked = {call.id: call for message in messages for call in message.tool_calls}
        self.calls: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        for message in messages:
            if message.role == "tool" and message.tool_call_id in asked:
                call = asked[message.tool_call_id]
                self.calls.append((call.name, json.loads(call.arguments), json.loads(message.content)))

    def get(self, name: str, **arguments: Any) -> dict[str, Any] | None:
        """The latest result of a tool called with (at least) these arguments."""
        fits = (
            result
            for called, given, result in reversed(self.calls)
            if called == name and all(given.get(key) == value for key, value in arguments.items())
        )
        return next(fits, None)

    def refused(self) -> list[dict[str, Any]]:
        """The changes that could not be staged."""
        staged = ((given, result) for name, given, result in self.calls if name == "stage_proposal")
        return [given["changes"] for given, result in staged if "error" in result]

    def answer(self, name: str, **arguments: Any) -> dict[str, Any] | None:
        """The latest result as `get` finds it; None where the tool had to refuse: a run may be gone."""
        result = self.get(name, **arguments)
        return None if result is None or "error" in result else result


def _survey(known: _Known) -> Calls:
    """First look around."""
    if known.get("list_runs") is not None:
        return []
    return [("list_runs", {}), ("read_run", {}), ("list_proposals", {})]


def _details(known: _Known) -> Calls:
    """Look closer at what there is, after the survey."""
    if known.get("suggest_configs") is not None:
        return []
    runs, run = known.get("list_runs") or {}, known.get("read_run", run=None) or {}
    calls: Calls = []
    if run["state"] == "finished":
        others = {"parent": run["parent"], "incumbent": runs["incumbent"]}
        calls += [
            ("compare_runs", {"against": name}) for name, other in others.items() if other and other != run["run"]
        ]
    else:
        calls.append(("read_log", {"lines": 20}))
    base = "incumbent" if runs["incumbent"] else "current"
    if runs["incumbent"] not in (None, run["run"]):
        calls.append(("read_run", {"run": "incumbent"}))
    return [*calls, ("suggest_configs", {"parent": base, "count": ASKED}), ("search_space", {})]


def _choice(known: _Known) -> Calls:
    """Take the first of the search's ideas that answers the diagnosis, or else its first, and make sure it is valid.

    One that was refused when it was staged makes room for the next: while this run was looked at, others were begun.
    """
    refused, suggested = known.refused(), known.get("suggest_configs") or {}
    ordered = weighed(suggested.get("candidates", []), _open(known), _values(known), _sign(known))
    fresh = [candidate for candidate in ordered if candidate["changes"] not in refused]
    asked = [given for name, given, _ in known.calls if name == "suggest_configs"]
    if not fresh:
        return [("suggest_configs", asked[-1])] if refused and len(asked) < SUGGESTED else []
    changes = fresh[0]["changes"]
    if known.get("check_config", changes=changes) is not None:
        return []
    return [("check_config", {"parent": suggested["parent"], "changes": changes})]


def _changed(known: _Known) -> dict[str, Any]:
    """The run that the next config changes, as `read_run` tells of it."""
    run, parent = known.get("read_run", run=None) or {}, (known.get("suggest_configs") or {}).get("parent")
    if parent == run.get("run"):
        return run
    return known.answer("read_run", run="incumbent") or {}


def _values(known: _Known) -> dict[str, Any]:
    """The values that the next config changes, by key."""
    config: dict[str, Any] = _changed(known).get("config") or {}
    return config


def _open(known: _Known) -> list[Mapping[str, Any]]:
    """What is wrong with the run that the next config changes, as far as too few runs have looked into it."""
    rows = (known.get("list_runs") or {}).get("runs", [])
    return open_questions(_changed(known).get("diagnosis") or [], rows)


def _sign(known: _Known) -> int:
    return 1 if (known.get("list_runs") or {})["objective"]["direction"] == "max" else -1


def _conclusion(known: _Known) -> Calls:
    """Write the report and stage the proposal."""
    facts = _facts(known)
    prose = {
        part: render(f"offline/{part}.md.j2", **facts).strip() for part in ("title", "theory", "next_step", "idea")
    }
    observations = [line.strip() for line in render("offline/observations.md.j2", **facts).splitlines() if line.strip()]
    calls: Calls = []
    if facts["sweep"]:
        sweep = {"parent": facts["parent"], "replicates": facts["sweep"], "theory": prose["idea"]}
        calls.append(("stage_sweep", sweep))
    elif facts["changes"]:
        proposal = {
            "parent": facts["parent"],
            "changes": facts["changes"],
            "theory": prose["idea"],
            "expected": facts["prediction"],
        }
        calls.append(("stage_proposal", proposal))
    else:
        calls.append(("end_search", {"reason": prose["next_step"]}))
    report = {
        "title": prose["title"],
        "observations": observations,
        "theory": prose["theory"],
        "next_step": prose["next_step"],
    }
    return [*calls, ("write_report", report)]


def _facts(known: _Known) -> dict[str, Any]:
    """Everything the templates may use, from the tools' answers."""
    runs, run = known.get("list_runs") or {}, known.get("read_run", run=None) or {}
    checked: dict[str, Any] = next((given for name, given, _ in reversed(known.calls) if name == "check_config"), {})
    suggested = known.get("suggest_configs") or {}
    metric = runs["objective"]["metric"]
    rows = {row["run"]: row for row in runs["runs"]}
    parent = suggested.get("parent")
    changes = {} if checked.get("changes") in known.refused() else checked.get("changes", {})
    space = {item["key"]: item for item in (known.get("search_space") or {}).get("keys", [])}
    values = _values(known)
    old = {key: values[key] for key in changes if key in values}
    expected = next((c["expected"] for c in suggested.get("candidates", []) if c["changes"] == changes), None)
    rejected = [p for p in (known.get("list_proposals") or {}).get("proposals", []) if p["state"] == "rejected"]
    base = (rows.get(parent) or {}).get(metric)
    history = [row for row in runs["runs"] if metric in row]
    return {
        "metric": metric,
        "goal": runs["objective"]["direction"],
        "run": run,
        "name": runs["objective"].get("name", metric),
        "score": (score := run["metrics"].get(metric)),
        "value": score.get(runs["objective"].get("statistic", "mean")) if score else None,
        "greedy": run["greedy"].get(metric),
        "incumbent": runs["incumbent"],
        "noise": runs["noise_floor"],
        "history": history,
        "failed": [row for row in runs["runs"] if row["state"] not in ("finished", "running", "queued")],
        "parent_row": rows.get(run["parent"]),
        "against_parent": known.answer("compare_runs", against="parent"),
        "against_incumbent": known.answer("compare_runs", against="incumbent"),
        "ill": ill(run["diagnosis"])[:2],
        "moved_metrics": [one for one in run["diagnosis"] if one["name"] == "metric_moved"][:1],
        "answer": answer(_open(known), changes, old),
        "open": _open(known)[:1],
        "log": (known.get("read_log") or {}).get("lines", []),
        "rejected": [proposal for proposal in rejected if proposal["changes"]],
        "parent": parent,
        "changes": changes,
        "sweep": 0 if any("sweep" in proposal for proposal in rejected) else _sweep(suggested),
        "few": {key: changes[key] for key in few(changes)[0]},
        "more": len(changes) - len(few(changes)[0]),
        "moved": [(key, *run["changed_from_parent"][key]) for key in few(run["changed_from_parent"] or {})[0]],
        "unmoved": len(run["changed_from_parent"] or {}) - len(few(run["changed_from_parent"] or {})[0]),
        "old": old,
        "space": space,
        "expected": expected,
        "prediction": _prediction(runs["objective"], history, base, runs["noise_floor"], expected),
    }


def _sweep(suggested: dict[str, Any]) -> int:
    """Replicates of a sweep, where a person decides on each proposal and would have to be there all night; else 0.

    Who has turned one down is asked about one config at a time.
    """
    session = suggested.get("session") or {}
    if session.get("approval") != "manual" or not suggested.get("candidates"):
        return 0
    left = session.get("replicates_left")
    return SWEPT if left is None else int(left)


def _prediction(
    objective: dict[str, Any], rows: list[dict[str, Any]], base: dict[str, Any] | None, noise: dict[str, Any] | None,
    expected: dict[str, float] | None,
) -> dict[str, Any]:  # fmt: skip
    """What the search's model expects; else the parent's mean, give or take what replicates and configs differ by."""
    if expected is not None:
        low, high, mean = expected["low"], expected["high"], base["mean"] if base else expected["mean"]
        direction = "up" if low > mean else "down" if high < mean else "same"
        return {"direction": direction, "low": low, "high": high, "coverage": NEIGHBOURHOOD}
    if base is None:
        return {"direction": "same", "low": 0.0, "high": 1.0, "coverage": NEIGHBOURHOOD}
    others = [row[objective["metric"]]["mean"] for row in rows]
    sd = noise["replicate_sd"] if noise else None
    low, high = like_the_parent(base["mean"], base["n"], sd, others, rate=objective["rate"])
    return {"direction": "same", "low": low, "high": high, "coverage": NEIGHBOURHOOD}
