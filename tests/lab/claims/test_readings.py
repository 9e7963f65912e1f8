"""Figures that are true by what their statement speaks of: replicates, repeats, the curve, time, a difference."""

from datetime import UTC, datetime

import pytest

from benchmarks.claims import known_of
from lab.claims import check
from lab.judge import Known
from lab.judge.known import Confirmed

BREAKOUT = known_of("breakout")


@pytest.fixture
def known() -> Known:
    """The record, with two seeds' greedy policies, a short curve, a repeat of its config and the time it took."""
    perf = BREAKOUT.run.metrics["perf"]
    run = BREAKOUT.run.model_copy(
        update={
            "greedy_values": {"perf": (0.6123, 0.7345)},
            "points": {"environment/perf": ((1e6, 0.2123), (2e6, 0.4321), (8e6, 0.7413))},
            "amounts": {"run seconds": 93.2, "training seconds": 81.4, "memory MiB": 512.3},
            "started": datetime(2026, 11, 24, 1, 51, 7, tzinfo=UTC),
        }
    )
    values = (0.7011, 0.7999)
    metrics = {"perf": perf.model_copy(update={"values": values, "mean": sum(values) / 2, "n": 2})}
    repeat = run.model_copy(update={"run_id": "again", "replicates_of": run.run_id, "metrics": metrics, "seeds": (77,)})
    return BREAKOUT.model_copy(update={"run": run, "repeats": {"again": repeat}})


@pytest.mark.parametrize(
    ("text", "true", "false"),
    [
        ("greedy per seed: worst {}, best .735", ".612", ".655"),
        ("curve .21 -> .43 -> {}", ".74", ".93"),
        ("curve: {} @2M", ".432", ".212"),
        ("training took {}, 93 s in all", "81 s", "61 s"),
        ("mem peak {}", "512 MiB", "612 MiB"),
        ("pooled with the repeats: min {}", "0.7011", "0.7311"),
        ("started {}", "01:51:07", "01:52:07"),
    ],
)
def test_a_figure_is_told_by_what_its_statement_speaks_of(known: Known, text: str, true: str, false: str) -> None:
    for figure, verified in ((true, True), (false, False)):
        found = check(known, {"observations": text.format(figure)}).claims
        said = {claim.status for claim in found if figure in claim.quote or claim.quote in figure}
        assert ("verified" in said) == verified, found


def test_a_figure_of_one_digit_is_found_nowhere(known: Known) -> None:
    """Rounded so far, it would be one of any record's."""
    assert {claim.status for claim in check(known, {"observations": "once it was 0.7"}).claims} == {"unsupported"}


def test_a_line_runs_on_only_where_no_more_went_into_it(known: Known) -> None:
    rate = known.run.config["train.learning_rate"]
    text = f"clip_coef 0.2, ent_coef {known.run.config['train.ent_coef']}, grad norm 0.5\nlr {rate}"
    assert {c.quote: c.status for c in check(known, {"observations": text}).claims}[f"{rate}"] == "verified"


def test_lines_of_cells_are_a_table_with_no_rule_below_its_head_too(known: Known) -> None:
    config = known.run.config
    rate, gamma, clip = (config[f"train.{key}"] for key in ("learning_rate", "gamma", "clip_coef"))
    text = f"Beside the parent:\n\nkey | this run\nlr | {rate}\ngamma | {gamma}\nclip_coef | {clip}"
    said = {claim.quote: claim.status for claim in check(known, {"observations": text}).claims}
    assert [said[str(value)] for value in (rate, gamma, clip)] == ["verified"] * 3


def test_a_distance_in_standard_deviations_is_no_comparison_of_them(known: Known) -> None:
    found = check(known, {"observations": "3.4 sd under the baseline"}).claims
    assert "contradicted" not in {claim.status for claim in found}, found


def test_a_figure_is_told_by_its_value_only_where_nearly_no_other_would_be(known: Known) -> None:
    """Among two hundred points of a curve any figure is one: with its step it is one of a few."""
    points = tuple((1e4 * i, 0.2 + 0.003 * i) for i in range(1, 200))
    run = known.run.model_copy(update={"points": {"environment/perf": points}})
    wide = known.model_copy(update={"run": run})
    for text, figure, status in (
        ("the curve was at 0.35 then", "0.35", "unsupported"),
        ("curve: 0.35 @500K", "0.35", "verified"),
        ("curve: 0.47 @500K", "0.47", "unsupported"),
        ("the curve is past 0.5 at 1.0M", "1.0M", "verified"),
        ("the curve is past 0.5 at 1.5M", "1.5M", "unsupported"),
    ):
        said = {claim.status for claim in check(wide, {"observations": text}).claims if claim.quote == figure}
        assert said == {status}, text


def test_a_row_or_a_word_that_names_a_seed_is_about_its_curve(known: Known) -> None:
    first = tuple((1e6 * i, value) for i, value in enumerate((0.11, 0.63, 0.58), 1))
    second = tuple((1e6 * i, value) for i, value in enumerate((0.14, 0.32, 0.77), 1))
    update = {"points": {"environment/perf": (*first, *second)}, "seeds": (31, 32)}
    two = known.model_copy(update={"run": known.run.model_copy(update=update)})
    text = "| seed | peak | at | last |\n|---|---|---|---|\n| 31 | {} | 2.0M | 0.58 |\n| 32 | 0.77 | 3.0M | 0.77 |"
    for figure, verified in (("0.63", True), ("0.73", False)):
        found = check(two, {"observations": text.format(figure)}).claims
        assert "contradicted" not in {claim.status for claim in found}, found
        assert [c.status for c in found if c.quote == figure] == ["verified" if verified else "unsupported"], found
        assert {c.status for c in found if c.quote in ("2.0M", "3.0M", "0.58")} == {"verified"}, found


@pytest.mark.parametrize(
    "text",
    [
        "- up 01:51:07, down 01:58:02",
        "speed picked up from 4.6k to 7.9k by epoch 12",
        "lr {rate} -> 0.5, twice what the parent had",
        "it wobbled, epoch 46",
        "Last epoch 0.894",
        "gae_lambda 0.9 (lowest of the set)",
        "KL highest in the first epoch, 7.8e-5",
        "104 optimizer steps, double the baseline",
        "sd 0.011; under a fifth of the base sd",
        "Do\n* gamma 0.5 again\n* clip_coef at 0.9",
    ],
)
def test_what_names_no_quantity_beyond_doubt_is_not_called_false(known: Known, text: str) -> None:
    found = check(known, {"observations": text.replace("{rate}", str(known.run.config["train.learning_rate"]))}).claims
    assert "contradicted" not in {claim.status for claim in found}, found


def test_a_ratio_of_what_its_clause_names_is_judged(known: Known) -> None:
    found = check(known, {"observations": "perf is twice that of the parent"}).claims
    assert {claim.status for claim in found} == {"contradicted"}, found


def test_a_figure_at_a_moment_is_the_curve_s_then(known: Known) -> None:
    """As a share of the training or in steps; of one replicate where its seed is named, else their mean."""
    steps = (1e6, 2e6, 4e6, 8e6)
    first, second = (tuple(zip(steps, values, strict=True)) for values in ((0.1, 0.2, 0.4, 0.6), (0.3, 0.36, 0.5, 0.9)))
    assert known.run.steps is not None
    half = f"{100 * 4e6 / known.run.steps:.2f}"
    update = {"points": {"environment/perf": (*first, *second)}, "seeds": (31, 32)}
    two = known.model_copy(update={"run": known.run.model_copy(update=update)})
    for text, figure, status in (
        (f"the curve had 0.45 at {half} % of training", "0.45", "verified"),
        (f"the curve had 0.52 at {half} % of training", "0.52", "unsupported"),
        ("by 2.0M steps it was at 0.28", "0.28", "verified"),
        ("seed 32 reached 0.36 at 2.0M, then more", "0.36", "verified"),
        ("seed 32 reached 0.28 at 2.0M, then more", "0.28", "unsupported"),
    ):
        found = check(two, {"observations": text}).claims
        assert [claim.status for claim in found if claim.quote == figure] == [status], (text, found)


def test_a_list_of_figures_is_one_of_the_replicates_in_their_order(known: Known) -> None:
    perf = known.run.metrics["perf"]
    values = (0.312, 0.168, 0.447)
    metric = perf.model_copy(update={"values": values, "mean": sum(values) / 3, "n": 3})
    run = known.run.model_copy(update={"metrics": {**known.run.metrics, "perf": metric}, "seeds": (4, 5, 6)})
    three = known.model_copy(update={"run": run})
    for middle, verified in (("0.17", True), ("0.23", False)):
        found = check(three, {"observations": f"the replicates came to 0.31, {middle}, 0.45"}).claims
        assert [claim.quote for claim in found] == ["0.31", middle, "0.45"], found
        assert {claim.status for claim in found if claim.quote != "0.31"} == {"verified" if verified else "unsupported"}


def test_a_run_behind_a_comparison_is_not_what_is_spoken_of(known: Known) -> None:
    """Of whom a verdict, a loss or a count of replicates is said where another run is named in the sentence."""
    entropy = known.run.curves["losses/entropy"].last
    base = known.others[str(known.baseline)]
    perf = base.metrics["perf"]
    three = perf.model_copy(update={"values": (0.51, 0.58, 0.66), "n": 3})
    others = {**known.others, base.run_id: base.model_copy(update={"metrics": {**base.metrics, "perf": three}})}
    known = known.model_copy(update={"others": others})
    for text, status in (
        ("Against c5np the verdict is worse.", {"verified"}),
        ("Against c5np the verdict is better.", {"contradicted"}),
        (f"Entropy is {entropy:.4f} in the last point, lower than in any seed of b3kd.", {"verified"}),
        ("All three replicates of the baseline were above 0.5.", {"verified"}),
        ("All three replicates of the baseline were above 0.6.", {"contradicted"}),
        ("All six replicates of the baseline were above 0.6.", set()),
    ):
        found = check(known, {"observations": text}).claims
        assert ({claim.status for claim in found} - {"unsupported"}) == status, (text, found)


def test_what_fresh_seeds_came_to_is_found(known: Known) -> None:
    """Its difference, interval, level and outcome, and how the fresh seeds lie; in a table by what it stands under."""
    told = {
        "effect": 0.0913,
        "low": 0.0412,
        "high": 0.1387,
        "level": 0.00417,
    }
    assert known.run.number is None
    won = Confirmed(outcome="confirmed", against="2026-11-22T170655Z-c5np", **told)
    sure = known.model_copy(update={"run": known.run.model_copy(update={"confirmed": won, "number": 8})})
    for text, figure, status in (
        ("#8 was confirmed, +0.0913 on fresh seeds", "+0.0913", {"verified"}),
        ("#8 was confirmed, +0.0713 on fresh seeds", "+0.0713", {"unsupported"}),
        ("The fresh seeds' interval is 0.041 to 0.139", "0.041 to 0.139", {"verified"}),
        ("the level asked for was 0.0042", "0.0042", {"verified"}),
        ("zfy5 is the incumbent", "is the incumbent", {"verified"}),
        ("zfy5 was confirmed", "confirmed", {"verified"}),
        ("zfy5 was dropped", "dropped", set()),
    ):
        found = check(sure, {"observations": text}).claims
        assert {claim.status for claim in found if claim.quote == figure} == status, (text, found)
    table = "By {}:\n\n| config | mean |\n|---|---|\n| #8 | {} |"
    for seeds, figure, true in (("fresh seeds", "0.7505", True), ("fresh seeds", "0.7105", False)):
        found = check(sure, {"observations": table.format(seeds, figure)}).claims
        assert [claim.status == "verified" for claim in found if claim.quote == figure] == [true], found
    table = "To try, in this order:\n\n| run | gamma |\n|---|---|\n| #8 | 0.7 |"
    assert "contradicted" not in {claim.status for claim in check(sure, {"observations": table}).claims}


def test_a_moment_a_seed_and_a_switch_are_what_stands_beside_them(known: Known) -> None:
    """A moment is found by its figure, a replicate's figure by its run, a switch and a rate by a column's name."""
    steps = (1e6, 2e6, 4e6, 8e6)
    first, second = (
        tuple(zip(steps, values, strict=True)) for values in ((0.11, 0.21, 0.4, 0.6), (0.3, 0.37, 0.5, 0.9))
    )
    config = {**known.run.config, "train.compile": True}
    points = {"environment/perf": (*first, *second)}
    update = {"points": points, "seeds": (31, 32), "number": 8, "config": config}
    two = known.model_copy(update={"run": known.run.model_copy(update=update)})
    rate = known.run.config["train.learning_rate"]
    row = "| run | rate | anneal |\n|---|---|---|\n| #8 | {} | {} |"
    for text, figure, true in (
        ("the curve had 0.37 at 3.0M", "3.0M", True),
        ("the curve had 0.25 at 3.0M", "3.0M", False),
        ("seed 31 of #8 had 0.21 at 2.0M", "0.21", True),
        ("seed 32 of #8 had 0.21 at 2.0M", "0.21", False),
        ("at 2.0M it was 0.37 for seed 32 of #8", "0.37", True),
        (row.format(rate, "on"), "on", True),
        (row.format(rate, "off"), "off", False),
        (row.format(rate, "on"), str(rate), True),
        ("| run | compile |\n|---|---|\n| #8 | on |", "on", True),
        ("| run | |\n|---|---|\n| #8 | on |", "on", False),
        ("| run | - |\n|---|---|\n| #8 | on |", "on", False),
        ("The rate of wins is 0.31.", "0.31", False),
    ):
        found = check(two, {"observations": text}).claims
        assert any(c.status == "verified" for c in found if c.quote == figure) == true, (text, found)
        assert "contradicted" not in {claim.status for claim in found}, (text, found)
