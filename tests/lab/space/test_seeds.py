"""That no training shares an environment's seed with the evaluation, checked against the arithmetic itself."""

from hypothesis import given
from hypothesis import strategies as st

from lab.space.config import Config
from lab.space.environments import preset_config
from lab.space.inventory import Inventory
from lab.space.seeds import (
    BITS,
    TOP,
    Span,
    derived,
    evaluation_seed,
    evaluation_shape,
    evaluation_spans,
    first_seed,
    free_of_evaluation,
)
from lab.space.validate import check_overrides
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from tests.conftest import ENV


@given(st.integers(0, BITS - 1), st.integers(1, 50), st.integers(-100, 100), st.integers(1, 50))
def test_spans_meet_when_they_share_a_number(start: int, length: int, offset: int, other: int) -> None:
    one, two = Span(start, length), Span((start + offset) % BITS, other)
    numbers = [{(span.start + i) % BITS for i in range(span.length)} for span in (one, two)]
    assert one.meets(two) == two.meets(one) == bool(numbers[0] & numbers[1])


@given(st.integers(0, TOP - 1), st.integers(1, 6), st.integers(1, 6), st.integers(1, 16))
def test_every_seed_that_pufferlib_derives_is_covered(seed: int, workers: int, each: int, units: int) -> None:
    copies = workers * each
    spans = derived(seed, copies, units, each)
    covered = lambda number: any((number - span.start) % BITS < span.length for span in spans)  # noqa: E731
    handed = [seed + i for i in range(copies)]  # vector.py: Serial, and a reset of Multiprocessing
    # vector.py, _worker_process: seed * num_envs, then Serial counts up
    handed += [(seed + i) * each + j for i in range(workers) for j in range(each)]
    for number in handed:
        assert covered(number % BITS)
        assert all(covered((i + number * units) % BITS) for i in range(units))  # env_binding.h: srand


@given(st.integers(1, 65536), st.floats(0.5, 200), st.booleans())
def test_the_evaluations_seeds_fit_a_c_int(slots: int, agents: float, scalable: bool) -> None:
    copies, units = evaluation_shape(slots, agents, scalable=scalable)
    seed = evaluation_seed(copies, units)
    assert seed >= 0
    assert (seed + copies) * units <= TOP
    assert all(span.start + span.length <= TOP for span in evaluation_spans(copies, units))


def test_usual_seeds_are_free_and_those_of_the_evaluation_are_refused(inventory: Inventory, config: Config) -> None:
    shape = evaluation_shape(64, 1.0, scalable=True)
    assert free_of_evaluation(config, range(10_000), shape)
    clash = (TOP - 64) // 1024  # seed * 1024 runs into the top of the range
    assert not free_of_evaluation(config, [clash], shape)
    base = preset_config(inventory.environment(ENV), "quick")
    (problem,) = check_overrides(base, {"train.seed": clash}, inventory)
    assert "final evaluation" in problem.rule
    assert check_overrides(base, {"train.seed": clash - 3}, inventory) == []


@given(st.integers(0, 10_000), st.integers(1, 256))
def test_replicates_share_no_environment_seed(seed: int, copies: int) -> None:
    config = Config(env_name="x", env={}, vec={"backend": "Serial", "num_envs": copies}, train={}, policy={}, rnn={},
                    autopilot={})  # fmt: skip
    one, two = (set(range(s, s + copies)) for s in (first_seed(config, seed), first_seed(config, seed + 1)))
    assert not one & two


def test_a_run_is_given_seeds_that_are_free(notebook: Notebook, config: Config) -> None:
    clash = (TOP - 64) // 1024
    make = lambda c: create_run(notebook, c, {}, preset="quick", objective="perf:max", arm="person")  # noqa: E731
    assert make(config.with_overrides({"train.seed": clash - 2})).seeds == (clash - 2, clash - 1)
    following = make(config).seeds
    assert following[0] > clash
    assert free_of_evaluation(config, following, (1, 64))
