"""Runs that are there already, copied to TensorBoard and to Weights & Biases; the same again adds nothing."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from lab.base import AutopilotError, SeedPaths, plain
from lab.store import Notebook, RunRecord, run_curves
from mirror.copying import Copied, each
from training.mirrors import TensorBoard, WeightsAndBiases

Step = tuple[int, float, dict[str, float]]
"""Agent steps, seconds since 1970, and what was logged then."""


def copy_curves(
    notebook: Notebook,
    to: Literal["tensorboard", "wandb"],
    runs: Iterable[RunRecord],
    on_run: Callable[[str], None] = lambda _: None,
) -> Copied:
    """Copy the curves of ended runs.

    TensorBoard's file of a replicate is written again, the same to the byte. Weights & Biases gets a run of a fixed id
    for each replicate that it was not sent already, by the mark that a mirror leaves.

    Args:
        notebook: where they lie.
        to: which mirror.
        runs: which ones; those that have not ended are passed over.
        on_run: called with the id of each run before it is copied.

    Raises:
        AutopilotError: Weights & Biases can't be reached or refuses it.
        Busy: another process copies runs of this workspace.
    """
    return each(notebook.workspace, runs, on_run, lambda run: _copy(notebook, to, run))


def _copy(notebook: Notebook, to: Literal["tensorboard", "wandb"], run: RunRecord) -> bool | str:
    """Whether anything was written, or why there is nothing to copy."""
    paths = notebook.paths(run.run_id)
    curves = run_curves(paths, run.seeds) if run.state.ended else {}
    if not any(curves.values()):
        return "no curves" if run.state.ended else f"is {run.state} still"
    began, changed = (run.started or run.created).timestamp(), False
    for seed, metrics in curves.items():
        rows = dict[float, dict[str, float]]()
        for name, curve in metrics.items():
            for step, value in zip(curve.steps, curve.values, strict=True):
                rows.setdefault(float(step), {})[name] = float(value)
        steps = [(int(step), began + rows[step].get("uptime", 0.0), rows[step]) for step in sorted(rows)]
        if not steps:
            continue
        place = paths.seed(seed)
        if to == "tensorboard":
            changed = _events(place, steps) or changed
        else:
            changed = _send(place, run, seed, notebook.config(run.run_id).flat(), steps) or changed
    return changed


def _events(place: SeedPaths, steps: list[Step]) -> bool:
    """Write TensorBoard's file of a replicate; whether it is another than before."""
    file = place.events
    new = file.with_name(f".{file.name}.part")
    times = iter([steps[0][1], *(time for _, time, _ in steps)])
    mirror = TensorBoard(new, lambda: next(times))
    for step, _, numbers in steps:
        mirror.log(numbers, step)
    mirror.close()
    with contextlib.suppress(FileNotFoundError):
        if file.read_bytes() == new.read_bytes():
            new.unlink()
            return False
    new.replace(file)
    return True


def _send(place: SeedPaths, run: RunRecord, seed: int, config: Mapping[str, object], steps: list[Step]) -> bool:
    """Send a replicate to Weights & Biases, unless the mark there says that all of it was; whether it was sent."""
    mark = place.sent.read_text().split()[:1] if place.sent.exists() else []
    if mark and mark[0].isdecimal() and int(mark[0]) >= len(steps):
        return False
    with _told():
        mirror = WeightsAndBiases(
            place.dir, run.env_name.replace(":", "-"), run.run_id, seed, config, again=f"{run.created:%Y%m%d%H%M%S}"
        )
        for step, _, numbers in steps:
            mirror.log(numbers, step)
        mirror.close()
    return True


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Whatever Weights & Biases raises, as one line of ours."""
    try:
        yield
    except AutopilotError:
        raise
    except ModuleNotFoundError as error:
        raise AutopilotError(f"wandb: {error}: pip install wandb") from error
    except Exception as error:
        why = plain(" ".join(str(error).split()), 300)
        raise AutopilotError(f"wandb: {type(error).__name__}: {why}") from error
