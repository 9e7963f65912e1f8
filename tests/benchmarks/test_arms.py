"""The measure of a search: it knows the truth, tells good searches from none, and can be lost."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.arms.equal import night as equal_night
from benchmarks.arms.left_out import RULES
from benchmarks.arms.null import is_fooled
from benchmarks.arms.replay import night, search
from benchmarks.arms.table import read_table
from benchmarks.arms.worlds import TUNED, Narrow, Pool, Surrogate
from lab.base import InvalidInput
from lab.search.arms import RaceArm, RandomArm
from lab.search.history import Ask, History
from lab.search.points import Choice, Range
from lab.space import Scale

RECORDED = Path(__file__).resolve().parents[2] / "benchmarks" / "tables" / "puffer_cartpole.csv.xz"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up task of 120 configs and 6 seeds whose score a rate and a switch decide, with noise; bounded by 1."""
    path, draw = tmp_path_factory.mktemp("tables") / "hill.csv", np.random.default_rng(0)
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(
            ["run_id", "budget", "performance", "hp_config.step", "hp_config.mix", "hp_config.norm", "seed"]
        )
        for run in range(120):
            step, mix, norm = 10 ** draw.uniform(-5, -1), draw.uniform(), bool(draw.random() < 0.5)
            level = 0.9 - 0.15 * (np.log10(step) + 2.5) ** 2 - 0.2 * (not norm)
            for seed in range(6):
                score = min(1.0, max(0.0, level + 0.1 * draw.standard_normal()))
                for budget in (100, 200):
                    writer.writerow([run, budget, score if budget == 200 else 0.0, step, mix, norm, seed])
    return path


def test_a_table_is_read_whatever_its_columns_are_called(table: Path) -> None:
    read = read_table(table, {"step": 1e-4})
    assert len(read.points) == 120
    assert {len(scores) for scores in read.scores} == {6}
    step, mix, norm = read.space.dimensions
    assert isinstance(step, Range)
    assert step.scale is Scale.LOG
    assert isinstance(mix, Range)
    assert mix.scale is Scale.LINEAR
    assert norm == Choice("norm", (False, True))
    assert read.default["step"] == pytest.approx(1e-4, rel=0.01)
    assert max(scores.max() for scores in read.scores) > 0  # the last checkpoint counts


def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path) -> None:
    header = "run_id,seed,budget,performance"
    for text in (
        *("", "a,b\n1,2\n", f"{header}\n0,0,1,1\n"),
        *(f"{header},hp_config.step\n0,0,{row}\n" for row in ("1,high,0.1", "all,1,0.1", "1,,0.1", "1,nan,0.1")),
    ):
        (tmp_path / "none.csv").write_text(text)
        with pytest.raises(InvalidInput, match="is no table of runs"):
            read_table(tmp_path / "none.csv")
    (tmp_path / "none.csv.xz").write_text("run_id")
    with pytest.raises(InvalidInput, match="is no table of runs"):
        read_table(tmp_path / "none.csv.xz")


def test_the_recorded_table_begins_with_the_preset() -> None:
    read = read_table(RECORDED)
    assert read.default["train.learning_rate"] == 0.005
    assert read.default["train.minibatch_size"] == 8192
    assert {len(scores) for scores in read.scores} == {4}
    assert 0.4 < read.scores[0].mean() < 0.6
    assert read.means.max() > 0.9


@pytest.mark.parametrize("kind", ["trees", "gp"])
def test_the_truth_of_a_surrogate_is_the_mean_of_what_it_answers(table: Path, kind: str) -> None:
    world = Surrogate(read_table(table), kind)
    assert world.r2 > 0.6
    draw = np.random.default_rng(1)
    for point in world.table.points[::20]:
        answers = world.draw(point, 4000, draw)
        assert np.mean(answers) == pytest.approx(world.mean(point), abs=0.01)
        assert 0 <= min(answers) <= max(answers) <= 1


@pytest.mark.slow
def test_what_does_nothing_ends_with_the_default_and_a_search_above_it(table: Path) -> None:
    class Nothing:
        """Trains the default over and over."""

        def propose(self, history: History, count: int) -> list[Ask]:
            return [Ask(history.trials[0].point, 1, 0)] * count

        def leader(self, history: History) -> int | None:
            return 0 if history.trials else None

    world = Surrogate(read_table(table, {"step": 2e-5}), "gp")
    default = world.truth(world.table.default)
    assert search(Nothing(), world, 20, 0, baseline=2).truth == default
    race = [search(RaceArm(), world, 40, seed).truth for seed in range(5)]
    assert np.mean(race) > default + 0.2
    assert np.mean(race) > np.mean([search(RandomArm(), world, 3, seed).truth for seed in range(5)])


def test_a_pool_gives_each_seed_once_and_keeps_the_other_half_away(table: Path) -> None:
    read = read_table(table)
    world = Pool(read, 0)
    point, draw = read.points[7], np.random.default_rng(0)
    answers = list(world.answers[7])
    assert len(answers) == 3
    assert [*world.draw(point, 2, draw), *world.draw(point, 5, draw)] == answers
    assert world.draw(point, 1, draw) == []
    ended = search(RandomArm(3), Pool(read, 1), 30, 1)
    assert ended.point in read.points
    assert 0 <= ended.truth <= 1


def test_a_narrow_world_has_a_baseline_that_most_configs_are_far_below(table: Path) -> None:
    read, draw = read_table(RECORDED), np.random.default_rng(0)
    for number in range(5):
        world = Narrow(read, number)
        assert world.truth(read.default) == pytest.approx(TUNED, abs=0.05)  # a choice moves to the middle of its share
        anywhere = [world.truth(read.space.point(draw.random(len(read.space.dimensions)))) for _ in range(50)]
        assert np.median(anywhere) < TUNED / 4
        best = read.space.places(read.default)
        best[world.matter] = world.best
        assert world.truth(read.space.point(best)) > TUNED + 0.15  # whole and power-of-two values lie beside the best
        assert all(0 <= score <= 1 for score in world.draw(read.default, 20, draw))


@pytest.mark.slow
def test_a_race_finds_something_near_a_baseline_that_is_about_right() -> None:
    """Before its first points came nearer to the baseline it ended where it had begun."""
    read = read_table(RECORDED)
    worlds = [Narrow(read, number) for number in range(100, 112)]
    ended = [search(RaceArm(), world, 40, world.night, baseline=5).truth for world in worlds]
    assert np.mean(ended) > TUNED + 0.1


@pytest.mark.slow
def test_a_night_proves_what_is_clearly_better_within_its_budget(table: Path) -> None:
    world = Surrogate(read_table(table, {"step": 2e-5, "norm": False}), "gp")
    nights = [night(RaceArm(), world, 60, seed) for seed in range(4)]
    assert all(one.used <= 60 for one in nights)
    assert sum(one.proven for one in nights) >= 3
    assert np.mean([one.truth for one in nights]) > world.truth(world.table.default) + 0.3


def test_equal_configs_fool_hardly_a_night() -> None:
    assert sum(is_fooled("normal", 1, 3, number) for number in range(200)) <= 6


def test_the_command_says_what_each_arm_ended_with(table: Path) -> None:
    command = [
        sys.executable, "-m", "benchmarks.arms", "--table", str(table), "--worlds", "gp,pool", "--repetitions", "2",
        "--budget", "30", "--arms", "night,random:1,tpe:3", "--json",
    ]  # fmt: skip
    root = Path(__file__).resolve().parents[2]
    gp, pool = json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)
    assert [one["arm"] for one in gp["arms"]] == ["night", "random:1", "tpe:3"]
    assert [one["arm"] for one in pool["arms"]] == ["random:1", "tpe:3"]
    assert 0 <= gp["luck"] <= 1
    assert gp["arms"][0]["proof"].keys() == {"named", "proven", "false", "missed"}
    refused = subprocess.run([*command, "--arms", "nobody"], cwd=root, check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "--arms nobody: no such arm" in refused.stderr


@pytest.mark.slow
def test_rules_are_chosen_on_the_other_tables_and_told_on_the_one_left_out(table: Path) -> None:
    command = [
        sys.executable, "-m", "benchmarks.arms.left_out", "--table", str(table), "--table", str(table),
        "--budget", "40", "--choosing", "1", "--telling", "2",
    ]  # fmt: skip
    root = Path(__file__).resolve().parents[2]
    one, other = json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)[
        "results"
    ]
    assert one["when choosing"].keys() == RULES.keys()
    assert len(set(one["when choosing"].values())) > 1  # the rules make a difference
    best = max(other["when choosing"], key=other["when choosing"].get)
    assert one["chosen on the others"] == other["chosen on itself"] == best
    low, mean, high = one["chosen less today's"]
    assert low <= mean <= high
    assert one["ends with"] - one["today's"] == pytest.approx(mean, abs=0.002)


@pytest.mark.slow
def test_equal_arms_are_hardly_ever_told_apart_and_by_intervals_alone_they_are() -> None:
    """Twelve nights in which configs differ and replicates hardly do: some leaders are better, and no arm is."""
    found = [equal_night("random", "little noise", "equal", number) for number in range(12)]
    said, wrong, alone = (sum(column) for column in zip(*found, strict=True))
    assert said <= 1
    assert wrong == 0
    assert alone > said
