"""Score against time: which configs no other beats in both."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.search.front import Cost, placed, undominated
from lab.search.points import Range, SearchSpace
from lab.search.standing import Contest, Replicate

SPACE = SearchSpace((Range("rate", 0.0, 1.0),))
COSTS = st.lists(st.tuples(st.sampled_from([1.0, 2.0, 5.0]) | st.floats(0.1, 1e4), st.floats(-5, 5)).map(Cost._make))


def beats(one: Cost, other: Cost) -> bool:
    """As good in both, better in one."""
    return one.seconds <= other.seconds and one.score >= other.score and one != other


@given(COSTS)
@settings(deadline=None)
def test_no_point_of_the_front_is_beaten_and_every_other_is(costs: list[Cost]) -> None:
    front = undominated(costs)
    for at, cost in enumerate(costs):
        assert any(beats(other, cost) for other in costs) == (at not in front)
        assert at in front or any(beats(costs[one], cost) for one in front)


def contest(*replicates: Replicate, sign: int = 1, ends: tuple[float, float] = (-math.inf, math.inf)) -> Contest:
    count = 1 + max(one.trial for one in replicates)
    points = tuple({"rate": (at + 0.5) / count} for at in range(count))
    runs = tuple(f"run-{at}" for at in range(count))
    return Contest(SPACE, points, ("", *["race"] * (count - 1)), runs, replicates, sign, ends)


def test_a_config_has_the_median_of_its_times_and_what_is_believed_of_it() -> None:
    lucky = [Replicate(1, 0.9, wall=8.0), Replicate(1, 0.1, wall=30.0), Replicate(1, 0.1, wall=9.0)]
    base = [Replicate(0, 0.5 + 0.01 * at, wall=20.0) for at in range(4)]
    known = placed(contest(*base, *lucky, Replicate(1, None), Replicate(2, 0.2), Replicate(2, None, wall=1.0)))
    assert [(one.run, one.seconds, one.replicates) for one in known] == [("run-1", 9.0, 3), ("run-0", 20.0, 4)]
    assert all(one.low < one.mean < one.high for one in known)
    assert known[1].mean == pytest.approx(0.51, abs=0.1)


@pytest.mark.parametrize("sign", [1, -1])
def test_less_may_be_better_and_no_score_lies_beyond_what_can_be(sign: int) -> None:
    scores = {1: (5.0, 0.0), 2: (10.0, 0.5), 3: (15.0, 0.2), 4: (20.0, 1.0)}
    each = [Replicate(at, sign * score, wall=took) for at, (took, score) in scores.items() for _ in range(6)]
    ends = (0.0, 1.0) if sign == 1 else (-1.0, 0.0)
    known = placed(contest(Replicate(0, 0.0), *(one._replace(score=(one.score or 0.0) * sign) for one in each),
                           sign=sign, ends=ends))  # fmt: skip
    assert {one.run for one in known if one.front} == {"run-1", "run-2", "run-4"}
    assert all(ends[0] <= one.low <= one.mean <= one.high <= ends[1] for one in known)
    assert [math.copysign(1, sign) * one.mean for one in known] == pytest.approx([0.0, 0.5, 0.2, 1.0], abs=0.15)


def test_what_nobody_timed_has_no_place() -> None:
    assert placed(contest(Replicate(0, 0.5), Replicate(1, 0.7))) == ()
