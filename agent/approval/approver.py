"""Who approves a proposal: anybody's valid one, a person, or the rules of `autopilot.toml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.approval.policy import PolicySettings
from agent.approval.ruling import rule_on
from lab.base import InvalidInput, now
from lab.search import Permits
from lab.store import Approval, Decision, Lab, Prediction, Proposal, ProposalState, refuse_unfit

S = ProposalState
WHO: dict[Approval, str] = {"auto": "policy auto", "policy": "rules of [policy]", "manual": "person"}
OUTCOMES = {"approved": S.APPROVED, "denied": S.REJECTED, "held": S.STAGED}


@dataclass
class Approver:
    """Decides as a session was told to."""

    mode: Approval
    lab: Lab
    settings: PolicySettings | None = None
    """The rules, where the mode is `policy`."""

    def rule(self, proposal: Proposal, steps_left: int | None) -> Decision | None:
        """What becomes of a proposal, with the rule that says so; None where a person has to decide.

        Args:
            proposal: it is staged, or about to be.
            steps_left: agent steps that the session's time leaves; None without a limit.
        """
        if self.mode == "manual":
            return None
        state, why = S.APPROVED, "valid, and this session approves what is valid"
        if self.mode == "policy":
            outcome, why = rule_on(proposal, self.lab, self.settings or PolicySettings())
            state = OUTCOMES[outcome]
        if state is S.APPROVED:
            try:
                refuse_unfit(proposal, self.lab.notebook, self.lab.inventory, steps_left)
            except InvalidInput as error:
                state, why = S.SUPERSEDED, str(error)
        return Decision(time=now(), state=state, who=WHO[self.mode], why=why)

    @property
    def permits(self) -> Permits | None:
        """What the rules leave to a search; None where none are asked."""
        if self.mode != "policy" or self.settings is None:
            return None
        return Permits(self.denied, self.settings.narrowed, self.settings.max_keys)

    def denied(self, parent: str, changes: Mapping[str, Any]) -> str | None:
        """Why the rules deny a change before anybody has proposed it; None where they do not.

        Args:
            parent: the run whose config would be changed.
            changes: dotted key to new value.
        """
        run, config = self.lab.notebook.run(parent), self.lab.notebook.config(parent)
        metric = run.goal.metric
        outlook = Prediction(metric=metric, direction="same", low=0, high=0, coverage=0.5)
        proposal = Proposal(
            proposal_id="none-yet",
            created=now(),
            env_name=run.env_name,
            preset=run.preset,
            objective=run.objective,
            task=run.task.key,
            parent=parent,
            parent_config=config.fingerprint(),
            analysed=parent,
            session=None,
            arm="nobody",
            overrides=dict(changes),
            theory="",
            predictions=(outlook,),
            decisions=(Decision(time=now(), state=S.STAGED, who="nobody"),),
        )
        outcome, why = rule_on(proposal, self.lab, self.settings or PolicySettings())
        return why if outcome == "denied" else None

    @property
    def rules(self) -> tuple[str, ...]:
        """What may pass, a line each; empty where no rules are asked."""
        if self.mode != "policy" or self.settings is None:
            return ()
        lines = [entry.text for entry in self.settings.allow]
        if self.settings.max_keys is not None:
            lines.append(f"at most {self.settings.max_keys} keys at once")
        if self.settings.max_minutes is not None:
            lines.append(f"a run of at most {self.settings.max_minutes:g} minutes")
        return (*lines, "never topology or device; warm starts wait for a person")
