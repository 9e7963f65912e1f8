"""What a person sees while training: a panel that lives on a terminal, plain lines elsewhere."""

import contextlib
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lab.base import AutopilotError, Workspace, plain
from lab.space import Measurement, StoredPreset, topology
from lab.store import RunRecord
from training import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType

LINE_SECONDS = 5.0
LOOK_SECONDS = 2.0
"""Seconds after which the panel asks anew how the session stands: people decide while a run trains."""
Status = Callable[[], list[tuple[str, str]]]
"""How a session stands, now: label and text, such as `incumbent` and what it is."""
NOTE_CHARS = 1000


class _Replicates:
    """The replicates of the runs that train, put together."""

    def __init__(self, run: RunRecord) -> None:
        self.run, self.runs = run, [run]
        self.latest: dict[int, Progress] = {}
        self._evaluating: float | None = None
        """When the last of them began to be evaluated, by the monotonic clock."""

    @classmethod
    def with_another(cls, known: "_Replicates | None", run: RunRecord) -> "_Replicates":
        """Those that train already and those of one more run."""
        if known is None:
            return cls(run)
        known.runs.append(run)
        known._evaluating = None  # until one of them says so again
        return known

    def without(self, run: RunRecord) -> "_Replicates | None":
        """Those that are left once a run has ended; None where there are none."""
        self.runs = [one for one in self.runs if one.run_id != run.run_id]
        self.latest = {seed: progress for seed, progress in self.latest.items() if seed not in run.seeds}
        return self if self.runs else None

    def add(self, progress: Progress) -> None:
        """Take in one replicate's progress."""
        known = self.latest.get(progress.seed)
        if progress.phase == "evaluate" and known is not None:
            progress = progress.model_copy(update={"sps": known.sps, "score": known.score})
        self.latest[progress.seed] = progress
        if self.phase == "train":
            self._evaluating = None
        elif self._evaluating is None:
            self._evaluating = time.monotonic()

    @property
    def total(self) -> int:
        """Steps of all replicates."""
        return max((p.total for p in self.latest.values()), default=0) * sum(len(run.seeds) for run in self.runs)

    @property
    def steps(self) -> int:
        """Steps done by all replicates."""
        return sum(min(p.steps, p.total) for p in self.latest.values())

    @property
    def sps(self) -> float:
        """Steps per second of all replicates that train."""
        return sum(p.sps for p in self.latest.values() if p.phase == "train")

    @property
    def phase(self) -> str:
        """Training until the last replicate is."""
        return "train" if any(p.phase == "train" for p in self.latest.values()) else "evaluate"

    def score(self, metric: str) -> str:
        """The mean of the newest scores while training, such as `perf 0.81`."""
        scores = [p.score for p in self.latest.values() if p.score is not None]
        return f"{metric} {sum(scores) / len(scores):.3f}" if scores else f"{metric} …"

    def eta(self) -> str:
        """How long until the steps are done; after that, for how long they have been evaluated."""
        if self._evaluating is not None:
            return f"evaluating for {_clock(time.monotonic() - self._evaluating)}"
        return f"ETA {_clock((self.total - self.steps) / self.sps)}" if self.sps else "ETA …"

    def text(self, metric: str) -> str:
        """Steps, speed while any trains, score and how long it takes, in a line."""
        speed = f"{self.sps / 1e3:.0f}K SPS in all" if self.sps else ""
        steps = f"{self.steps / 1e6:.2f}M/{self.total / 1e6:.2f}M steps"
        return "  ".join(filter(None, (steps, speed, self.score(metric), self.eta())))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class SilentView:
    """Shows nothing: standard output is for JSON."""

    def note(self, text: str) -> None:
        """Nothing."""

    def night(self, status: Status) -> None:
        """Nothing."""

    def training(self, run: RunRecord, what: str) -> None:
        """Nothing."""

    def progress(self, progress: Progress) -> None:
        """Nothing."""

    def trained(self, run: RunRecord, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineView:
    """Plain lines, for logs and pipes."""

    def __init__(self) -> None:
        self._run: _Replicates | None = None
        self._said = 0.0

    def note(self, text: str) -> None:
        """See `agent.session.journal.View`."""
        sys.stdout.write(f"{plain(text, NOTE_CHARS)}\n")
        sys.stdout.flush()

    def night(self, status: Status) -> None:
        """Nothing: 'autopilot status' says it."""

    def training(self, run: RunRecord, what: str) -> None:
        """See `agent.session.journal.View`."""
        self._run, self._said = _Replicates.with_another(self._run, run), time.monotonic()
        seeds = ", ".join(map(str, run.seeds))
        self.note(f"{run.run_id}  {what}  (seeds {seeds})")

    def progress(self, progress: Progress) -> None:
        """See `agent.session.journal.View`."""
        if self._run is None:
            return
        self._run.add(progress)
        if time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            run = self._run
            share = 100 * run.steps / run.total if run.total else 0
            self.note(f"  {share:3.0f} %  {run.text(run.run.goal.metric)}")

    def trained(self, run: RunRecord, text: str) -> None:
        """See `agent.session.journal.View`."""
        self._run = self._run.without(run) if self._run else None
        self.note(f"  {text}")

    def close(self) -> None:
        """See `agent.session.journal.View`."""


class BarView:
    """What has happened scrolls by; below it stands a panel: progress, incumbent, queue, budgets left, last theory."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False)
        self._run: _Replicates | None = None
        self._status: Status | None = None
        self._lines: list[tuple[str, str]] = []
        self._looked = 0.0
        self._live = Live(console=self._console, get_renderable=self._panel, refresh_per_second=4, transient=True)
        self._live.start()

    def note(self, text: str) -> None:
        """See `agent.session.journal.View`."""
        self._console.print(f"[dim]·[/dim] {_escape(text)}")

    def night(self, status: Status) -> None:
        """See `agent.session.journal.View`."""
        self._status = status
        self._look(status)
        self._live.refresh()

    def training(self, run: RunRecord, what: str) -> None:
        """See `agent.session.journal.View`."""
        self._console.print(
            f"[bold]{_escape(what)}[/bold]  [dim]{run.run_id}, seeds {', '.join(map(str, run.seeds))}[/dim]"
        )
        self._run = _Replicates.with_another(self._run, run)

    def progress(self, progress: Progress) -> None:
        """See `agent.session.journal.View`."""
        if self._run is not None:
            self._run.add(progress)

    def trained(self, run: RunRecord, text: str) -> None:
        """See `agent.session.journal.View`."""
        self._run = self._run.without(run) if self._run else None
        color = "green" if run.state == "finished" else "red"
        self._console.print(f"  [{color}]●[/{color}] {_escape(text)}")

    def close(self) -> None:
        """Take the panel off the terminal."""
        self._run = self._status = None
        self._live.stop()

    def _look(self, status: Status) -> None:
        """Ask how the session stands; what can't be read at the moment stays as it was."""
        self._looked = time.monotonic()
        with contextlib.suppress(AutopilotError, OSError, sqlite3.Error):
            self._lines = status()

    def _panel(self) -> "RenderableType":
        """What stands below, as it is now."""
        from rich.table import Table
        from rich.text import Text

        if self._status is not None and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look(self._status)
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(style="dim", width=9)
        grid.add_column(ratio=1)
        if self._run is not None:
            grid.add_row("training", self._bar(self._run))
        for label, text in self._lines:
            grid.add_row(label, Text(plain(text, NOTE_CHARS), no_wrap=True, overflow="ellipsis"))
        return grid

    @staticmethod
    def _bar(run: _Replicates) -> "RenderableType":
        from rich.columns import Columns
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        share = f"{100 * run.steps / run.total:3.0f} %" if run.total else "starting"
        bar = ProgressBar(total=run.total or 1, completed=run.steps, width=20)
        return Columns([bar, Text(share), Text(run.text(run.run.goal.metric))], padding=(0, 1))


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(plain(text, NOTE_CHARS))


def make_view() -> LineView | BarView:
    """A bar on a terminal, lines elsewhere."""
    return BarView() if sys.stdout.isatty() else LineView()


class MeasurementTable:
    """The table of a probe, as it grows; silent where standard output is for JSON."""

    def __init__(self, *, silent: bool) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.table import Table

        self._table = Table(box=None, pad_edge=False)
        for column, justify in (
            ("topology", "left"),
            ("threads", "right"),
            ("at once", "right"),
            ("batch", "right"),
            ("SPS in all", "right"),
            ("against the ini", "right"),
        ):
            self._table.add_column(column, justify=justify)  # type: ignore[arg-type]  # rich's own words
        self._console = Console(quiet=silent, width=None if sys.stdout.isatty() else 140)
        self._live = Live(self._table, console=self._console, auto_refresh=False)

    def __enter__(self) -> "MeasurementTable":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        if not self._console.is_terminal:  # where nothing can be drawn over, the last row ends without a line break
            self._console.print()

    def add(self, what: str, measurement: Measurement, ini: Measurement | None) -> None:
        """One more row.

        Args:
            what: what it is of, where its topology does not say it all.
            measurement: what was measured.
            ini: what it is compared with, PufferLib's own.
        """
        ratio = f"{measurement.sps / ini.sps:.1f}×" if ini else ""
        name = f"{what}: {topology(measurement)}" if what else topology(measurement)
        self._table.add_row(
            name,
            str(measurement.threads),
            str(measurement.at_once),
            f"{measurement.batch_size:,}",
            f"{measurement.sps:,.0f}",
            ratio,
        )
        self._live.refresh()

    def note(self, text: str) -> None:
        """Say what goes on."""
        self._console.print(plain(text, NOTE_CHARS), highlight=False, markup=False)


def print_preset(workspace: Workspace, preset: StoredPreset) -> None:
    """What a probe came to."""
    from rich.console import Console

    console = Console()
    assert preset.best is not None  # noqa: S101 - a probe has measured it
    lines = [
        f"fastest: {topology(preset.best)}, {preset.best.threads} thread(s), {preset.best.at_once} at once:"
        f" {preset.best.sps:,.0f} steps per second in all"
    ]
    if preset.ini:
        lines[0] += f", {preset.best.sps / preset.ini.sps:.1f} times PufferLib's ini ({preset.ini.sps:,.0f})"
    if preset.verdict:
        start, probed = preset.runs
        lines.append(f"score at equal steps: {preset.verdict} (run {probed} against {start})")
    path = workspace.preset(preset.name, preset.env_name)
    lines.append(
        f"kept as preset {preset.name!r} in {path}: autopilot start --env {preset.env_name} --preset {preset.name}"
    )
    for line in lines:
        console.print(plain(line, NOTE_CHARS), highlight=False, markup=False, soft_wrap=True)
