"""What one run may take of a session's budget where no person approves it."""

from typing import Any

import pytest

from agent.session.shares import steps_of_a_run
from lab.base.schema import now
from lab.space.config import Config
from lab.store.notebook import Notebook
from lab.store.session import Budgets, SessionRecord
from tests.conftest import RunMaker

STEPS = 2_000_000


def session(config: Config, largest: float, **more: Any) -> SessionRecord:
    budgets = Budgets(max_runs=more.pop("max_runs", None))
    fields = {"approve": "auto", "seeds": 2, "objective": "perf:max", "preset": "quick", "model": "offline", **more}
    return SessionRecord(session_id="s", env_name=config.env_name, budgets=budgets, largest_run=largest, created=now(),
                         **fields)  # fmt: skip


@pytest.mark.parametrize(("largest", "runs", "approve", "allowed"), [
    (0.25, 20, "auto", 5 * 2 * STEPS),
    (0.25, 20, "policy", 5 * 2 * STEPS),
    (0.25, 20, "manual", None),  # a person sees what it costs
    (0.25, None, "auto", None),  # nothing to have a share of
    (1.0, 20, "auto", 20 * 2 * STEPS),
    (0.25, 2, "auto", 2 * STEPS),  # as many as the incumbent's, always
])  # fmt: skip
def test_a_run_takes_a_quarter_of_the_budget_at_most(
    notebook: Notebook, config: Config, make_run: RunMaker, largest: float, runs: int | None, approve: str,
    allowed: int | None,
) -> None:  # fmt: skip
    record = session(config, largest, max_runs=runs, approve=approve)
    run = make_run()
    assert run.task.env is not None
    assert steps_of_a_run(notebook, record, run.group, None) == allowed
