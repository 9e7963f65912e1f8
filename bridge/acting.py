"""Tools that do something: a night begun, stopped and resumed, a policy exported, a proposal staged or decided on.

What takes longer than a few seconds is a command of the command line in a process of its own (`bridge/jobs.py`).
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from agent.approval import policy_settings, rule_on
from agent.session.night import session_to_resume
from agent.session.signals import ask_to_stop
from bridge import jobs
from bridge.analysing import MODELS, carried_out, facts_of
from bridge.analysing import Handle as Analysis
from bridge.answers import Decided, Facts, Handle, Said, Staged
from bridge.asking import (
    Settings,
    environment_of,
    options_of,
    require_an_end,
    require_weights_of_ours,
    settings_of,
)
from bridge.door import Door
from bridge.reading import Name, RunName
from lab.base import invalid, now, options_in, plain
from lab.base import settings as written
from lab.space import names
from lab.store import Approval, Decision, Proposal, ProposalState, proposal_called, require_seen
from review import decisions
from tools import Changes, Expectation, Forecast

Above0 = Annotated[float, Field(gt=0, lt=1e12, allow_inf_nan=False)]
Replicates = Annotated[int, Field(ge=1, le=64)]
HELD = "proposed from outside of a session: who may decide has to"


def start(
    door: Door,
    env: Name | None = None,
    preset: Name | None = None,
    objective: Annotated[str | None, Field(max_length=80, description="Such as perf:max.")] = None,
    hours: Annotated[float | None, Field(gt=0, le=24 * 365)] = None,
    max_runs: Annotated[int | None, Field(ge=1, le=10_000, description="Times seeds replicates, in all.")] = None,
    seeds: Replicates | None = None,
    target: Annotated[float | None, Field(allow_inf_nan=False, description="End at this score.")] = None,
    min_effect: Annotated[Above0 | None, Field(description="The smallest difference that matters.")] = None,
    approve: Annotated[Approval | None, Field(description="At most what the workspace's settings give.")] = None,
    model: Annotated[
        Literal["offline", "agent"] | None,
        Field(description="agent: whoever calls autopilot_next_analysis. Else the one that the settings name."),
    ] = None,
    settings: Settings = {},  # noqa: B006 - never changed
) -> Handle:
    """Begin a night: baseline, search over all keys, proof on fresh seeds. An interrupted one like it is resumed.

    What is not given is what autopilot.toml says. The answer is a handle; when it is done the night goes on by itself,
    and `autopilot_status` tells how it stands.
    """
    mode = approve or door.ceiling
    door.require_below(mode)
    require_an_end(door, hours=hours, max_runs=max_runs)
    given = options_of(
        preset=preset,
        objective=objective,
        hours=hours,
        max_runs=max_runs,
        seeds=seeds,
        target=target,
        min_effect=min_effect,
        approve=mode,
        model=model,
    )
    return jobs.begin(door, "start", ["start", "--detach", *environment_of(door, env), *given, *settings_of(settings)])


def resume(door: Door, session: Name | None = None) -> Handle:
    """Go on with an interrupted night, with what is left of its budgets; the latest if none is named."""
    record = session_to_resume(door.workspace, session)
    door.require_below(record.approve, "session.approve")
    return jobs.begin(door, "resume", ["resume", record.session_id, "--detach"])


def stop(
    door: Door,
    at_once: Annotated[bool, Field(description="Give up the present run; it is trained again later.")] = False,
    job: Annotated[Name | None, Field(description="Stop this job, and not the night.")] = None,
) -> Said:
    """Interrupt the night that runs once its present run is through; it can be resumed. Or stop a job."""
    return Said(said=jobs.stop(door, job) if job else ask_to_stop(door.workspace, at_once=at_once))


def export(
    door: Door, run: RunName, seed: Annotated[int | None, Field(ge=0, lt=2**63, description="Else the best.")] = None
) -> Handle:
    """Write the folder exports/RUN with which PufferLib alone plays a run's policy: weights, ini, the command."""
    return jobs.begin(door, "export", ["export", door.run(run).run_id, "--json", *options_of(seed=seed)])


def probe(
    door: Door,
    env: Name | None = None,
    preset: Name | None = None,
    minutes: Annotated[float, Field(gt=0, le=60)] = 4.0,
    save_as: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")] = "probed",
) -> Handle:
    """Measure the fastest topology for this machine and keep it as a new preset.

    Where trainings are allowed, start and result are trained too, to see that the score does not suffer.
    """
    where = environment_of(door, env)
    name = env or options_in(door.workspace, "probe").get("env") or "puffer_cartpole"
    if save_as in names(door.workspace, name):
        raise invalid("save_as", save_as, f"is a preset of {name} already", "a new name")
    check = "--check-score" if door.training else "--no-check-score"
    given = options_of(preset=preset, minutes=minutes, save_as=save_as)
    return jobs.begin(door, "probe", ["probe", "--json", check, *where, *given])


def check_config(door: Door, changes: Changes, parent: RunName = "latest") -> Facts:
    """Whether changes of a run's config would be valid: problems with the nearest valid values, or its batch."""
    require_weights_of_ours(changes)
    return Facts(facts=facts_of(door, "check_config", door.run(parent), named="parent", changes=changes))


def stage_proposal(
    door: Door,
    changes: Changes,
    theory: Annotated[str, Field(min_length=20, max_length=4000, description="A mechanism; what would refute it.")],
    expected: Forecast,
    also_expected: Annotated[list[Expectation], Field(max_length=4)] = [],  # noqa: B006 - never changed
    parent: Annotated[RunName | None, Field(description="Else latest; in an analysis incumbent.")] = None,
    analysis: Analysis | None = None,
) -> Staged:
    """Propose a run: changes to a parent's config, why, and what will happen. It waits until somebody approves it.

    No session decides on it by itself, whatever it was told to approve, and nothing gives way to it; but for what is
    staged within an analysis that you have, which the session decides on as it decides on any model's.
    """
    require_weights_of_ours(changes)
    if analysis is not None or (door.alone and door.analysis() is not None):
        return _staged_within(door, analysis, parent, changes, theory, expected, also_expected)
    parent = parent or "latest"
    context = door.full_context(door.run(parent))
    facts = MODELS["stage_proposal"](
        context, changes=changes, theory=theory, expected=expected, also_expected=also_expected, parent="current"
    )
    facts = {key: value for key, value in facts.items() if key not in ("still_owed", "proposal")}
    held = Decision(time=now(), state=ProposalState.STAGED, who=door.who, why=HELD)
    draft = context.drafts[-1]
    proposal = draft.model_copy(update={"decisions": (*draft.decisions, held)})
    door.proposals.add(proposal)
    how = f"'autopilot approve {proposal.proposal_id}' or 'autopilot reject {proposal.proposal_id} --why …'"
    said = f"{proposal.proposal_id} waits for a decision: {how}"
    return Staged(proposal=proposal.proposal_id, version=proposal.version, said=said, facts=facts)


def _staged_within(
    door: Door,
    analysis: str | None,
    parent: str | None,
    changes: dict[str, Any],
    theory: str,
    expected: Forecast,
    also_expected: list[Expectation],
) -> Staged:
    """A proposal of an analysis: kept by the session, which stages it when the analysis ends."""
    named = {} if parent is None else {"parent": door.run(parent).run_id}
    told = {"changes": changes, "theory": theory, "expected": expected, "also_expected": also_expected, **named}
    step = carried_out(door, analysis, "stage_proposal", told)
    name = str(step.facts["proposal"])
    version = door.proposals.get(name).version if step.analysis == "complete" else None
    kept = "is staged" if version else "is kept until the analysis ends"
    return Staged(proposal=name, version=version, said=f"{name} {kept}. {step.said}", facts=step.facts)


def approve(door: Door, proposal: Name, version: Name) -> Decided:
    """Approve a staged proposal, as it was when its version was read: it runs next. Recorded as this client's."""
    seen = _seen(door, proposal, version)
    lab = door.lab(seen.env_name)
    if "policy" in written(door.workspace):
        outcome, why = rule_on(seen, lab, policy_settings(door.workspace, lab.inventory.environment(seen.env_name)))
        if outcome != "approved":
            rule = f"is {outcome} by the rules of [policy]: {plain(why, 300)}"
            raise invalid("proposal", seen.proposal_id, rule, f"a person's 'autopilot approve {seen.proposal_id}'")
    return _decided(decisions.approve(lab, seen, door.who))


def reject(
    door: Door, proposal: Name, version: Name, why: Annotated[str, Field(min_length=1, max_length=1000)]
) -> Decided:
    """Reject a staged proposal, with a reason that the next analysis reads. Recorded as this client's."""
    return _decided(decisions.reject(door.proposals, _seen(door, proposal, version), door.who, why))


def train(
    door: Door,
    env: Name | None = None,
    preset: Name | None = None,
    objective: Annotated[str | None, Field(max_length=80)] = None,
    seeds: Replicates | None = None,
    settings: Settings = {},  # noqa: B006 - never changed
) -> Handle:
    """Train one config outside of a session, recorded as this client's; the handle's result is the run."""
    given = options_of(preset=preset, objective=objective, seeds=seeds, by=door.arm)
    return jobs.begin(door, "train", ["train", "--json", *environment_of(door, env), *given, *settings_of(settings)])


def confirm(door: Door, run: RunName, min_effect: Above0 | None = None) -> Handle:
    """Train a run and the incumbent on fresh seeds until it is clear whether the run takes that place.

    Recorded as this client's, where a person's confirmation is.
    """
    given = options_of(min_effect=min_effect, by=door.who)
    return jobs.begin(door, "confirm", ["confirm", door.run(run).run_id, "--json", *given])


def _seen(door: Door, proposal: str, version: str) -> Proposal:
    seen = proposal_called(door.proposals, proposal)
    require_seen(seen, version)
    return seen


def _decided(proposal: Proposal) -> Decided:
    return Decided(proposal=proposal.proposal_id, state=proposal.state.value, who=proposal.decisions[-1].who)
