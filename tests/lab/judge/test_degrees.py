"""How inconclusive a run is, by the noise floor of its group."""

from itertools import pairwise
from statistics import fmean

import pytest
from scipy.stats import t

from lab.judge.degrees import ORDER, degree_of, words_of
from lab.judge.stopping import scores_of
from lab.judge.verdicts import noise_of
from lab.store.notebook import Notebook
from report.view import view_of
from tests.conftest import Cli, RunMaker


@pytest.fixture
def group(make_run: RunMaker) -> RunMaker:
    """A baseline of five replicates, whose spread says what noise is."""
    base = make_run({"autopilot.seeds": 5})

    def make(overrides: dict[str, object], **more: object):  # type: ignore[no-untyped-def]  # noqa: ANN202
        return make_run({"autopilot.seeds": 1, **overrides}, parent=base.run_id, **more)

    return make


def test_a_single_replicate_has_a_degree(group: RunMaker, notebook: Notebook, cli: Cli) -> None:
    near, far, bad = (group({"train.learning_rate": rate}) for rate in (0.0051, 0.01, 0.00002))
    words = {run.run_id: degree_of(notebook, notebook.run(run.run_id)) for run in (near, far, bad)}
    assert words[bad.run_id].word == "hopeless"  # type: ignore[union-attr]
    assert words[near.run_id].word == "undecided"  # type: ignore[union-attr]
    assert words[far.run_id].word in ("promising", "undecided")  # type: ignore[union-attr]
    assert view_of(notebook, notebook.run(bad.run_id)).judged == "hopeless"
    assert "hopeless" in cli("runs").out


def test_it_is_students_test_with_the_pooled_noise(group: RunMaker, notebook: Notebook) -> None:
    run = group({"train.learning_rate": 0.007})
    degree, (noise, freedom) = degree_of(notebook, run), noise_of(notebook, run.group) or (0.0, 0)
    incumbent = notebook.incumbent(run.group)
    assert incumbent is not None
    theirs, mine = scores_of(notebook, incumbent), notebook.values(run.run_id, "perf")
    gain = fmean(mine) - fmean(theirs)
    error = noise * (1 / len(mine) + 1 / len(theirs)) ** 0.5
    assert degree is not None
    assert degree.p == pytest.approx(t.sf(gain / error, freedom))
    assert degree.within == pytest.approx(abs(gain) + error * t.ppf(0.975, freedom))


def test_what_lies_within_what_matters_is_no_different(group: RunMaker, notebook: Notebook) -> None:
    run = group({"train.learning_rate": 0.0051})
    degree = degree_of(notebook, run, min_effect=0.9)
    assert degree is not None
    assert (degree.word, degree.text) == ("no different", f"no different within {degree.within:.2g}")


def test_the_incumbent_and_what_has_no_score_have_none(group: RunMaker, notebook: Notebook) -> None:
    broken = group({"train.gamma": 0.9}, fault="crash")
    incumbent = notebook.incumbent(broken.group)
    assert incumbent is not None
    assert degree_of(notebook, broken) is None
    assert degree_of(notebook, notebook.run(incumbent)) is None


def test_the_order_of_lists_is_that_of_the_degrees(group: RunMaker, notebook: Notebook) -> None:
    rates = (0.0051, 0.007, 0.01, 0.0004, 0.00002)
    runs = [group({"train.learning_rate": rate}) for rate in rates]
    broken = group({"train.gamma": 0.9}, fault="crash")
    words, incumbent = words_of(notebook, broken.group), notebook.incumbent(broken.group)
    assert set(words) == {incumbent, *(run.run_id for run in runs)}
    assert words[str(incumbent)].word == "first"
    for run in runs:
        judged = view_of(notebook, run).judged
        assert judged.startswith(words[run.run_id].word)
    shown = sorted(runs, key=lambda run: words[run.run_id].place)
    order = [ORDER.index(words[run.run_id].word) for run in shown]
    assert order == sorted(order)
    for one, next_one in pairwise(shown):  # of one word, one replicate each: the better score first
        if words[one.run_id].word == words[next_one.run_id].word:
            assert notebook.values(one.run_id, "perf") >= notebook.values(next_one.run_id, "perf")
    assert len({words[run.run_id].word for run in runs}) < len(runs)
