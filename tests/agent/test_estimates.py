"""What a session has time for."""

from typing import Any

import pytest

from lab.config import Config
from lab.inventory import Inventory
from lab.notebook import Notebook
from lab.records import Budgets
from tests.agent.conftest import Make
from tests.lab.test_costs import Clocked
from training.run import train_run


@pytest.mark.parametrize(("again", "then"), [
    (False, None),
    (True, None),
    (False, (20, {"train.total_timesteps": 200_000})),
    (False, (4000, {"train.total_timesteps": 40_000_000, "vec.num_envs": 2})),
    (False, (4000, {"policy.hidden_size": 512})),
])  # fmt: skip
def test_a_session_has_time_for_what_runs_like_the_incumbent_take(
    make_session: Make, notebook: Notebook, inventory: Inventory, config: Config, again: bool,
    then: tuple[float, dict[str, Any]] | None,
) -> None:  # fmt: skip
    session = make_session(seeds=2, budgets=Budgets(hours=1))
    assert session.steps_left() is None  # nothing was trained yet

    def trained(overrides: dict[str, Any], runner: Clocked, replicates: int) -> None:
        made = notebook.create(
            config.with_overrides(overrides), {}, preset="quick", objective="perf:max", arm="person",
            session=session.record.session_id, replicates=replicates,
        )  # fmt: skip
        train_run(notebook, runner, inventory, made.run_id, lambda _: None)

    trained({}, Clocked(seconds=300, at_once=1, evaluation=10, again=again), 3)  # one after the other
    if then is not None:
        trained(then[1], Clocked(seconds=then[0], at_once=1, evaluation=1), 2)
    left, steps = session.steps_left(), int(config.train["total_timesteps"] or 0)
    assert left == pytest.approx(2 * (1800 - 10) / 90 * steps, rel=0.05)
