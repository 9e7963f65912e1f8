"""What others made, made fit for a record: whatever is written is read again, and by any JSON reader."""

import json
import math
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab.base.files import append_line, read_lines, read_model, write_json, write_model
from lab.base.folders import SeedPaths
from lab.base.values import DEEP, HUGE, MOST, Columns, fit, name_of, numbers, parted, storable
from lab.store.curves import STEP, compact, read_seed
from lab.store.records import Evaluation, ReplicateResult, RunState
from training.protocol import EVENT, Ended, Progress


class Colour(Enum):
    RED = 1


ANY_TEXT = st.text(st.characters(codec=None), max_size=20)  # halves of characters, control characters, newlines
KEYS = st.one_of(ANY_TEXT, st.integers(), st.none(), st.booleans(), st.floats(), st.binary(max_size=4),
                 st.tuples(st.integers(), ANY_TEXT), st.integers(0, 9).map(np.int64), st.just(Colour.RED))  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(10**300, 10**400), st.floats(), ANY_TEXT, st.binary(),
    st.floats(width=32).map(np.float32), st.integers(-9, 9).map(np.int64), st.complex_numbers(),
    st.lists(st.floats(), max_size=3).map(np.array), st.just(np.zeros((2, 0))), st.just(object()),
    st.just([[1.0], [1.0, 2.0]]), st.datetimes(), st.sets(ANY_TEXT, max_size=3), st.just(np.array(["a", None])),
)  # fmt: skip
ANYTHING = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=4) | st.lists(inner, max_size=4))
REPORTS = st.dictionaries(KEYS, ANYTHING, max_size=6)

slowly = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def strictly(text: str | bytes) -> Any:
    """As a JSON reader reads that knows no NaN."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@slowly
@given(ANYTHING)
def test_whatever_is_written_is_read_again(tmp_path: Path, value: Any) -> None:
    made = storable(value)
    assert storable(made) == made
    write_json(tmp_path / "one.json", value)
    assert strictly((tmp_path / "one.json").read_bytes()) == made
    lines = tmp_path / "lines.jsonl"
    lines.unlink(missing_ok=True)
    append_line(lines, {"said": value})
    assert list(read_lines(lines)) == [{"said": made}]
    strictly(lines.read_bytes())


@slowly
@given(REPORTS)
def test_a_replicate_whose_environment_reports_anything(tmp_path: Path, report: dict[Any, Any]) -> None:
    raw, odd = parted(numbers(report))
    assert all(map(fit, raw.values()))
    evaluation = Evaluation(actions="sampled", episodes=1, unfinished_share=0, raw=raw, not_finite=odd)
    result = ReplicateResult(seed=1, state=RunState.FINISHED, metrics=raw, evaluations=(evaluation,))
    write_model(tmp_path / "result.json", result)
    assert read_model(tmp_path / "result.json", ReplicateResult) == result
    assert EVENT.validate_json(Ended(result=result).model_dump_json()) == Ended(result=result)


@slowly
@example([{"a": 1.0, "A": 2.0, "": 3.0}, {"b": 1.0}])
@example([{f"key {count}": float(count) for count in range(3000)}, {"late": 1.0}])
@given(st.lists(REPORTS, min_size=1, max_size=3))
def test_curves_of_an_environment_that_reports_anything(tmp_path: Path, reports: list[dict[Any, Any]]) -> None:
    paths = SeedPaths(tmp_path)
    for left in (paths.metrics, paths.metrics_live):
        left.unlink(missing_ok=True)
    logged: dict[str, list[float]] = {}
    columns = Columns()
    for step, report in enumerate(reports):
        finite, _ = parted({f"environment/{name}": value for name, value in numbers(report).items()})
        line = columns.named({STEP: float(step), **finite})
        assert len(line) == len(finite) + 1
        append_line(paths.metrics_live, line)
        for name, value in list(line.items())[1:]:
            logged.setdefault(name, []).append(value)
    before = {name: list(curve.values) for name, curve in read_seed(paths).items()}
    compact(paths)
    after = {name: list(curve.values) for name, curve in read_seed(paths).items()}
    assert before == after == logged


@pytest.mark.parametrize("text", ["a\nb", "half \ud800", "nul \x00", "x" * 1000, ""])
def test_a_text_that_no_file_can_hold(tmp_path: Path, text: str) -> None:
    result = ReplicateResult(seed=1, state=RunState.FAILED, reason=text, notes=(text,))
    write_model(tmp_path / "result.json", result)
    assert read_model(tmp_path / "result.json", ReplicateResult).seed == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_has_no_word_for(tmp_path: Path, value: float) -> None:
    result = ReplicateResult(seed=1, state=RunState.FINISHED, metrics={"perf": value}, train_seconds=value)
    write_model(tmp_path / "result.json", result)
    assert str(read_model(tmp_path / "result.json", ReplicateResult)) == str(result)
    progress = Progress(seed=1, phase="train", steps=1, total=2, sps=value, score=value)
    assert str(EVENT.validate_json(progress.model_dump_json())) == str(progress)


def test_numbers_of_a_report() -> None:
    report = {
        "fine": 1, "flag": True, "half": np.float32(0.5), "none": None, "text": "x", "mean": [1, 2],
        "array": np.ones(3), "texts": ["a"], "ragged": [[1], [1, 2]], "deep": {"er": {7: 2.0}}, 1: 2, ("a", 3): 1.0,
        "two\nlines": 1, "huge": 10**400, "nan": math.nan, "big": 1e200, "empty": [],
    }  # fmt: skip
    found, odd = parted(numbers(report))
    assert found == {
        "fine": 1, "flag": 1, "half": 0.5, "mean": 1.5, "array": 1, "deep/er/7": 2, "1": 2, "a/3": 1, "two lines": 1,
    }  # fmt: skip
    assert odd == {"huge": "inf", "nan": "nan", "big": "1e+200"}
    assert numbers(report, several=False).keys() == (found | odd).keys() - {"mean", "array"}
    assert numbers(None) == numbers([1.0]) == numbers({}) == {}


def test_a_report_has_bounds() -> None:
    report: dict[str, Any] = {f"key {count}": float(count) for count in range(MOST + 5)}
    assert len(numbers(report)) == MOST
    endless: dict[str, Any] = {"one": 1.0}
    endless["again"] = endless
    assert len(numbers(endless)) == DEEP + 1
    assert "nested more deeply" in json.dumps(storable(endless))
    assert fit(HUGE) and not fit(2 * HUGE)
    assert len(name_of("x" * 1000)) == 200
    assert name_of(10**5000).startswith("a whole number of 16610 bits")


def test_what_is_stored_of_other_things() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    given = {Colour.RED: at, "set": {"b", "a"}, "thing": object(), "array": np.arange(2), "big": 2**63, "nan": math.nan}
    assert storable(given) == {
        "1": "2026-01-02T00:00:00+00:00", "set": ["a", "b"], "thing": "(object)", "array": [0, 1],
        "big": "9223372036854775808", "nan": "nan",
    }  # fmt: skip
