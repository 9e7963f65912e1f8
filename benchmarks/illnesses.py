"""Trainings with a known illness, and whether it is found: `.venv/bin/python -m benchmarks.illnesses [--recipes FILE]`.

Each recipe (tests/data/illnesses) is an environment's quick preset with changes that make it ill in a known way, or
leave it healthy. It is trained for real, alone in a workspace, as a first run that somebody might start a night from;
then it is diagnosed, and analysed by the offline researcher. Counted are recipes whose cause is among the first two
findings (by its name, or by a move of the right key in the right direction), recipes whose next config moves the right
key the right way, and healthy ones of which something ill is said. With `--keep DIR` the trainings stay there, and
those that lie there already are not made again.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from agent.analysis import Analyst
from agent.model import OfflineResearcher
from benchmarks.common import tell
from lab.base import Workspace
from lab.judge import Finding, Move, diagnosis_of
from lab.space import Inventory, Objective, preset_config
from lab.store import Lab, Notebook, Proposal, RunRecord, RunState, create_run
from training import ProcessRunner, load_inventory, train_run

RECIPES = Path(__file__).resolve().parents[1] / "tests" / "data" / "illnesses" / "recipes.json"
FIRST = 2
"""Findings among which the cause has to be."""


class Recipe(BaseModel):
    """A training with a known illness, or a healthy one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    env: str
    overrides: dict[str, bool | int | float | str] = {}
    """What is changed of the quick preset."""
    seeds: int = 3
    causes: tuple[str, ...] = ()
    """Names of findings that would be right; none for a healthy training."""
    moves: tuple[Move, ...] = ()
    """Changes of one key each, any of which would be right."""


def recipes(path: Path = RECIPES) -> list[Recipe]:
    """The recipes of a file, a JSON list."""
    return TypeAdapter(list[Recipe]).validate_json(path.read_text())


def trained(lab: Lab, recipe: Recipe) -> RunRecord:
    """The run of a recipe in a workspace of its own: the one that lies there, or trained now."""
    if runs := lab.notebook.runs():
        return runs[0]
    changes = {"autopilot.seeds": recipe.seeds, **recipe.overrides}
    config = preset_config(lab.inventory.environment(recipe.env), "quick").with_overrides(changes)
    run = create_run(
        lab.notebook, config, {}, preset="quick", objective=str(Objective.of(None, recipe.env)), arm="baseline"
    )
    run = train_run(lab.notebook, ProcessRunner(), lab.inventory, run.run_id, lambda _: None)
    if run.state is not RunState.FINISHED:
        raise SystemExit(f"{recipe.name}: run {run.run_id} {run.state}: {run.reason}")
    return run


def right(move: Move, wanted: tuple[Move, ...]) -> bool:
    """Whether a move is one of those that are right."""
    return any((move.key, move.direction) == (one.key, one.direction) for one in wanted)


def moved(lab: Lab, proposal: Proposal) -> list[Move]:
    """What a proposal moves, each key with its direction; keys without an order are left out."""
    base = lab.notebook.config(proposal.parent)
    pairs = [(key, base.get(key), value) for key, value in proposal.overrides.items()]
    ordered = [(key, old, new) for key, old, new in pairs if isinstance(old, (int, float)) and old != new]
    return [Move(key=key, direction="up" if new > old else "down") for key, old, new in ordered]  # type: ignore[operator]


def found(recipe: Recipe, findings: tuple[Finding, ...]) -> bool:
    """Whether the cause is among the first findings."""
    return any(
        one.name in recipe.causes or any(right(move, recipe.moves) for move in one.moves[:1])
        for one in findings[:FIRST]
    )


def judged(recipe: Recipe, inventory: Inventory, folder: Path) -> dict[str, Any]:
    """One recipe: trained, diagnosed, analysed."""
    place = Workspace(folder)
    place.create()
    lab = Lab(Notebook(place), inventory)
    run = trained(lab, recipe)
    findings = diagnosis_of(lab, run)
    place.run(run.run_id).report.unlink(missing_ok=True)
    outcome = Analyst(lab, OfflineResearcher()).analyse(run)
    for proposal in outcome.staged:
        place.proposal(proposal.proposal_id).unlink()  # asked again, it is to say the same
    moves = [move for proposal in outcome.staged for move in moved(lab, proposal)]
    score = lab.notebook.values(run.run_id, run.goal.metric)
    return {
        "recipe": recipe.name,
        "scores": [round(value, 3) for value in score],
        "findings": [{"name": one.name, "weight": one.weight, "strength": round(one.strength, 2),
                      "moves": [move.text for move in one.moves], "says": one.sentence} for one in findings],
        "ill": any(one.weight == "ill" for one in findings),
        "found": found(recipe, findings) if recipe.causes else None,
        "moves_right": any(right(move, recipe.moves) for move in moves) if recipe.moves else None,
        "moves": [move.text for move in moves],
    }  # fmt: skip


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipes", type=Path, default=RECIPES)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", help="one recipe, by its name")
    wanted = parser.parse_args()
    all_of_it = [one for one in recipes(wanted.recipes) if wanted.only in (None, one.name)]
    inventory = load_inventory(sorted({one.env for one in all_of_it}))
    with tempfile.TemporaryDirectory() as temporary:
        place = wanted.keep or Path(temporary)
        told = [judged(one, inventory, place / one.name) for one in all_of_it]
    ill = [one for one in told if one["found"] is not None]
    healthy = [one for one in told if one["found"] is None]
    tell(
        "trainings with a known illness",
        ill=len(ill),
        cause_first_or_second=sum(one["found"] for one in ill),
        next_step_right=sum(bool(one["moves_right"]) for one in ill),
        healthy=len(healthy),
        called_ill=sum(one["ill"] for one in healthy),
        recipes=told,
    )


if __name__ == "__main__":
    main()
