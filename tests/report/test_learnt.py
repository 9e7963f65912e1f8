"""What was learnt, in words: of the same effects on the page, for a model, in a proposal; and of nothing."""

import numpy as np

from lab.search import Effect, Effects, Span
from lab.space import Objective
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from report.learnt import effect_data, effect_lines, effects_in, learnt_lines, why_nothing
from tests.conftest import ENV, RunMaker
from tests.review.conftest import Serve, serve

__all__ = ["serve"]

RATE = Span("train.learning_rate", (0.002, 0.006), (0.4, 0.6))
SLOW = Span("train.learning_rate", (0.0001, 0.0004), (0.0, 0.2))
RULE = Span("train.optimizer", ("muon",), None)
ADAM = Span("train.optimizer", ("adam", "sgd"), None)
FOUND = Effects(
    60,
    21,
    0.5,
    (Effect((RATE,), (SLOW,), 0.6, 0.31, 0.2, 0.42), Effect((RULE,), (ADAM,), 0.2, 0.1, 0.05, 0.15)),
    (Effect((RATE, RULE), (SLOW, ADAM), 0.1, 0.5, 0.3, 0.7),),
)
PERF = Objective.of("perf:max", ENV)


def test_each_line_says_where_it_is_best_how_much_it_does_and_how_sure_that_is() -> None:
    assert effect_lines(FOUND, PERF) == [
        "train.learning_rate: best between 0.002 and 0.006, 60 % of the differences; +0.31 [+0.2, +0.42] in perf"
        " against the worst, 0.0001 to 0.0004",
        "train.optimizer: best at muon, 20 % of the differences; +0.1 [+0.05, +0.15] in perf"
        " against the worst, adam or sgd",
        "train.learning_rate and train.optimizer together, 10 % more: best train.learning_rate between 0.002 and 0.006"
        " with train.optimizer at muon; +0.5 [+0.3, +0.7] in perf against the worst of both",
    ]
    assert [line.partition(":")[0] for line in effect_lines(FOUND, PERF, 2)] == [
        "train.learning_rate",
        "train.learning_rate and train.optimizer together, 10 % more",
    ]


def test_what_rounds_to_all_of_the_differences_is_nearly_all() -> None:
    alone = Effects(60, 21, 0.5, (Effect((RATE,), (SLOW,), 0.997, 0.31, 0.2, 0.42),), ())
    assert ", nearly all of the differences; " in effect_lines(alone, PERF)[0]


def test_where_less_is_better_the_best_is_less() -> None:
    loss = Objective.of("episode_length:min", ENV)
    assert "-0.31 [-0.42, -0.2] in episode_length" in effect_lines(FOUND, loss)[0]
    assert effect_data(FOUND, loss, "train.optimizer")["effects"][0]["interval"] == [-0.15, -0.05]


def test_it_says_why_nothing_is_said() -> None:
    few = Effects(8, 21, lacking="configs")
    assert effect_lines(few, PERF) == [
        "Of single keys nothing can be said yet: 8 configs with a score, and it takes 21."
    ]
    assert "no more than chance" in (why_nothing(Effects(60, 21, 0.02, lacking="model")) or "")
    assert "None" not in (why_nothing(Effects(60, 21, 0.4)) or "none")
    assert why_nothing(FOUND) is None


def test_from_the_record_to_whoever_reads_it(
    make_run: RunMaker, notebook: Notebook, inventory: Inventory, serve: Serve
) -> None:
    base, draw = make_run(), np.random.default_rng(0)
    lab = Lab(notebook, inventory)
    (line,) = learnt_lines(lab, base.group)
    assert line.startswith("Of single keys nothing can be said yet: 1 config with a score")
    for _ in range(40):
        changes = {"train.learning_rate": float(10 ** draw.uniform(-4, -2)), "train.gamma": draw.uniform(0.9, 0.99),
                   "train.ent_coef": 10 ** draw.uniform(-5, -1)}  # fmt: skip
        make_run(changes, parent=base.run_id)
    known = effects_in(lab, base.group)
    assert known is not None
    assert [one.keys for one in known.found] == [("train.learning_rate",)]
    (line,) = learnt_lines(lab, base.group)
    assert line.startswith("train.learning_rate: best between ")
    assert effects_in(lab, base.group) is known  # kept
    page = serve().get("/lessons").text
    assert "<td>train.learning_rate</td>" in page
    assert '<rect class="now"' in page
