"""A proposal as whoever decides about it sees it: the same on the terminal, on the page, and as JSON."""

import json
import math
from typing import Any

from agent.approval import PolicySettings, policy_settings, rule_on
from lab.base import AutopilotError, InvalidInput, NotFound, Record, count_of, lasting, number, plain, short
from lab.judge import expected_seconds, lessons_of
from lab.search import Range
from lab.space import Parameter, Scale, remarks, space_of
from lab.store import Decision, Lab, Notebook, Prediction, Proposal, Proposals, ProposalState, refuse_unfit
from report import effect_text, effects_in, idle_text, proposal_state, proposed_text, view_of

CITED = 8
"""Runs named in a theory that are shown, at most."""
THEORY = 20_000
"""Characters of a theory that are shown."""
LESSONS = 200
"""Lessons of a group among which those of the changed keys are looked for."""


class Change(Record):
    """One key that a proposal changes."""

    key: str
    old: str
    new: str
    value: str
    """The new value as JSON, to be edited."""
    range: str
    """The valid values, for people; empty where the key is not known here."""
    scale: str
    """The scale of the range: linear, log, logit, power of two or choice."""
    was: float | None
    """Where the old value stands in the range, from 0 to 1 on its scale; None for what is no number of a range."""
    is_now: float | None
    """Where the new value stands."""
    doc: str


class Cited(Record):
    """A run that a theory rests on."""

    run_id: str
    role: str
    """Why the run is shown: parent, analysed or cited."""
    changed: str
    score: str
    verdict: str | None


class Risk(Record):
    """The outcome that the rules would give, if they decided."""

    outcome: str
    """What the rules say: approved, held, denied; or no rules."""
    rule: str


class Waiting(Record):
    """A proposal with everything that a decision wants."""

    proposal_id: str
    version: str
    """The version that is shown: a decision names it, so that nobody decides on what they have not seen."""
    state: str
    held: bool
    arm: str
    created: str
    session: str | None
    env_name: str
    preset: str
    objective: str
    parent: str
    trains: str
    """What approving it trains: the run that it starts from, by number and name, and what it changes."""
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    """What is to be known of the changes: which do nothing under the rest, what another length costs; of an approved
    proposal, that nothing is at work that would train it."""
    sweep: str
    """What a sweep allows beside its ranges; empty where a single config is proposed."""
    theory: str
    predictions: tuple[Prediction, ...]
    predicted: tuple[str, ...]
    """The predictions in words."""
    evidence: tuple[Cited, ...]
    lessons: tuple[str, ...]
    """What changing the same keys has led to before."""
    cost: str
    seconds: float | None
    """Seconds that the run is expected to take; None while no run has been measured."""
    risk: Risk
    unfit: str | None
    """Why the proposal can't be approved as it is; None where it can."""
    history: tuple[Decision, ...]


def undecided(proposals: Proposals) -> list[Proposal]:
    """The proposals that wait for a decision, oldest first."""
    return proposals.live(ProposalState.STAGED)


def others(proposals: Proposals, proposal: Proposal) -> list[Proposal]:
    """What else waits for a decision: those that came after a proposal first, then those before it, oldest first."""
    waits = [one for one in undecided(proposals) if one.proposal_id != proposal.proposal_id]
    return sorted(waits, key=lambda one: (one.created, one.proposal_id) < (proposal.created, proposal.proposal_id))


def seen(proposal: Proposal, lab: Lab) -> Waiting:
    """A proposal with everything that a decision wants; nothing is written.

    Args:
        proposal: of any state.
        lab: where its parent is, and what is valid here.
    """
    notebook, unfit = lab.notebook, _unfit(proposal, lab)
    return Waiting(
        proposal_id=proposal.proposal_id,
        version=proposal.version,
        state=proposal_state(notebook, proposal),
        held=proposal.held,
        arm=plain(proposal.by, 100),
        created=f"{proposal.created:%Y-%m-%d %H:%M} UTC",
        session=proposal.session,
        env_name=proposal.env_name,
        preset=proposal.preset,
        objective=proposal.objective,
        parent=proposal.parent,
        trains=plain(proposed_text(notebook, proposal), 400),
        changes=_changes(proposal, lab),
        notes=() if unfit else _notes(proposal, lab),
        sweep=_sweep(proposal),
        theory=plain(proposal.theory, THEORY),
        predictions=proposal.predictions,
        predicted=tuple(map(_predicted, proposal.predictions)),
        evidence=_evidence(proposal, notebook),
        lessons=_lessons(proposal, lab),
        **_cost(proposal, notebook),
        risk=_risk(proposal, lab),
        unfit=unfit,
        history=proposal.decisions,
    )


def _notes(proposal: Proposal, lab: Lab) -> tuple[str, ...]:
    said = remarks(lab.notebook.config(proposal.parent), proposal.overrides, lab.inventory)
    return (*said, *filter(None, [idle_text(lab.notebook, proposal)]))


def _sweep(proposal: Proposal) -> str:
    if proposal.sweep is None:
        return ""
    sweep = proposal.sweep
    many = count_of(sweep.replicates, "replicate")
    return f"any config within these ranges, chosen by the arm {sweep.arm}; {many} in all"


def _changes(proposal: Proposal, lab: Lab) -> tuple[Change, ...]:
    unknown = ""
    try:
        old = lab.notebook.config(proposal.parent).flat()
    except AutopilotError:
        old, unknown = {}, "not known"
    space = space_of(lab.inventory.environment(proposal.env_name))
    if proposal.sweep is not None:
        spans = proposal.sweep.keys.items()
        return tuple(_change(key, old.get(key), span.text, space.get(key), unknown) for key, span in spans)
    return tuple(_change(key, old.get(key), new, space.get(key), unknown) for key, new in proposal.overrides.items())


def _change(key: str, old: Any, new: Any, parameter: Parameter | None, unknown: str) -> Change:
    return Change(
        key=plain(key, 100),
        old=unknown or plain(short(old), 100),
        new=plain(short(new), 100),
        value=json.dumps(new),
        range=parameter.range if parameter else "",
        scale=parameter.scale.value if parameter and (parameter.choices or parameter.kind in (int, float)) else "",
        was=_place(parameter, old),
        is_now=_place(parameter, new),
        doc=parameter.doc if parameter else "",
    )


def _place(parameter: Parameter | None, value: Any) -> float | None:
    """Where a number stands between the ends of its range."""
    if parameter is None or parameter.low is None or parameter.high is None or parameter.scale is Scale.CHOICE:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    low = parameter.low
    if parameter.scale in (Scale.LOG, Scale.POW2):
        low = max(low, 1e-6)  # a range that begins at 0 has no place for it on a logarithmic scale
    place = Range(parameter.key, low, parameter.high, parameter.scale).place(max(float(value), low))
    place = 1 - place if parameter.scale is Scale.LOGIT else place  # placed by 1 - x
    return min(1.0, max(0.0, place)) if math.isfinite(place) else None


def _predicted(prediction: Prediction) -> str:
    way = {"up": "up", "down": "down", "same": "about the same"}[prediction.direction]
    span = f"{number(prediction.low)} to {number(prediction.high)}"
    return f"{plain(prediction.metric, 60)} {way}, {span} in {100 * prediction.coverage:.0f} % of the cases"


def _evidence(proposal: Proposal, notebook: Notebook) -> tuple[Cited, ...]:
    from lab.claims import RUN_ID

    roles = {proposal.parent: "parent"}
    roles.setdefault(proposal.analysed, "analysed")
    for name in RUN_ID.findall(proposal.theory)[: 10 * CITED]:
        roles.setdefault(name, "cited")
    cited = (_cited(notebook, name, role) for name, role in roles.items())
    return tuple(one for one in cited if one is not None)[:CITED]


def _cited(notebook: Notebook, name: str, role: str) -> Cited | None:
    """A run that a theory rests on, or why it can't be shown; None for a word that is only spelt like a run's id."""
    try:
        run = notebook.run(name)
        row = view_of(notebook, run, whole=True)
    except NotFound:
        return None if role == "cited" else Cited(run_id=name, role=role, changed="?", score="is gone", verdict=None)
    except AutopilotError as error:
        why = f"can't be read: {plain(str(error), 400)}"
        return Cited(run_id=name, role=role, changed="?", score=why, verdict=None)
    score = f"{run.goal.name} {row.scored}" if row.score else row.state
    return Cited(run_id=name, role=role, changed=row.changed, score=score, verdict=row.verdict)


def _lessons(proposal: Proposal, lab: Lab) -> tuple[str, ...]:
    """What is known of the keys that a proposal changes."""
    metric, keys = proposal.goal.name, {*proposal.overrides, *(proposal.sweep.keys if proposal.sweep else ())}
    learnt = lessons_of(lab.notebook.index, proposal.group, LESSONS)
    said = [lesson.told(metric) for lesson in learnt if lesson.key in keys]
    known = effects_in(lab, proposal.group)
    effects = (*known.found, *known.together) if known else ()
    return (*(effect_text(one, proposal.goal) for one in effects if keys & {*one.keys}), *said)


def _cost(proposal: Proposal, notebook: Notebook) -> dict[str, Any]:
    try:
        config = notebook.config(proposal.parent).with_overrides(proposal.overrides)
        expected = expected_seconds(notebook, config, proposal.group, proposal.replicates)
    except (AutopilotError, ArithmeticError, TypeError, ValueError) as error:
        return {"cost": f"not known: {plain(str(error), 200)}", "seconds": None}
    if expected is None:
        return {"cost": "not known: no run has been measured here", "seconds": None}
    seeds, steps = proposal.replicates, int(config.train["total_timesteps"] or 0)
    how, runs = "very roughly " if expected.rough else "about ", len(expected.runs)
    of = f"{seeds} replicate{'s' if seeds != 1 else ''} of {steps:,} steps"
    by = f"by {runs} run{'s' if runs != 1 else ''} {'more or less ' if expected.rough else ''}like it"
    return {"cost": f"{how}{lasting(expected.seconds)} for {of}, {by}", "seconds": expected.seconds}


def _risk(proposal: Proposal, lab: Lab) -> Risk:
    try:
        settings, rules = policy_settings(lab.notebook.workspace, lab.inventory.environment(proposal.env_name)), True
    except InvalidInput:
        settings, rules = PolicySettings(prediction=False), False
    outcome, rule = rule_on(proposal, lab, settings)
    if not rules and rule.startswith("no rule allows"):
        return Risk(outcome="no rules", rule="autopilot.toml has no [policy]: a person decides, or --approve auto")
    return Risk(outcome=outcome, rule=rule)


def _unfit(proposal: Proposal, lab: Lab) -> str | None:
    try:
        refuse_unfit(proposal, lab.notebook, lab.inventory)
    except AutopilotError as error:
        return plain(str(error), 2000)
    return None
