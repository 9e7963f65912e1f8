"""What holds when an analysis begins: worked out from the record, or read from the transcript of an earlier one."""

from collections.abc import Mapping
from typing import Any

from lab.base import Record
from lab.judge import FAILURES, PLATEAU, failures, noise_of, plateau
from lab.search import Permits, Search
from lab.store import Lab, RunRecord
from tools import ToolContext


class Outset(Record):
    """The part of a tool context that changes with each run of the group; `ToolContext` says what each field is."""

    session: str | None
    arm: str
    steps_left: int | None
    incumbent: str | None
    leader: str | None = None
    noise: tuple[float, int] | None
    report_wanted: bool = True
    proposal_wanted: bool = True
    ahead: int = 1
    failures: int = 0
    plateau: int = 0
    rules: tuple[str, ...] = ()

    @classmethod
    def now(
        cls,
        lab: Lab,
        run: RunRecord,
        session: str | None,
        arm: str,
        steps_left: int | None,
        rules: tuple[str, ...],
        *,
        ahead: int = 1,
        propose: bool = True,
    ) -> "Outset":
        """What holds now.

        Args:
            lab: where the run is.
            run: to be analysed.
            session: that has it analysed.
            arm: who analyses.
            steps_left: agent steps that the session's time leaves; None without a limit.
            rules: of the session's policy, in words.
            ahead: proposals that may be staged.
            propose: False where what was staged before is to be trained first.
        """
        notebook = lab.notebook
        runs = notebook.runs(run.group, session=session) if session else []
        own = [one for one in runs if one.state.ended and one.replicates_of is None]
        search = Search.of(lab, run.group)
        leader = search.leader.run if search and search.leader else None
        known = notebook.run(leader) if leader and notebook.readable(leader) else None
        failed, flat = failures(own), plateau(own, known)
        return cls(
            session=session,
            arm=arm,
            steps_left=steps_left,
            incumbent=notebook.incumbent(run.group),
            leader=leader,
            noise=noise_of(notebook, run.group),
            report_wanted=not notebook.workspace.run(run.run_id).report.exists(),
            proposal_wanted=propose,
            ahead=ahead,
            failures=failed if failed >= FAILURES else 0,
            plateau=flat if flat >= PLATEAU else 0,
            rules=rules,
        )

    @classmethod
    def recorded(cls, head: Mapping[str, Any]) -> "Outset":
        """What held when a transcript was begun.

        Args:
            head: the transcript's first line.
        """
        known = {key: value for key, value in head["situation"].items() if key in cls.model_fields}
        about = {"session": head["session"], "arm": head["model"], "steps_left": head["steps_left"]}
        return cls.model_validate({**known, **about})

    def context(self, lab: Lab, run: RunRecord, permits: Permits | None) -> ToolContext:
        """What the tools of the analysis share.

        Args:
            lab: where the run is.
            run: to be analysed.
            permits: what the session's policy denies.
        """
        fields = {name: getattr(self, name) for name in Outset.model_fields}
        return ToolContext(lab, run, permits=permits, **fields)
