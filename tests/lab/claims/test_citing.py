"""Numbers cited by reference."""

import pytest

from benchmarks.claims import known_of
from lab.base.errors import NotFound
from lab.claims.citing import cited

ANSWERS = {"compare_runs": {"effect": 0.0867, "changed": {"train.ent_coef": [0.02, 0.005]}}}


@pytest.mark.parametrize(("path", "text"), [
    ("run.metrics.perf", "0.7484"), ("parent.metrics.perf.mean", "0.6617"), ("run.metrics.perf.low", "0.7333"),
    ("incumbent.config.train.learning_rate", "0.0025"), ("run.config.train.anneal_lr", "true"),
    ("run.curves.losses/entropy.last", "0.412"), ("run.curves.environment/perf.max", "0.769"),
    ("run.curves.environment/perf.quarter_means", "0.121, 0.436, 0.638, 0.741"),
    ("run.curves.environment/perf.quarter_means[3]", "0.741"), ("run.curves.environment/perf.quarter_means.0", "0.121"),
    ("run.derived.batch_size", "32,768"), ("run.metrics.sps", "135,102"), ("run.verdict", "worse"),
    ("run.changed.train.ent_coef", "0.02, 0.005"), ("noise.replicate_sd", "0.0122"), ("compare_runs.effect", "0.0867"),
    ("compare_runs.changed.train.ent_coef[0]", "0.02"), ("proposal.overrides.train.gae_lambda", "0.95"),
    ("2026-11-22T064410Z-b3kd.metrics.perf", "0.5827"), ("baseline.metrics.perf", "0.5827"),
])  # fmt: skip
def test_a_path_becomes_its_number(path: str, text: str) -> None:
    assert cited(f"It is {{{{ {path} }}}}.", known_of("breakout"), ANSWERS, {}) == f"It is {text}."


@pytest.mark.parametrize(("path", "said"), [
    ("run.metrics.nonsense", "perf"), ("nobody.metrics.perf", "incumbent"), ("run.metrics", "a number or a word"),
    ("run.metrics.perf.values[9]", "nowhere"), ("run.__class__", "nowhere"), ("compare_runs.nothing", "effect"),
    ("run.config.train.ent_coef.real", "nowhere"),
])  # fmt: skip
def test_a_path_that_leads_nowhere_is_told(path: str, said: str) -> None:
    with pytest.raises(NotFound, match=said):
        cited(f"{{{{ {path} }}}}", known_of("breakout"), ANSWERS, {})


def test_what_was_cited_is_kept() -> None:
    numbers: dict[str, float] = {}
    cited("{{ run.metrics.perf }} and {{ run.state }}", known_of("breakout"), {}, numbers)
    assert numbers == {"cited: run.metrics.perf": 0.7484}
