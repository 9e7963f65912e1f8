"""What curves say of a training."""

from typing import Any

import pytest

from lab.judge.diagnosis import diagnose, diagnosis_of
from lab.judge.known import KnownRun
from lab.space.objective import Objective
from lab.store.curves import Extreme, Outline
from lab.store.notebook import Notebook
from lab.store.records import MetricSummary
from tests.conftest import RunMaker


def curve(
    *quarters: float, first: float | None = None, last: float | None = None, peak: float | None = None
) -> Outline:
    first, last = quarters[0] if first is None else first, quarters[-1] if last is None else last
    highest = max(*quarters, first, last) if peak is None else peak
    return Outline(first, last, Extreme(highest, 1), Extreme(min(*quarters, first, last), 1), quarters)


def run(minibatches: int = 4, metrics: dict[str, Any] | None = None, **curves: Outline) -> KnownRun:
    named = {name.replace("__", "/"): found for name, found in curves.items()}
    return KnownRun(
        run_id="r", state="finished", derived={"minibatches": minibatches}, curves=named, metrics=metrics or {},
        config={"train.max_grad_norm": 1.5},
    )  # fmt: skip


def values(*found: float, flag: str | None = None) -> MetricSummary:
    return MetricSummary(mean=sum(found) / len(found), low=None, high=None, n=len(found), values=found, flag=flag)


def names(known: KnownRun, usual: list[float] | None = None, objective: str = "perf:max") -> set[str]:
    goal = Objective.of(objective, "puffer_breakout")
    return {finding.what for finding in diagnose(known, goal, "puffer_breakout", usual or [])}


STEADY = {
    "losses__approx_kl": curve(0.01, 0.01, 0.008, 0.006), "losses__clipfrac": curve(0.15, 0.14, 0.12, 0.1),
    "losses__entropy": curve(1.0, 0.8, 0.6, 0.5, first=1.1, last=0.45),
    "losses__explained_variance": curve(0.2, 0.6, 0.8, 0.9), "losses__value_loss": curve(0.4, 0.2, 0.1, 0.1),
    "environment__perf": curve(0.1, 0.4, 0.7, 0.72, first=0.0, last=0.72),
}  # fmt: skip


def test_nothing_is_said_of_a_training_as_it_should_be() -> None:
    assert names(run(**STEADY)) == set()


@pytest.mark.parametrize(("changed", "found"), [
    ({"losses__approx_kl": curve(0.01, 0.02, 0.03, 0.05)}, "high_kl"),
    ({"losses__approx_kl": curve(1e-6, 1e-6, 1e-6, 1e-6)}, "low_kl"),
    ({"losses__clipfrac": curve(0.1, 0.2, 0.3, 0.4)}, "high_clipfrac"),
    ({"losses__entropy": curve(1.0, 0.3, 0.1, 0.02, first=1.1, last=0.01)}, "entropy_collapse"),
    ({"losses__entropy": curve(1.1, 1.1, 1.1, 1.1, first=1.1, last=1.09)}, "entropy_stall"),
    ({"losses__explained_variance": curve(0.0, -0.1, 0.0, 0.05)}, "blind_value"),
    ({"losses__value_loss": curve(0.1, 0.2, 0.4, 0.9)}, "value_loss_grows"),
    ({"losses__grad_norm": curve(1.5, 1.5, 1.5, 1.49)}, "gradients_clipped"),
    ({"environment__perf": curve(0.1, 0.2, 0.4, 0.7, first=0.0, last=0.8)}, "still_improving"),
    ({"environment__perf": curve(0.1, 0.7, 0.9, 0.9, first=0.0, last=0.9)}, "plateau"),
    ({"environment__perf": curve(0.1, 0.8, 0.9, 0.6, first=0.0, last=0.5, peak=0.95)}, "fell_back"),
])  # fmt: skip
def test_what_each_curve_says(changed: dict[str, Outline], found: str) -> None:
    assert names(run(**{**STEADY, **changed})) == {found}


def test_kl_and_clipping_mean_nothing_with_one_minibatch() -> None:
    odd = {"losses__approx_kl": curve(0.1, 0.1, 0.1, 0.1), "losses__clipfrac": curve(0.5, 0.5, 0.5, 0.5)}
    assert names(run(minibatches=1, **{**STEADY, **odd})) == set()


def test_a_minimized_objective_improves_downwards() -> None:
    falling = {"environment__episode_length": curve(90, 70, 50, 20, first=100, last=10)}
    assert names(run(**falling), objective="episode_length:min") == {"still_improving"}


def test_a_replicate_out_of_line_is_named_with_four_and_not_with_three() -> None:
    odd = diagnose(run(metrics={"perf": values(0.9, 0.91, 0.92, 0.2)}), Objective("perf", "max"), "puffer_breakout", [])
    assert [finding.what for finding in odd] == ["odd_replicate"]
    assert "0.2" in odd[0].evidence
    assert names(run(metrics={"perf": values(0.9, 0.91, 0.2)})) == set()


def test_a_slow_run_is_measured_against_runs_like_it() -> None:
    slow = run(metrics={"sps": values(50_000.0)})
    assert names(slow, [100_000.0, 101_000.0, 99_000.0]) == {"slow"}
    assert names(slow, [100_000.0, 101_000.0]) == set()


def test_a_metric_that_can_not_be_what_it_is_called() -> None:
    assert names(run(metrics={"success_rate": values(1255.0, flag="a rate of 1255")})) == {"out_of_range"}


def test_of_a_run_in_the_notebook(make_run: RunMaker, notebook: Notebook) -> None:
    for _ in range(4):
        record = make_run()
    found = diagnosis_of(notebook, record, 1)
    assert all(finding.says and finding.evidence for finding in found)
    assert "slow" not in {finding.what for finding in found}
