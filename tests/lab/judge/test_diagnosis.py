"""What curves say of a training: real ones with a known illness, made-up ones for each rule, runs of the notebook."""

import json
import lzma
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.illnesses import Recipe, found, recipes
from lab.judge import Finding, Weight, diagnose, diagnosis_of, group_diagnosis, still_rising
from lab.judge.evidence import Evidence
from lab.space import Inventory, Objective
from lab.store import Curve, Lab, MetricSummary, Notebook
from tests.conftest import RunMaker

TRAINED = Path(__file__).parents[2] / "data" / "illnesses" / "trained.jsonl.xz"
PERF = Objective("perf", "max", low=0.0, high=1.0)


def values(*found: float, flag: str | None = None) -> MetricSummary:
    return MetricSummary(mean=sum(found) / len(found), low=None, high=None, n=len(found), values=found, flag=flag)


def trained() -> dict[str, Evidence]:
    """The trainings of the recipes, by name."""
    made = {}
    for line in lzma.decompress(TRAINED.read_bytes()).decode().splitlines():
        row = json.loads(line)
        curves = {
            int(seed): {name: Curve(np.array(steps, float), np.array(of)) for name, (steps, of) in named.items()}
            for seed, named in row["curves"].items()
        }
        goal = Objective.of(row["objective"], row["env"])
        usual = {**row["config"], **row["usual"]}
        made[row["recipe"]] = Evidence(
            goal, row["logged"], row["config"], usual, {}, row["derived"], curves, {goal.metric: values(*row["scores"])}
        )
    return made


REAL, RECIPES = trained(), recipes()


def first_two(recipe: Recipe) -> bool:
    return found(recipe, diagnose(REAL[recipe.name]))


def test_of_ten_trainings_that_are_ill_the_cause_is_first_or_second_in_eight() -> None:
    ill = [recipe for recipe in RECIPES if recipe.causes]
    assert len(ill) == 10
    assert sum(map(first_two, ill)) >= 8


@pytest.mark.parametrize("recipe", [one for one in RECIPES if not one.causes], ids=lambda one: one.name)
def test_a_healthy_training_is_not_called_ill(recipe: Recipe) -> None:
    assert [one.name for one in diagnose(REAL[recipe.name]) if one.weight is Weight.ILL] == []


# --- each rule, on made-up curves ------------------------------------------------------------------------------------

STEPS = np.linspace(50_000, 2_000_000, 40)
CONFIG: dict[str, Any] = {
    "train.learning_rate": 0.005, "train.ent_coef": 0.001, "train.gamma": 0.95, "train.gae_lambda": 0.9,
    "train.clip_coef": 0.2, "train.vf_coef": 2.0, "train.vf_clip_coef": 0.2, "train.max_grad_norm": 1.5,
    "train.update_epochs": 1, "train.bptt_horizon": 32, "train.minibatch_size": 8192,
    "train.total_timesteps": 2_000_000, "train.adam_eps": 1e-12,
}  # fmt: skip
STEADY = {
    "environment/perf": (0.1, 0.6, 0.75, 0.78), "losses/approx_kl": (0.005, 0.003, 0.001, 0.0001),
    "losses/clipfrac": (0.1, 0.05, 0.01, 0.0), "losses/entropy": (0.69, 0.6, 0.5, 0.45),
    "losses/explained_variance": (0.1, 0.5, 0.7, 0.8), "losses/value_loss": (0.5, 0.3, 0.2, 0.2),
    "environment/episode_length": (20, 120, 150, 160),
}  # fmt: skip


def evidence(
    curves: dict[str, Sequence[float]] | None = None, config: dict[str, Any] | None = None, *, seeds: int = 3,
    usual: dict[str, Any] | None = None, scores: Sequence[float] = (0.78, 0.77, 0.79), **derived: float,
) -> Evidence:  # fmt: skip
    """A steady training, but for what is given: curves by their values at even distances."""
    drawn = {
        name: Curve(STEPS, np.interp(STEPS, np.linspace(STEPS[0], STEPS[-1], len(of)), of))
        for name, of in {**STEADY, **(curves or {})}.items()
    }
    arithmetic = {"minibatches": 4, "epochs": 500, "batch_size": 32768, **derived}
    return Evidence(
        PERF, "environment/perf", {**CONFIG, **(config or {})}, {**CONFIG, **(usual or {})}, {}, arithmetic,
        dict.fromkeys(range(1, seeds + 1), drawn), {"perf": values(*scores)},
    )  # fmt: skip


def ill(seen: Evidence) -> list[Finding]:
    return [one for one in diagnose(seen) if one.weight is Weight.ILL]


def test_nothing_is_wrong_with_a_training_as_it_should_be() -> None:
    assert ill(evidence()) == []


@pytest.mark.parametrize(("curves", "config", "name", "move"), [
    ({"losses/approx_kl": (0.3, 0.2, 0.1, 0.05), "losses/clipfrac": (0.6, 0.6, 0.5, 0.4)}, {},
     "updates_too_large", "learning_rate down"),
    ({"losses/approx_kl": (0.3, 0.2, 0.1, 0.05)}, {"train.update_epochs": 16},
     "updates_too_large", "update_epochs down"),
    ({"losses/approx_kl": (2e-5, 1e-5, 1e-6, 0), "losses/entropy": (0.69, 0.68, 0.67, 0.66),
      "losses/clipfrac": (0, 0)}, {}, "updates_too_small", "learning_rate up"),
    ({"losses/approx_kl": (2e-5, 1e-5, 1e-6, 0), "losses/entropy": (0.69, 0.68, 0.67, 0.66),
      "losses/clipfrac": (0, 0)}, {"train.adam_eps": 1e-3}, "updates_too_small", "adam_eps down"),
    ({"losses/clipfrac": (0.7, 0.7, 0.6, 0.5), "losses/approx_kl": (1e-4, 1e-4, 1e-4, 1e-4)},
     {"train.clip_coef": 0.003}, "clip_too_narrow", "clip_coef up"),
    ({"losses/entropy": (0.69, 0.68, 0.68, 0.67)}, {"train.ent_coef": 0.12},
     "entropy_bonus_too_large", "ent_coef down"),
    ({"losses/entropy": (0.69, 0.1, 0.005, 0.004, 0.004)}, {"train.ent_coef": 0.0}, "exploration_gone", "ent_coef up"),
    ({}, {"train.bptt_horizon": 4}, "horizon_too_short", "bptt_horizon up"),
    ({}, {"train.gamma": 0.5}, "gamma_too_low", "gamma up"),
    ({"losses/explained_variance": (0, 0.05, 0.1, 0.1)}, {"train.gamma": 0.9999}, "gamma_too_high", "gamma down"),
    ({"losses/value_loss": (9, 8, 7, 6)}, {"train.vf_coef": 10.0}, "value_loss_dominates", "vf_coef down"),
    ({"losses/explained_variance": (-0.3, -0.3, -0.3, -0.3)}, {"train.vf_coef": 0.0}, "value_blind", "vf_coef up"),
    ({}, {"env.reward_goal": 5.0}, "rewards_clamped", "reward_goal down"),
    ({"losses/grad_norm": (0.02, 0.02)}, {"train.max_grad_norm": 0.001}, "gradients_limited", "max_grad_norm up"),
])  # fmt: skip
def test_what_curves_and_config_say_together(
    curves: dict[str, Sequence[float]], config: dict[str, Any], name: str, move: str
) -> None:
    first = ill(evidence(curves, config))[0]
    assert first.name == name
    assert first.moves[0].text == move
    assert first.evidence
    assert first.meaning


@pytest.mark.parametrize("config", [
    {"train.learning_rate": 0.05}, {"train.learning_rate": 0.0005}, {"train.update_epochs": 8},
    {"train.vf_coef": 0.5}, {"train.clip_coef": 0.5}, {"train.adam_eps": 1e-5}, {"train.minibatch_size": 1024},
])  # fmt: skip
def test_an_unusual_config_whose_curves_are_fine_is_not_ill(config: dict[str, Any]) -> None:
    assert ill(evidence(config=config)) == []


def test_with_one_optimizer_step_an_update_kl_says_nothing_and_that_is_what_is_said() -> None:
    still = {"losses/approx_kl": (0.0, 0.0), "losses/clipfrac": (0.0, 0.0)}
    names = [one.name for one in ill(evidence(still, {"train.minibatch_size": 32768}, minibatches=1, epochs=62))]
    assert names[0] == "one_minibatch"
    assert "updates_too_small" not in names


def test_a_training_that_was_cut_short_is_told_from_one_of_the_usual_length() -> None:
    rising = {"environment/perf": (0.1, 0.2, 0.3, 0.4)}
    cut = evidence(rising, {"train.total_timesteps": 200_000}, epochs=60)
    assert ill(cut)[0].moves[0].text == "total_timesteps up"
    assert "training_too_short" not in [one.name for one in ill(evidence(rising))]


def test_a_collapse_says_when_and_in_how_many_replicates() -> None:
    fallen = evidence({"environment/perf": (0.1, 0.8, 0.3, 0.2)}, scores=(0.2, 0.2, 0.2))
    collapse = next(one for one in ill(fallen) if one.name == "collapse")
    assert "3 of 3 replicates peak near 7" in collapse.evidence
    assert collapse.moves[0].text == "learning_rate down"


def test_replicates_of_two_kinds_are_named() -> None:
    seen = evidence(scores=(0.9, 0.88, 0.05, 0.91, 0.04), seeds=5)
    two = next(one for one in diagnose(seen) if one.name == "two_kinds")
    assert two.weight is Weight.ILL
    assert "0.04, 0.05 of seeds 5, 3" in two.evidence


def test_a_training_that_reached_what_can_be_reached_is_not_ill_whatever_its_curves_do() -> None:
    wild = evidence({"losses/approx_kl": (0.3, 0.3)}, scores=(0.99, 0.98, 0.99))
    assert ill(wild) == []
    assert diagnose(wild)[0].name == "updates_too_large"


@given(
    perf=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6),
    other=st.lists(st.floats(0, 1e6), min_size=2, max_size=6),
    rate=st.floats(1e-6, 1.0), gamma=st.floats(0, 0.999999), seeds=st.integers(1, 5), data=st.data(),
)  # fmt: skip
def test_whatever_the_curves_are_findings_are_ranked_and_their_strength_is_a_share(
    perf: list[float], other: list[float], rate: float, gamma: float, seeds: int, data: st.DataObject
) -> None:
    curves = {"environment/perf": perf, data.draw(st.sampled_from(sorted(STEADY))): other}
    config = {"train.learning_rate": rate, "train.gamma": gamma}
    scores = data.draw(st.lists(st.floats(-1e3, 1e3), min_size=seeds, max_size=seeds))
    told = diagnose(evidence(curves, config, seeds=seeds, scores=scores))
    assert [one.weight for one in told] == sorted((one.weight for one in told), key=lambda one: one is Weight.NOTE)
    for weight in Weight:
        strengths = [one.strength for one in told if one.weight is weight]
        assert strengths == sorted(strengths, reverse=True)
    assert len({one.name for one in told}) == len(told)


def test_a_sentence_begins_large_but_for_a_metric_s_name() -> None:
    made = {"weight": Weight.NOTE, "evidence": "two of three", "strength": 0.5}
    fell = Finding(name="metric_moved", statement="mean_reward fell", metrics=("mean_reward",), **made)
    assert fell.sentence == "mean_reward fell (two of three)."
    assert Finding(name="slow", statement="it is slow", **made).sentence == "It is slow (two of three)."


# --- runs of a notebook ----------------------------------------------------------------------------------------------


def test_of_a_run_in_the_notebook(make_run: RunMaker, notebook: Notebook, inventory: Inventory) -> None:
    for _ in range(4):
        record = make_run()
    told = diagnosis_of(Lab(notebook, inventory), record)
    assert all(one.statement and one.evidence for one in told)
    assert "slow" not in {one.name for one in told}
    assert isinstance(still_rising(notebook, record), bool)


def test_of_a_group_what_its_runs_share_with_how_many(
    make_run: RunMaker, notebook: Notebook, inventory: Inventory
) -> None:
    base = make_run({"train.gamma": 0.5})
    for entropy in (0.002, 0.003):
        make_run({"train.ent_coef": entropy}, parent=base.run_id)
    told = group_diagnosis(Lab(notebook, inventory), base.group)
    assert all(" of 3 runs; baseline: " in one.evidence for one in told)


def test_what_a_session_s_runs_share_has_the_figures_of_the_run_that_it_names(
    make_run: RunMaker, notebook: Notebook, inventory: Inventory
) -> None:
    lab, mine = Lab(notebook, inventory), "2026-01-02T000000Z-abcd"
    base = make_run({"train.gamma": 0.5}, session="2026-01-01T000000Z-abcd")
    ill = {"train.minibatch_size": 32768, "train.update_epochs": 1}  # one step a batch, the fewer of them the worse
    runs = [
        make_run({**ill, "train.total_timesteps": steps}, parent=base.run_id, session=mine)
        for steps in (100_000, 300_000)
    ]
    told = group_diagnosis(lab, base.group, mine)
    assert "one_minibatch" in {one.name for one in told}
    for one in told:
        count, _, rest = one.evidence.partition("; ")
        name, _, figures = rest.partition(": ")
        assert count.endswith(" of 2 runs")
        (run,) = [run for run in runs if run.run_id == name]
        alone = {finding.name: finding.evidence for finding in diagnose(Evidence.of(lab, run))}
        assert figures == alone[one.name]
