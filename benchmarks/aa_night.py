"""Two nights of real training whose truth is known: `make aa-night`, or `python -m benchmarks.aa_night [--plot FILE]`.

In the first one every config is the baseline in secret, with new seeds: whatever is proposed, nothing is better. In the
second one configs are better where one key, whose place nobody tells, lies in a fifth of its range. Both are whole
sessions of the offline researcher on puffer_cartpole, 60 replicates each. Beside each stands what many do: keep
whatever scored best. Its score climbs in either night.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from agent.session.session import Session
from benchmarks.common import ENV, tell
from benchmarks.replayed import Planted, night, planted_in
from lab.space import Config
from lab.store import ReplicateResult, Sessions
from training import OnProgress, Place, Plan, ProcessRunner, Runner, load_inventory
from training.protocol import ShouldStop

RUNS = 20
"""Of three replicates each: 60 in all."""
STEPS = 1_000_000
"""Of a training; PufferLib's own has many more, and takes too long for two nights in a quarter of an hour."""
BETTER = {"train.learning_rate": 0.015}
"""What a config that has what is planted is trained with, beside the baseline's own values."""
KEY = 3
"""Number of the planted key's night (`benchmarks.replayed.planted_in`)."""


@dataclass
class InSecret:
    """Trains the baseline's config, or the better one, whatever was asked for."""

    inner: Runner
    planted: Planted | None = None
    base: Config | None = field(default=None, init=False)
    """The first config that is trained."""

    def train(self, plan: Plan, on_progress: OnProgress, should_stop: ShouldStop) -> list[ReplicateResult]:
        """See `training.Runner.train`."""
        self.base = self.base or plan.config
        return self.inner.train(replace(plan, config=self.truth(plan.config)), on_progress, should_stop)

    def truth(self, config: Config) -> Config:
        """What is trained in the place of a config."""
        assert self.base is not None  # noqa: S101 - something was trained
        better = self.planted is not None and self.planted.holds(config)
        return self.base.with_overrides(BETTER) if better else self.base

    def room(self, *about: Any) -> int:
        """See `training.Runner.room`."""
        return self.inner.room(*about)

    def warm(self, config: Config | None = None, device: str = "cpu") -> None:
        """See `training.Runner.warm`."""
        self.inner.warm(self.base, device)

    def places(self) -> list[Place]:
        """See `training.Runner.places`."""
        return self.inner.places()

    def close(self) -> None:
        """See `training.Runner.close`."""
        self.inner.close()


def came_to(session: Session, runner: InSecret) -> dict[str, Any]:
    """What a night said, and what keeping the best would have said."""
    notebook, group, metric = session.notebook, session.group, session.group.goal.metric
    mine = [run for run in session.mine() if run.replicates_of is None and notebook.values(run.run_id, metric)]
    baseline, *tried = mine
    scores = [(run.run_id, float(np.mean(notebook.values(run.run_id, metric)))) for run in tried]
    kept, score = max(scores, key=lambda one: one[1], default=(baseline.run_id, 0.0))
    first = notebook.values(baseline.run_id, metric)
    confirmations = notebook.index.confirmations(group=group)
    digest = notebook.workspace.session(session.record.session_id).digest.read_text()
    planted = runner.planted
    return {
        "planted": None if planted is None else f"{planted.dimension.key}, a fifth of its range",
        "replicates": notebook.replicates(session.record.session_id),
        "baseline": list(first),
        "tried": [score for _, score in scores],
        "keep_the_best": {
            "says": score, "claims": score - float(np.mean(first)),
            "kept_is_better": bool(planted and planted.holds(notebook.config(kept))),
        },
        "leader": [one.mean for one in Sessions(notebook.workspace).leading(session.record.session_id)],
        "contenders": [
            {"outcome": one.outcome, "effect": one.effect, "low": one.low, "high": one.high, "seeds": one.seeds,
             "is_better": bool(planted and planted.holds(notebook.config(one.candidate)))}
            for one in confirmations if one.outcome != "opened"
        ],
        "proven": notebook.incumbent(group) != baseline.run_id,
        "says": [line for line in digest.splitlines() if line.startswith(("Plan, ", "On ", "The search", "Nothing"))],
    }  # fmt: skip


def plot(nights: Mapping[str, dict[str, Any]], path: Path) -> None:
    """What keeping the best claims, and what the night says, side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    for axes, (name, one) in zip(figure.subplots(1, 2, sharey=True), nights.items(), strict=True):
        base, tried = float(np.mean(one["baseline"])), np.array(one["tried"])
        at = np.arange(1, len(tried) + 1)
        axes.plot(at, tried, ".", color="0.7", label="a config's first score")
        axes.plot(
            at, np.maximum.accumulate(tried), color="#d55e00", lw=2, drawstyle="steps-post", label="keep the best"
        )
        axes.axhline(base, color="0.3", lw=1, ls=":", label=f"baseline, {len(one['baseline'])} replicates")
        for contender in one["contenders"]:
            if contender["effect"] is not None:
                proven = contender["outcome"] == "confirmed"
                axes.errorbar(
                    [len(tried) + 1.5], [base + contender["effect"]],
                    [[contender["effect"] - contender["low"]], [contender["high"] - contender["effect"]]],
                    fmt="o", color="#009e73" if proven else "#0072b2", capsize=4,
                    label=f"its contender on {contender['seeds']} fresh seeds: {'better' if proven else 'not shown'}",
                )  # fmt: skip
        axes.set(title=name, xlabel="configs tried", ylim=(-0.02, 1.02))
        axes.legend(frameon=False, fontsize=7.5, loc="lower left")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("perf")
    figure.savefig(path, dpi=130)


def main() -> None:
    """Train both nights, say what came of them, draw them if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.aa_night", description=__doc__)
    parser.add_argument("--plot", type=Path)
    wanted = parser.parse_args()
    inventory, nights = load_inventory([ENV]), {}
    for name, planted in (("nothing is better", None), ("something is", planted_in(inventory, KEY))):
        runner = InSecret(ProcessRunner(), planted)
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
            root = Path(folder) / "workspace"
            session = night(root, inventory, runner, RUNS, "night", **{"train.total_timesteps": STEPS})
            nights[name] = came_to(session, runner)
    if wanted.plot:
        plot(nights, wanted.plot)
    tell("two nights of real training whose truth is known", nights=nights)


if __name__ == "__main__":
    main()
