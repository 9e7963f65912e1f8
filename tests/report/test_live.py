"""What a person sees while it trains: the panel on a terminal, and plain lines."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

import pytest

from lab.base.errors import Damaged
from report.live import LOOK_SECONDS, BarView, LineView
from tests.conftest import RunMaker
from training.protocol import Progress


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("report.live.time.monotonic", made)
    return made


@contextmanager
def panel(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[BarView, Callable[[], str]]]:
    """The panel on a terminal, and what it wrote there since it was asked last."""
    for name, value in (("TTY_COMPATIBLE", "1"), ("COLUMNS", "160"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    terminal = io.StringIO()
    with redirect_stdout(terminal):
        view, read = BarView(), 0

        def written() -> str:
            nonlocal read
            text = terminal.getvalue()[read:]
            read += len(text)
            return text

        try:
            yield view, written
        finally:
            view.close()


def at(seed: int, phase: str, steps: int, sps: float) -> Progress:
    return Progress.model_validate(
        {"seed": seed, "phase": phase, "steps": steps, "total": 2_000_000, "sps": sps, "score": 0.81}
    )


def test_time_moves_while_a_run_is_evaluated(monkeypatch: pytest.MonkeyPatch, clock: Clock, make_run: RunMaker) -> None:
    run = make_run()
    one, two = run.seeds
    with panel(monkeypatch) as (view, written):

        def shown() -> str:
            written()
            view.night(list)  # draws it at once
            return written()

        view.training(run, "run 3")
        view.progress(at(one, "train", 1_000_000, 50_000))
        view.progress(at(two, "train", 1_000_000, 50_000))
        assert "2.00M/4.00M steps  100K SPS in all  perf 0.810  ETA 0:20" in shown()
        view.progress(at(one, "evaluate", 2_000_000, 0))
        assert "50K SPS in all" in shown()
        view.progress(at(two, "evaluate", 2_000_000, 0))
        assert "4.00M/4.00M steps  perf 0.810  evaluating for 0:00" in shown()
        clock.now += 72
        text = shown()
        assert "evaluating for 1:12" in text
        assert "SPS" not in text


def test_the_panel_looks_again_at_what_people_decide(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    queue, asked = ["ent_coef 0.02 (staged)"], threading.Semaphore(0)

    def status() -> list[tuple[str, str]]:
        asked.release()
        if not queue:
            raise Damaged("half of a proposal")
        return [("queue", queue[0])]

    def until_drawn() -> None:
        for _ in range(2):  # what the second asks for comes after the first was drawn
            clock.now += LOOK_SECONDS
            assert asked.acquire(timeout=60)

    with panel(monkeypatch) as (view, written):
        view.night(status)
        asked.acquire()
        assert "(staged)" in written()
        queue[0] = "rejected meanwhile"
        until_drawn()
        assert "rejected meanwhile" in written()
        queue.clear()  # it can't be read at the moment: what was known stays
        until_drawn()
        written()
        until_drawn()
        assert "rejected meanwhile" in written()


def test_plain_lines_say_no_speed_of_an_evaluation(
    clock: Clock, make_run: RunMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    view, run = LineView(), make_run()
    view.training(run, "run 3")
    for seed in run.seeds:
        view.progress(at(seed, "evaluate", 2_000_000, 0))
    clock.now += 6
    view.progress(at(run.seeds[0], "evaluate", 2_000_000, 0))
    assert capsys.readouterr().out.splitlines()[-1] == "  100 %  4.00M/4.00M steps  perf 0.810  evaluating for 0:06"
