"""Sentences in the words of the offline researcher and of models, about whatever was changed."""

from typing import Any

import pytest

from benchmarks.claims import known_of
from lab.claims.checking import check
from lab.claims.reports import sections_of
from lab.judge.known import Judgement, Known
from lab.space.parameters import PARAMETERS, Parameter
from lab.store.proposal import Prediction
from lab.store.records import MetricSummary
from report.templates import render

KNOWN = known_of("breakout")
PROPOSABLE = [parameter for parameter in PARAMETERS if parameter.proposable and not parameter.key.startswith("env.")]


def said(known: Known, text: str) -> dict[str, str]:
    return {claim.quote: claim.status for claim in check(known, {"theory": text}).claims}


def changed(key: str, old: Any, new: Any) -> Known:
    """The record, with a run that differs from its parent in one key."""
    parent = KNOWN.others[str(KNOWN.run.parent)]
    before = parent.model_copy(update={"config": {**parent.config, key: old}})
    run = KNOWN.run.model_copy(update={"config": {**before.config, key: new}, "changed": {key: (old, new)}})
    return KNOWN.model_copy(update={"run": run, "others": {**KNOWN.others, before.run_id: before}})


def two_values(parameter: Parameter) -> tuple[Any, Any]:
    if parameter.kind is bool:
        return True, False
    if parameter.kind is str or parameter.choices:
        return tuple((*parameter.choices, "one", "another")[:2])
    return (32, 64) if parameter.kind is int else (0.25, 0.5)


@pytest.mark.parametrize("parameter", PROPOSABLE, ids=lambda parameter: parameter.key)
@pytest.mark.parametrize("turned", [False, True], ids=["as given", "turned round"])
def test_what_is_said_of_a_change_is_never_called_false(parameter: Parameter, turned: bool) -> None:
    old, new = reversed(two_values(parameter)) if turned else two_values(parameter)
    space = {parameter.key: {"doc": parameter.doc}}
    run = {"state": "finished", "changed_from_parent": {parameter.key: [old, new]}, "verdict": None}
    text = render(
        "offline/theory.md.j2", run=run, space=space, curves={}, noise=None, score={"n": 3}, metric="score",
        moved=[(parameter.key, old, new)], unmoved=0, ill=(),
    )  # fmt: skip
    assert parameter.key in text
    found = said(changed(parameter.key, old, new), text)
    assert "contradicted" not in found.values(), (text, found)
    if isinstance(new, float):
        wrong = text.replace("went up", "went down") if new > old else text.replace("went down", "went up")
        assert "contradicted" in said(changed(parameter.key, old, new), wrong).values(), wrong


def test_a_curve_against_its_own_peak() -> None:
    curve = KNOWN.run.curves["environment/perf"]
    lost = 100 * (1 - curve.last / curve.max.value)
    assert lost > 1
    assert said(KNOWN, f"Perf ended {lost:.1f} % below its own peak.") == {f"{lost:.1f} % below": "verified"}
    assert said(KNOWN, f"Perf ended {lost + 9:.1f} % below its peak.") == {f"{lost + 9:.1f} % below": "contradicted"}


def test_a_difference_with_its_sign() -> None:
    (effect,) = {round(verdict.effect or 0, 4) for verdict in KNOWN.run.verdicts.values()}
    text = "The difference to the incumbent, {:+}, is large against the standard error of such a difference."
    assert said(KNOWN, text.format(effect)) == {f"{effect:+}": "verified"}
    assert said(KNOWN, text.format(effect + 1)) == {f"{effect + 1:+}": "contradicted"}


def test_explained_variance_is_no_cause() -> None:
    value = KNOWN.run.curves["losses/explained_variance"].last
    found = check(KNOWN, {"observations": f"The value function explains {100 * value:.0f} % of the variance."})
    assert found.causes == ()
    assert [claim.status for claim in found.claims] == ["verified"]
    because = check(KNOWN, {"theory": "The score is better because of this; it explains the gap."})
    assert because.causes


def test_a_difference_of_rounded_values_is_no_mistake() -> None:
    """0.251267 - 0.238635 is 0.012632; the values behind them are 0.0126352 apart."""
    low, high = 0.23863450, 0.25126970
    perf = KNOWN.run.metrics["perf"].model_copy(update={"values": (low, high), "mean": (low + high) / 2})
    run = KNOWN.run.model_copy(update={"metrics": {**KNOWN.run.metrics, "perf": perf}})
    known = KNOWN.model_copy(update={"run": run})
    assert said(known, "perf: its replicates lie 0.01263 apart.")["0.01263"] == "verified"
    assert said(known, "perf: its replicates lie 0.01265 apart.")["0.01265"] == "contradicted"


ONE, TWO, THREE = 0.2545, 0.2571, 0.2613


@pytest.fixture
def scattered() -> Known:
    """The record, with three replicates of its own, an inconclusive verdict, and what was predicted of it."""
    perf = MetricSummary(
        mean=(ONE + TWO + THREE) / 3, low=0.2490928, high=0.2661738, n=3, values=(ONE, TWO, THREE), flag=None
    )
    run = KNOWN.run.model_copy(
        update={
            "metrics": {**KNOWN.run.metrics, "perf": perf},
            "derived": {**KNOWN.run.derived, "batch_size": 32_768, "minibatches": 4, "epochs": 10},
            "config": {**KNOWN.run.config, "train.minibatch_size": 8192},
            "verdicts": {name: Judgement(verdict="inconclusive", effect=0.01) for name in KNOWN.run.verdicts},
        }
    )
    foretold = Prediction(metric="perf", direction="same", low=0.185, high=0.293, coverage=0.8)
    return KNOWN.model_copy(update={"run": run, "predicted": (foretold,), "proposals": ()})


@pytest.mark.parametrize(
    ("text", "false"),
    [
        ("The batch of 32,768 splits into 4 minibatches of 8,192.", "The batch splits into 5 minibatches of 8,192."),
        ("That is 10 epochs of 32,768.", "That is 10 epochs of 16,384."),
        ("Two of three replicates exceeded 0.256.", "All three replicates exceeded 0.256."),
        ("None of the replicates exceeded 0.27.", "Two of its replicates exceeded 0.27."),
        ("perf=0.2576±0.0034 over the seeds.", None),
        ("The median replicate scored 0.2571.", None),
        ("Seed 11 did best with 0.2613.", None),
        ("The prediction interval of 0.185 to 0.293 contained the result.", None),
        ("The verdict is inconclusive.", "The verdict is better."),
        ("This is not a confirmed improvement.", "This is a confirmed improvement."),
        ("It does not become the incumbent.", "It is now the incumbent."),
        ("The difference is not statistically significant.", "The improvement is statistically significant."),
        ("perf is 0.26.", "perf is 0."),
    ],
)
def test_in_the_words_of_models(text: str, false: str | None, scattered: Known) -> None:
    assert "contradicted" not in said(scattered, text).values(), said(scattered, text)
    if false:
        assert "contradicted" in said(scattered, false).values(), said(scattered, false)


def test_a_direction_that_its_numbers_contradict() -> None:
    curve = KNOWN.run.curves["environment/perf"]
    assert curve.last > curve.first
    pair = f"from {curve.first:.4f} to {curve.last:.4f}"
    assert "contradicted" not in said(KNOWN, f"perf rose {pair} while training.").values()
    assert "contradicted" in said(KNOWN, f"perf fell {pair} while training.").values()


@pytest.mark.parametrize(
    "text",
    [
        "At {half} of training perf was 0.111, where the parent had 0.222.",
        "By 3M steps perf was 0.111.",
        "Near 40 % of its steps the curve lay behind the parent.",
        "The spread is 0.4, wider than the parent's.",
        "Slower, and patient",
        "On 11 entropy rose from 0.2 to 0.3.",
        "perf crosses 0.2 early on.",
        "With three keys moved nobody can tell which one did it, see {other}.",
        "Same as {other} with another seed, perf as before.",
        "-0.01 on {other}, which has another gamma.",
        "It is behind {other} with its entropy bonus (0.9).",
        "Sampled 812 episodes.",
    ],
)
def test_what_is_said_of_a_moment_or_of_nothing_named_is_not_called_false(text: str) -> None:
    text = text.format(half="20 %", other=KNOWN.run.parent)
    assert "contradicted" not in said(KNOWN, text).values(), said(KNOWN, text)


@pytest.mark.parametrize(
    "text", ["perf is 0.111.", "perf was 0.111 at 0.5M steps per second.", "perf fell below {other}."]
)
def test_what_is_said_of_the_end_is_called_false(text: str) -> None:
    found = said(KNOWN, text.format(other=KNOWN.run.parent))
    assert "contradicted" in found.values(), found


def test_what_a_run_is_compared_with_is_not_what_it_is_about() -> None:
    """Behind a difference, `against`, `the diff to` and `same as`."""
    run, other = KNOWN.run, KNOWN.others[str(KNOWN.run.parent)]
    mine, theirs = run.metrics["perf"].mean, other.metrics["perf"].mean
    rate = run.config["train.learning_rate"]
    for text in (
        f"perf {mine:.4f}: {mine - theirs:+.4f} on {other.run_id}",
        f"Perf {mine:.4f} against {theirs:.4f} in {other.run_id}, outside the spread of {other.run_id}",
        f"config diff to {other.run_id}: learning_rate {rate}",
    ):
        found = said(KNOWN, text)
        assert set(found.values()) == {"verified"}, (text, found)


def test_a_plan_of_a_note_says_nothing_of_now() -> None:
    """Only what it says stays as it is may be false."""
    for text, false in (
        ("## Next\n\n1. Same thing with gamma 0.9.\n2. Keep clip_coef around 0.7.", False),
        ("Next: gamma 0.9 with the rest as is.", False),
        ("## Next\n\n- gamma stays at 0.5.", True),
    ):
        found = check(KNOWN, sections_of(f"A night\n\nperf rose.\n\n{text}")).claims
        wrong = [claim.quote for claim in found if claim.status == "contradicted"]
        assert any("0.5" in quote for quote in wrong) == false, found
        assert false or not wrong, found
