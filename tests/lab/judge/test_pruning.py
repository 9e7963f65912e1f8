"""Early stopping: who is judged by whom, when, and how often it was a mistake."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.base.files import append_line, write_model
from lab.judge.pruning import Peer, Watch, pruning_report, watch
from lab.space.config import Config
from lab.space.objective import Objective
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.store.records import Pruning, ReplicateResult, RunRecord, RunState
from tests.conftest import RunMaker

HORIZON = 2_000_000
QUARTER, HALF, THREE_QUARTERS = 500_000, 1_000_000, 1_500_000
GOOD = (0.003, 0.005, 0.008, 0.01, 0.02)
"""Learning rates whose made-up scores are about 0.7 to 0.9."""
HOPELESS, BEST = 0.05, 1.0

Ready = Callable[..., RunRecord]


@pytest.fixture
def ready(notebook: Notebook, config: Config) -> Ready:
    """Runs about to be trained: `ready("name", objective="perf:min")`."""

    def make(name: str = "candidate", **more: Any) -> RunRecord:
        more = {"preset": "quick", "objective": "perf:max", "arm": "offline", **more}
        return create_run(notebook, config.with_overrides(more.pop("overrides", {})), {}, run_id=name, **more)

    return make


@pytest.fixture
def peers(make_run: RunMaker) -> list[RunRecord]:
    """As many finished runs as it takes."""
    return [make_run({"train.learning_rate": rate}) for rate in GOOD]


def rescored(notebook: Notebook, run: RunRecord, objective: str) -> RunRecord:
    """A finished run as if this had been its objective: its records name another one, its numbers stay."""
    paths, summary = notebook.paths(run.run_id), notebook.summary(run.run_id)
    assert summary is not None
    metrics = {objective.partition(":")[0]: summary.metrics["perf"]}
    write_model(paths.summary, summary.model_copy(update={"metrics": metrics}))
    run = run.model_copy(update={"objective": objective})
    write_model(paths.run, run)
    notebook.index.rebuild()  # an ended run is not expected to change
    return run


def feed(watched: Watch, final: float, until: int = HORIZON, seeds: Sequence[int] | None = None) -> Pruning | None:
    """A curve like the fake runner's, replicates side by side, up to a number of steps or a verdict."""
    for steps in range(HORIZON // 20, until + 1, HORIZON // 20):
        for seed in watched.seeds if seeds is None else seeds:
            watched.saw(seed, steps, grown(final, steps))
            if found := watched.verdict():
                return found
    return None


def grown(final: float, steps: int) -> float:
    return final * (1 - math.exp(-4 * steps / HORIZON))


def made(*finals: float) -> Watch:
    """A watch over two replicates whose peers' curves are like the fake runner's."""
    rungs = (QUARTER, HALF, THREE_QUARTERS)
    found = tuple(Peer(final, {rung: grown(final, rung) for rung in rungs}) for final in finals)
    return Watch("candidate", (1, 2), HORIZON, Objective("perf", "max"), found)


# --- who is stopped ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("peers")
def test_a_hopeless_run_is_stopped_at_the_first_rung(notebook: Notebook, config: Config, ready: Ready) -> None:
    watched = watch(notebook, ready(), config)
    found = feed(watched, HOPELESS)
    assert found is not None
    assert (found.steps, found.peers, found.spared) == (QUARTER, 5, False)
    # Two log lines lie on the last fifth of the way, at 0.4 and at 0.5 million steps.
    assert found.score == pytest.approx((grown(HOPELESS, 400_000) + grown(HOPELESS, QUARTER)) / 2)
    assert 0.3 < found.median < 0.7
    assert feed(watched, BEST) == found, "what was decided stays"


@pytest.mark.usefixtures("peers")
def test_a_good_run_is_never_stopped(notebook: Notebook, config: Config, ready: Ready) -> None:
    assert feed(watch(notebook, ready(), config), BEST) is None


@pytest.mark.usefixtures("peers")
def test_a_run_that_stops_improving_is_stopped_at_a_later_rung(
    notebook: Notebook, config: Config, ready: Ready
) -> None:
    watched = watch(notebook, ready(), config)
    for steps in range(100_000, HORIZON, 100_000):
        for seed in watched.seeds:
            watched.saw(seed, steps, 0.6)
    found = watched.verdict()
    assert found is not None
    assert found.steps == HALF
    assert found.score == pytest.approx(0.6)


def test_a_run_that_was_good_once_is_not_stopped() -> None:
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)
    for rung, score in ((QUARTER, 0.9), (HALF, 0.1), (THREE_QUARTERS, 0.1)):
        for seed in watched.seeds:
            watched.saw(seed, rung, score)
    assert watched.verdict() is None, "its best score so far counts"


def test_four_peers_stop_nobody(make_run: RunMaker, notebook: Notebook, config: Config, ready: Ready) -> None:
    for rate in GOOD[1:]:
        make_run({"train.learning_rate": rate})
    notebook.fail(ready("failed").run_id, RunState.FAILED, "made up")
    ready("queued")
    assert feed(watch(notebook, ready(), config), 0.0) is None
    make_run({"train.learning_rate": GOOD[0]})
    assert feed(watch(notebook, ready("other"), config), 0.0) is not None


@pytest.mark.parametrize(
    "other",
    [{"train.total_timesteps": 2 * HORIZON}, {"train.anneal_lr": False}],
    ids=["horizon", "schedule"],
)
def test_only_runs_of_equal_length_and_schedule_are_peers(
    other: dict[str, Any], make_run: RunMaker, notebook: Notebook, config: Config, ready: Ready
) -> None:
    assert config.train["anneal_lr"] is True
    unlike, *alike = GOOD
    make_run({"train.learning_rate": unlike, **other})
    for rate in alike:
        make_run({"train.learning_rate": rate})
    assert feed(watch(notebook, ready(), config), 0.0) is None
    make_run({"train.learning_rate": unlike})
    found = feed(watch(notebook, ready("other"), config), 0.0)
    assert found is not None
    assert found.peers == 5


@pytest.mark.usefixtures("peers")
def test_only_runs_of_the_group_are_peers(notebook: Notebook, config: Config, ready: Ready) -> None:
    assert feed(watch(notebook, ready(preset="full"), config), 0.0) is None
    assert feed(watch(notebook, ready("other", objective="score:max"), config), 0.0) is None


def test_a_warm_start_neither_judges_nor_is_judged(peers: list[RunRecord], notebook: Notebook, config: Config,
                                                   ready: Ready) -> None:  # fmt: skip
    warm = {"autopilot.resume_mode": "continue"}
    assert feed(watch(notebook, ready(), config.with_overrides(warm)), 0.0) is None
    assert feed(watch(notebook, ready("fresh"), config.with_overrides({"autopilot.resume_mode": "fresh"})), 0.0)
    path = notebook.paths(peers[0].run_id).config
    write_model(path, notebook.config(peers[0].run_id).with_overrides(warm))
    assert feed(watch(notebook, ready("other"), config), 0.0) is None


def test_where_less_is_better_the_rule_is_mirrored(peers: list[RunRecord], notebook: Notebook, config: Config,
                                                   ready: Ready) -> None:  # fmt: skip
    for peer in peers:
        rescored(notebook, peer, "perf:min")
    assert feed(watch(notebook, ready(objective="perf:min"), config), HOPELESS) is None
    found = feed(watch(notebook, ready("other", objective="perf:min"), config), 1.5)
    assert found is not None
    assert found.steps == QUARTER
    assert found.score > found.median


def test_peers_are_read_in_the_units_of_the_objective(peers: list[RunRecord], notebook: Notebook, config: Config,
                                                      ready: Ready) -> None:  # fmt: skip
    """cartpole logs `perf`, 0 to 1; progress of `mean_reward` is 200 times that."""
    by_perf = feed(watch(notebook, ready(), config), 0.0)
    for peer in peers:
        rescored(notebook, peer, "mean_reward:max")
    by_reward = feed(watch(notebook, ready("other", objective="mean_reward:max"), config), 0.0)
    assert by_perf is not None
    assert by_reward is not None
    assert by_reward.median == pytest.approx(200 * by_perf.median)


def test_a_curve_that_cannot_be_read_judges_nobody(peers: list[RunRecord], notebook: Notebook, config: Config,
                                                   ready: Ready) -> None:  # fmt: skip
    notebook.paths(peers[0].run_id).seed(peers[0].seeds[0]).metrics.write_bytes(b"no Parquet")
    assert feed(watch(notebook, ready(), config), 0.0) is None
    assert notebook.damaged.keys() == {peers[0].run_id}


def test_a_run_whose_objective_was_not_measured_judges_nobody(peers: list[RunRecord], notebook: Notebook,
                                                              config: Config, ready: Ready) -> None:  # fmt: skip
    rescored(notebook, peers[0], "score:max")
    write_model(notebook.paths(peers[0].run_id).run, peers[0])
    assert feed(watch(notebook, ready(), config), 0.0) is None


# --- when --------------------------------------------------------------------------------------------------------


def test_a_replicate_that_lags_behind_delays_the_decision() -> None:
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)
    assert feed(watched, HOPELESS, seeds=[1]) is None, "one after the other: the second has not begun"
    assert feed(watched, HOPELESS, until=QUARTER - 100_000, seeds=[2]) is None
    found = feed(watched, HOPELESS, until=QUARTER, seeds=[2])
    assert found is not None
    assert found.steps == QUARTER


def test_it_is_the_mean_over_the_replicates_that_counts() -> None:
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)
    assert feed(watched, 1.8, seeds=[1]) is None
    assert feed(watched, 0.0, seeds=[2]) is None, "0.9 on average"
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)
    assert feed(watched, 1.3, seeds=[1]) is None
    assert feed(watched, 0.0, seeds=[2]) is not None, "0.65 on average"


def test_a_rung_jumped_over_is_decided_at_the_last_one_passed() -> None:
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)
    for seed in (1, 2):
        watched.saw(seed, 300_000, 0.2)
        watched.saw(seed, 1_100_000, 0.9)
    found = watched.verdict()
    assert found is not None
    assert (found.steps, found.score) == (HALF, 0.2), "0.9 was logged after the rung"


def test_a_rung_is_decided_once() -> None:
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)
    for seed in (1, 2):
        watched.saw(seed, QUARTER, 1.0)
    for steps in range(QUARTER + 1, HALF, 50_000):
        for seed in (1, 2):
            watched.saw(seed, steps, 0.0)
    assert watched.verdict() is None


def test_a_run_that_has_trained_to_its_end_is_not_stopped() -> None:
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)
    for seed in (1, 2):
        watched.saw(seed, QUARTER - 1, 0.0)
        watched.saw(seed, HORIZON, 0.0)
    assert watched.verdict() is None


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf, -math.inf])
def test_without_a_score_nothing_is_decided(nothing: float | None) -> None:
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)
    for steps in range(100_000, THREE_QUARTERS + 1, 100_000):
        watched.saw(1, steps, HOPELESS)
        watched.saw(2, steps, nothing)
    assert watched.verdict() is None, "the second replicate may be a good one"


def test_log_lines_without_a_score_are_passed_over() -> None:
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)
    for seed in (1, 2):
        watched.saw(seed, 50_000, 0.05)
        watched.saw(seed, 100_000, 0.1)
        watched.saw(seed, 450_000, math.nan)
        watched.saw(seed, QUARTER, None)
    found = watched.verdict()
    assert found is not None
    assert found.score == pytest.approx(0.1), "the last value before the rung"


def test_one_noisy_log_line_does_not_decide() -> None:
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)
    for seed in (1, 2):
        for steps in range(400_000, QUARTER, 10_000):
            watched.saw(seed, steps, 0.6)
        watched.saw(seed, QUARTER, 0.0)
    assert watched.verdict() is None


def test_peers_that_logged_nothing_by_a_rung_are_not_counted_there() -> None:
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)
    late = replace(watched.peers[0], scores={HALF: 0.5, THREE_QUARTERS: 0.6})
    watched = replace(watched, peers=(late, *watched.peers[1:]))
    found = feed(watched, HOPELESS)
    assert found is not None
    assert (found.steps, found.peers) == (HALF, 5)


@pytest.mark.parametrize("state", [RunState.FINISHED, RunState.FAILED])
@pytest.mark.usefixtures("peers")
def test_a_replicate_that_finished_before_an_interruption_has_arrived(
    state: RunState, notebook: Notebook, config: Config, ready: Ready
) -> None:
    run = ready()
    ended, waiting = run.seeds
    paths = notebook.paths(run.run_id).seed(ended)
    for steps, value in ((200_000, 0.3), (300_000, 0.4)):  # it needed no more
        append_line(paths.metrics_live, {"agent_steps": steps, "environment/perf": value})
    write_model(paths.result, ReplicateResult(seed=ended, state=state))
    watched = watch(notebook, run, config)
    assert watched.verdict() is None
    for steps in range(100_000, HALF, 100_000):
        watched.saw(waiting, steps, 0.0)
    found = watched.verdict()
    if state is RunState.FINISHED:
        assert found is not None
        assert (found.steps, found.score) == (QUARTER, 0.2)
    else:
        assert found is None, "the run has failed, and is to say so"


@pytest.mark.usefixtures("peers")
def test_a_replicate_that_finished_without_a_curve_leaves_nothing_to_judge(
    notebook: Notebook, config: Config, ready: Ready
) -> None:
    run = ready()
    result = ReplicateResult(seed=run.seeds[0], state=RunState.FINISHED)
    write_model(notebook.paths(run.run_id).seed(run.seeds[0]).result, result)
    assert feed(watch(notebook, run, config), 0.0, seeds=run.seeds[1:]) is None


scores = st.floats(-1e6, 1e6)


@settings(max_examples=60, deadline=None)
@given(
    mine=st.lists(scores, min_size=3, max_size=3),
    theirs=st.lists(st.lists(scores, min_size=3, max_size=3), max_size=9),
    sign=st.sampled_from([1, -1]),
)
def test_the_rule_is_the_median_stopping_rule(mine: list[float], theirs: list[list[float]], sign: int) -> None:
    """Against its definition: stopped where the best so far is worse than the median, never by fewer than five."""
    rungs = (QUARTER, HALF, THREE_QUARTERS)
    found = tuple(Peer(curve[-1], dict(zip(rungs, curve, strict=True))) for curve in theirs)
    watched = Watch("candidate", (1,), HORIZON, Objective("perf", "max" if sign == 1 else "min"), found)
    for rung, score in zip(rungs, mine, strict=True):
        watched.saw(1, rung, score)
    expected = None
    for at, rung in enumerate(rungs):
        best = max(sign * score for score in mine[: at + 1])
        if len(theirs) >= 5 and best < statistics.median(sign * curve[at] for curve in theirs):
            expected = rung
            break
    verdict = watched.verdict()
    assert (verdict.steps if verdict else None) == expected


# --- the spared ones, and the report -----------------------------------------------------------------------------


def test_about_a_tenth_is_spared_and_always_the_same() -> None:
    watched = made(0.6, 0.7, 0.8, 0.9, 1.0)

    def spared(name: str) -> bool:
        found = feed(replace(watched, run_id=name), 0.0, until=QUARTER)
        assert found is not None
        return found.spared

    names = [f"2025-09-20T16{number // 60:02d}{number % 60:02d}Z-k3f9" for number in range(1000)]
    chosen = [name for name in names if spared(name)]
    assert 70 <= len(chosen) <= 130  # three standard deviations of a fair draw are 28
    assert all(spared(name) for name in chosen[:10])


def pruning(*, spared: bool) -> Pruning:
    return Pruning(steps=QUARTER, score=0.1, median=0.5, peers=5, spared=spared)


def test_the_report_before_anything_happened(notebook: Notebook) -> None:
    found = pruning_report([], notebook)
    assert (found.pruned, found.spared, found.finished_spared, found.false, found.rate) == (0, 0, 0, 0, None)
    assert found.text == "No run was found hopeless."


def test_the_rate_is_unknown_until_a_spared_run_has_finished(
    make_run: RunMaker, notebook: Notebook, ready: Ready
) -> None:
    make_run()
    failed = notebook.fail(ready("failed").run_id, RunState.FAILED, "made up")
    stopped, training = notebook.fail(ready("stopped").run_id, RunState.PRUNED, "made up"), ready("training")
    one = pruning_report([(stopped, pruning(spared=False))], notebook)
    assert (one.pruned, one.spared, one.rate) == (1, 0, None)
    assert one.text.startswith("1 run was stopped early and none was spared")
    marked = [(stopped, False), (training, True), (failed, True)]
    two = pruning_report([(run, pruning(spared=spared)) for run, spared in marked], notebook)
    assert (two.pruned, two.spared, two.finished_spared, two.false, two.rate) == (1, 2, 0, 0, None)
    assert "not known" in two.text


@pytest.mark.parametrize(("direction", "false"), [("max", 1), ("min", 2)])
def test_the_rate_is_the_share_of_spared_runs_no_worse_than_the_median(
    direction: str, false: int, make_run: RunMaker, notebook: Notebook, ready: Ready
) -> None:
    """Made-up scores are about 0.9 at a learning rate of 0.01, 0.33 at 0.1 and 0.02 at 0.9."""

    def finished(rate: float) -> RunRecord:
        return rescored(notebook, make_run({"train.learning_rate": rate}), f"perf:{direction}")

    for _ in range(2):
        finished(0.1)
    marked = [
        (finished(0.01), True),
        (finished(0.9), True),
        (finished(1.0), True),
        (notebook.fail(ready("stopped", objective=f"perf:{direction}").run_id, RunState.PRUNED, "made up"), False),
    ]
    found = pruning_report([(run, pruning(spared=spared)) for run, spared in marked], notebook)
    assert (found.pruned, found.spared, found.finished_spared, found.false) == (1, 3, 3, false)
    assert found.rate == pytest.approx(false / 3)
    assert f"{false} of the 3 spared that finished ({100 * false / 3:.0f} %)" in found.text


def test_a_spared_run_at_the_median_counts_as_a_mistake(make_run: RunMaker, notebook: Notebook) -> None:
    other = make_run({"train.seed": 7})
    equal = make_run({"train.seed": 7})
    found = pruning_report([(equal, pruning(spared=True))], notebook)
    assert notebook.values(equal.run_id, "perf") == notebook.values(other.run_id, "perf")
    assert (found.false, found.rate) == (1, 1.0)


def test_a_hopeless_run_that_ended_by_itself_was_not_stopped(notebook: Notebook, ready: Ready) -> None:
    failed = notebook.fail(ready("failed").run_id, RunState.FAILED, "made up")
    found = pruning_report([(failed, pruning(spared=False))], notebook)
    assert (found.pruned, found.spared, found.rate) == (0, 0, None)
    assert found.text == "1 run looked hopeless, but ended before being stopped."


def test_runs_spared_in_an_earlier_session_are_not_what_a_spared_one_is_measured_by(
    make_run: RunMaker, notebook: Notebook
) -> None:
    good, poor = make_run({"train.learning_rate": 0.01}), make_run({"train.learning_rate": 0.1})
    for _ in range(2):
        earlier = make_run({"train.learning_rate": 0.9})
        write_model(notebook.paths(earlier.run_id).run, earlier.model_copy(update={"pruning": pruning(spared=True)}))
    found = pruning_report([(poor, pruning(spared=True))], notebook)
    assert notebook.values(good.run_id, "perf") > notebook.values(poor.run_id, "perf")
    assert (found.finished_spared, found.false) == (1, 0), "the two that scored less were spared themselves"


def test_a_spared_run_without_others_to_compare_with_is_not_counted(make_run: RunMaker, notebook: Notebook) -> None:
    alone = make_run()
    found = pruning_report([(alone, pruning(spared=True))], notebook)
    assert (found.spared, found.finished_spared, found.rate) == (1, 0, None)
