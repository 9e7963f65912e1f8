"""What a run's report, and `autopilot show`, tell beyond the score; each run is written by the runner's own means."""

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.analyst import Analyst
from agent.model.offline import OfflineResearcher
from lab.base.files import append_line, read_model, write_model
from lab.base.schema import now
from lab.claims.checking import Checked
from lab.judge.predictions import Scored
from lab.judge.stopping import scores_of
from lab.judge.verdicts import record_verdict
from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.space.overrides import assignments
from lab.space.presets import Measurement, StoredPreset, preset, store
from lab.space.task import Variant
from lab.space.validate import check_config, check_overrides
from lab.space.variants import chosen
from lab.store.creation import create_run
from lab.store.films import Film, Films
from lab.store.lab import Lab
from lab.store.lineage import source_file
from lab.store.notebook import Notebook
from lab.store.records import Confirmation, Evaluation, Pruning, ReplicateResult, RunRecord, RunState
from lab.store.session import Leading
from lab.store.sessions import Sessions
from report.checking import check_report
from report.draft import ReportDraft
from report.run_report import report_of, write_report
from review.prose import html_of
from tests.conftest import ENV, Cli, RunMaker
from training.fake import FakeRunner
from training.run import train_run

DRAFT = ReportDraft("A run", ["It ran."], "It ran because it could.", "Another one.")
FOUND = Pruning(steps=500_000, score=0.05, median=0.43, peers=6, spared=False)
Say = Callable[[int], dict[str, Any]]


@dataclass
class TellingRunner(FakeRunner):
    """Adds to each replicate's result what `say` has for its place in the run."""

    say: Say = lambda _: {}

    def train(self, plan: Any, on_progress: Any, should_stop: Any) -> list[ReplicateResult]:
        results = super().train(plan, on_progress, should_stop)
        results = [result.model_copy(update=self.say(at)) for at, result in enumerate(results)]
        for result in results:
            write_model(plan.paths.seed(result.seed).result, result)
        return results


@dataclass
class Desk:
    """Makes runs, reports on them, and does what a report's commands would do."""

    notebook: Notebook
    inventory: Inventory
    config: Config

    def run(self, overrides: dict[str, Any] | None = None, say: Say = lambda _: {}, **more: Any) -> RunRecord:
        overrides = overrides or {}
        more = {"preset": "quick", "objective": "perf:max", "arm": "person", **more}
        run = create_run(self.notebook, self.config.with_overrides(overrides), overrides, **more)
        return train_run(self.notebook, TellingRunner(say=say), self.inventory, run.run_id, lambda _: None)

    def warm(self, resume_from: str, **more: Any) -> RunRecord:
        wanted = {"autopilot.resume_mode": "continue", "autopilot.resume_from": resume_from}
        return self.run({**wanted, **more.pop("overrides", {})}, **more)

    def report(self, run: RunRecord) -> str:
        write_report(
            self.notebook,
            run,
            report_of(Lab(self.notebook, self.inventory), run, DRAFT, Checked(), (), "scripted"),
            Checked(),
        )
        return self.notebook.paths(run.run_id).report.read_text()

    def fact(self, run: RunRecord, label: str) -> list[str]:
        return re.findall(rf"^- {label}: (.*)$", self.report(run), re.MULTILINE)

    def commands(self, run: RunRecord) -> list[list[str]]:
        block = re.search(r"```sh\n(.*)```", self.report(run), re.DOTALL)
        assert block
        return [shlex.split(line) for line in block[1].splitlines()]

    def repeated(self, command: list[str]) -> RunRecord:
        """What `autopilot train` makes of a command: checked as it does, and put into the notebook, not trained."""
        assert command[:2] == ["autopilot", "train"]
        given = list(zip(command[2::2], command[3::2], strict=True))
        options = {name: value for name, value in given if name != "--set"}
        overrides = assignments([value for name, value in given if name == "--set"])
        environment = self.inventory.environment(options["--env"])
        base = preset(self.notebook.workspace, environment, options["--preset"])
        base = base.with_overrides({"autopilot.seeds": int(options["--seeds"])})
        assert check_overrides(base, overrides, self.inventory) == []
        config = base.with_overrides(overrides)
        check_config(config, self.inventory)
        fields = {"preset": options["--preset"], "objective": options.get("--objective", "perf:max"), "arm": "person"}
        return create_run(self.notebook, config, overrides, variants=chosen(config, environment.variants), **fields)

    def assert_repeatable(self, run: RunRecord) -> None:
        """The commands of its report train every replicate again: same config, same seed, same weights at the start."""
        again = {}
        commands = self.commands(run)
        for command in commands:
            made = self.repeated(command)
            assert (made.objective, made.task, made.variants) == (run.objective, run.task, run.variants)
            assert self._trained(made) == self._trained(run)
            again |= self._starts(made)
        assert again == self._starts(run)

    def _trained(self, run: RunRecord) -> dict[str, Any]:
        apart = ("autopilot.seeds", "autopilot.resume_from", "train.seed")
        return {key: value for key, value in self.notebook.config(run.run_id).flat().items() if key not in apart}

    def _starts(self, run: RunRecord) -> dict[int, Path | None]:
        root = self.notebook.workspace.root
        return {seed: source_file(root, run.resume, at) if run.resume else None for at, seed in enumerate(run.seeds)}


@pytest.fixture
def desk(notebook: Notebook, inventory: Inventory, config: Config) -> Desk:
    return Desk(notebook, inventory, config)


def test_films_are_shown_with_what_they_show_or_why_there_are_none(desk: Desk, notebook: Notebook) -> None:
    run = desk.run({"autopilot.seeds": 2}, say=lambda at: {"metrics": {"perf": (0.25, 0.5)[at]}})
    best, worst = run.seeds[1], run.seeds[0]
    films = (
        Film(kind="worst", seed=worst, problem="it draws <b>nothing</b>"),
        Film(kind="best", seed=best, steps=4000, episode_return=12.5, ended=False),
    )
    write_model(notebook.paths(run.run_id).films, Films(films=films))
    text = desk.report(run)
    assert f"The worst replicate, seed {worst}, could not be filmed: it draws <b>nothing</b>." in text
    told = f"The best replicate, seed {best} (perf 0.5): the first 4,000 steps of an episode, return 12.5"
    assert f"![{told}](plots/best_replicate.webp)" in text
    shown = html_of(text, {"best_replicate": f"/runs/{run.run_id}/pictures/best_replicate.webp"})
    assert f'<img src="/runs/{run.run_id}/pictures/best_replicate.webp"' in shown


def keep_best(notebook: Notebook, run: RunRecord) -> None:
    """As `autopilot.save_strategy = best` leaves it: another file beside the last weights."""
    for seed in run.seeds:
        paths = notebook.paths(run.run_id).seed(seed)
        paths.weights("best").write_text(paths.weights("latest").read_text())


def test_an_ordinary_run_says_nothing_extra(desk: Desk) -> None:
    run = desk.run()
    text = desk.report(run)
    for label in ("Warm start", "Variants", "Pruning", "Stopped early", "Note", "Code", r"Sources \(SHA-256\)",
                  r"Weights at the start \(SHA-256\)"):  # fmt: skip
        assert desk.fact(run, label) == [], label
    assert "cumulative_steps" not in text, "they are the agent_steps of a fresh start"
    assert "MiB" not in text
    assert desk.fact(run, "Evaluation") == [
        "64 agents × 4,000 steps after training, sampled actions; 100 or more episodes a replicate; episodes cut off"
        " at the end weigh at most 1.0 %"
    ]
    desk.assert_repeatable(run)


# --- warm starts -------------------------------------------------------------------------------------------------


def test_a_warm_start_names_its_source_and_counts_steps(desk: Desk) -> None:
    first = desk.run()
    run = desk.warm(first.run_id, overrides={"train.total_timesteps": 1_000_000})
    one, other = first.seeds
    assert desk.fact(run, "Warm start") == [
        f"from {first.run_id} (latest.pt of seeds {one}, {other}); 2,000,000 steps behind these weights, 1,000,000 more"
        " of its own, 3,000,000 in all"
    ]
    assert desk.fact(run, r"Weights at the start \(SHA-256\)") == ["every seed: `fake…`"]
    assert "| cumulative_steps | 3,000,000 |" in desk.report(run)
    desk.assert_repeatable(run)
    (command,) = desk.commands(run)
    assert f"autopilot.resume_from={first.run_id}" in command


def test_latest_is_repeated_from_the_run_that_it_stood_for(desk: Desk) -> None:
    desk.run()
    latest = desk.run()
    run = desk.warm("latest")
    assert (
        f'from {latest.run_id} (latest.pt of seeds 3, 4), which "latest" stood for;' in desk.fact(run, "Warm start")[0]
    )
    desk.run()  # by now it means another one
    (command,) = desk.commands(run)
    assert f"autopilot.resume_from={latest.run_id}" in command
    desk.assert_repeatable(run)


def test_best_is_repeated_from_the_files_that_it_stood_for(desk: Desk, notebook: Notebook) -> None:
    """A run's id means its last weights; its best ones can be named by their files only, and each seed has its own."""
    first = desk.run()
    keep_best(notebook, first)
    run = desk.warm("best")
    assert f'from {first.run_id} (best.pt of seeds 1, 2), which "best" stood for;' in desk.fact(run, "Warm start")[0]
    commands = desk.commands(run)
    assert [command[command.index("--seeds") + 1] for command in commands] == ["1", "1"]
    assert "- Commands, one for each seed:" in desk.report(run)
    desk.assert_repeatable(run)


def test_best_of_a_run_that_kept_its_last_weights_only(desk: Desk) -> None:
    first = desk.run()
    run = desk.warm("best")
    (command,) = desk.commands(run)
    assert f"autopilot.resume_from={first.run_id}" in command
    desk.assert_repeatable(run)


def test_best_of_a_single_replicate(desk: Desk, notebook: Notebook) -> None:
    first = desk.run({"autopilot.seeds": 1})
    keep_best(notebook, first)
    run = desk.warm("best")
    assert "(best.pt of seed 1)" in desk.fact(run, "Warm start")[0]
    assert len(desk.commands(run)) == 1
    desk.assert_repeatable(run)


def test_more_replicates_than_the_run_they_go_on_from(desk: Desk, notebook: Notebook) -> None:
    first = desk.run()
    keep_best(notebook, first)
    for source in (first.run_id, "best"):
        desk.assert_repeatable(desk.warm(source, overrides={"autopilot.seeds": 3}))


@pytest.mark.parametrize("inside", [True, False], ids=["of a run", "of nobody"])
def test_a_file_is_repeated_from_the_file(inside: bool, desk: Desk, notebook: Notebook) -> None:
    first, root = desk.run(), notebook.workspace.root
    latest = notebook.paths(first.run_id).seed(first.seeds[1]).weights("latest")
    elsewhere = root / "my weights.pt"
    elsewhere.write_text(latest.read_text())
    path = str((latest if inside else elsewhere).relative_to(root))
    run = desk.warm(path)
    source = f"{first.run_id} (latest.pt of seed 2)" if inside else "my weights.pt"
    assert desk.fact(run, "Warm start")[0].startswith(f"from {source}; 2,000,000 steps behind")
    (command,) = desk.commands(run)
    assert f"autopilot.resume_from={path}" in command
    desk.assert_repeatable(run)


def test_weights_without_their_state_have_an_unknown_past(desk: Desk) -> None:
    first = desk.run()
    note = "latest.pt has no optimizer state beside it: its moments start anew"
    counts = {"agent_steps": 2e6, "cumulative_steps": 2e6}
    run = desk.warm(first.run_id, say=lambda at: {"metrics": {"perf": 0.5 + 0.1 * at, **counts}, "notes": (note,)})
    assert desk.fact(run, "Warm start")[0].endswith(
        "; 2,000,000 steps of its own, how many are behind these weights is not known"
    )
    assert desk.fact(run, "Note") == [f"{note} (every seed)"]


def test_a_warm_start_that_failed_names_its_source(desk: Desk) -> None:
    first = desk.run()
    run = desk.warm(first.run_id, say=lambda _: {"state": RunState.FAILED, "reason": "made up", "metrics": {}})
    assert desk.fact(run, "Warm start") == [f"from {first.run_id} (latest.pt of seeds 1, 2)"]
    desk.assert_repeatable(run)


# --- what the replicates say -------------------------------------------------------------------------------------


def test_notes_and_early_ends_stand_once_with_their_seeds(desk: Desk) -> None:
    def say(at: int) -> dict[str, Any]:
        notes = ("one | and\nthe same", *(["of one"] if at == 1 else []))
        return {"notes": notes, "stopped_early": f"its score reached 0.9 after {at:,} steps" if at else None}

    run = desk.run({"autopilot.seeds": 3}, say)
    assert desk.fact(run, "Note") == ["one / and the same (every seed)", "of one (seed 2)"]
    assert desk.fact(run, "Stopped early") == [
        "its score reached 0.9 after 1 steps (seed 2)",
        "its score reached 0.9 after 2 steps (seed 3)",
    ]
    assert "a repetition may end some steps sooner or later" in desk.report(run)


def passes(**fields: Any) -> dict[str, Any]:
    both = ({"actions": "greedy", "episodes": 1, "unfinished_share": 0.9, "raw": {}},
            {"actions": "sampled", "unfinished_share": 0.0, "raw": {}, **fields})  # fmt: skip
    return {"evaluations": tuple(Evaluation.model_validate(one) for one in both)}


def test_an_evaluation_by_complete_episodes(desk: Desk) -> None:
    run = desk.run(say=lambda at: passes(episodes=512 + at, per_slot=8, steps=900))
    (text,) = desk.fact(run, "Evaluation")
    assert text == "8 complete episodes of each of 64 agents after training, sampled actions; 512 or more a replicate"


def test_an_evaluation_whose_episodes_were_too_long(desk: Desk) -> None:
    run = desk.run(say=lambda at: passes(episodes=64, per_slot=(1, 3)[at], steps=4000))
    (text,) = desk.fact(run, "Evaluation")
    assert text.startswith("1 to 3 complete episodes of each of 64 agents")
    assert "(8 were wanted within 4,000 steps)" in text


def test_an_evaluation_that_went_on_for_longer(desk: Desk) -> None:
    run = desk.run(say=lambda at: passes(episodes=700, unfinished_share=0.049, steps=(4000, 16_000)[at]))
    (text,) = desk.fact(run, "Evaluation")
    assert text.startswith("64 agents × 4,000 to 16,000 steps")
    assert text.endswith("at most 4.9 %")


# --- variants ----------------------------------------------------------------------------------------------------


@pytest.fixture
def with_variants(desk: Desk, inventory: Inventory) -> Desk:
    environment = inventory.environment(ENV)
    declared = {
        "reward": {"shaped": Variant(call="mine:Shaped", arguments={"scale": 0.5})},
        "policy": {"deep": Variant(call="mine:Deep")},
    }
    known = {**inventory.environments, ENV: environment.model_copy(update={"variants": declared})}
    desk.inventory = inventory.model_copy(update={"environments": known})
    desk.config = preset(desk.notebook.workspace, desk.inventory.environment(ENV), "quick")
    return desk


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ({"reward": "shaped"}, "reward shaped = mine:Shaped(scale=0.5); the evaluation is on the environment as it is"),
        ({"policy": "deep"}, "policy deep = mine:Deep()"),
    ],
)
def test_variants_are_named_with_what_they_stood_for(with_variants: Desk, names: dict[str, str], text: str) -> None:
    overrides = {f"autopilot.{kind}_variant": name for kind, name in names.items()}
    declared = with_variants.inventory.environment(ENV).variants
    variants = {kind: declared[kind][name] for kind, name in names.items()}
    run = with_variants.run(overrides, variants=variants)
    assert with_variants.fact(run, "Variants") == [text]
    with_variants.assert_repeatable(run)


# --- pruning -----------------------------------------------------------------------------------------------------


def ended(notebook: Notebook, run: RunRecord, state: RunState, pruning: Pruning) -> RunRecord:
    """The run as if it had ended so."""
    run = run.model_copy(update={"state": state, "pruning": pruning, "reason": None})
    if state is not RunState.FINISHED:
        run = run.model_copy(update={"reason": "seed 2: pruned: 0.05 at 500,000 steps"})
        notebook.paths(run.run_id).summary.unlink()
    write_model(notebook.paths(run.run_id).run, run)
    return run


@pytest.mark.parametrize(
    ("state", "spared", "what"),
    [
        (RunState.PRUNED, False, "so it was stopped"),
        (RunState.FINISHED, True, "it was spared: one run in ten is trained to its end all the same, to see whether"
                                  " stopping would have been a loss"),
        (RunState.FAILED, False, "it ended before it could be stopped"),
    ],
)  # fmt: skip
def test_what_the_pruner_found(state: RunState, spared: bool, what: str, desk: Desk, notebook: Notebook) -> None:
    run = ended(notebook, desk.run(), state, FOUND.model_copy(update={"spared": spared}))
    assert desk.fact(run, "Pruning") == [
        f"at 500,000 steps its training score was 0.05 and the median of 6 peers 0.43; {what}"
    ]


def test_a_pruned_run_has_no_score_but_a_curve(desk: Desk, notebook: Notebook) -> None:
    run = ended(notebook, desk.run(), RunState.PRUNED, FOUND)
    text = desk.report(run)
    assert "No score: the run ended as **pruned**. seed 2: pruned: 0.05 at 500,000 steps" in text
    assert re.search(r"!\[Learning curves: [^]]+\]\(plots/learning_curves\.png\)", text)
    assert "- Command (it trains to the end):" in text
    desk.assert_repeatable(run)


# --- provenance --------------------------------------------------------------------------------------------------


def commit(folder: Path) -> str:
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org"]
    for command in (["init", "-q"], ["add", "mine.py"], ["commit", "-q", "-m", "mine"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_where_it_comes_from(desk: Desk, notebook: Notebook) -> None:
    mine = notebook.workspace.root / "mine.py"
    mine.write_text("x = 1\n")
    head = commit(notebook.workspace.root)
    run = desk.run(say=lambda at: {"sources": {"mine.py": "0123456789abcdef"}, "peak_memory_mib": 300.4 + 1000 * at})
    assert desk.fact(run, "Code") == [f"commit {head[:10]}"]
    assert desk.fact(run, r"Sources \(SHA-256\)") == ["`mine.py` 01234567"]
    assert ", 2 replicates, 1 thread each, 1,300 MiB of memory at most; vec Serial" in desk.report(run)
    mine.write_text("x = 2\n")
    run = desk.run()
    assert desk.fact(run, "Code") == [f"commit {head[:10]}, with uncommitted changes: see code.diff"]
    assert "+x = 2" in notebook.paths(run.run_id).code_diff.read_text()


def test_many_sources_are_counted(desk: Desk) -> None:
    run = desk.run(say=lambda _: {"sources": {f"file{n}.py": f"{n:016x}" for n in range(40)}})
    (text,) = desk.fact(run, r"Sources \(SHA-256\)")
    assert text.endswith("28 more in run.json")
    assert len(text) < 400


# --- the command -------------------------------------------------------------------------------------------------


def test_another_objective_is_part_of_the_command(desk: Desk) -> None:
    desk.assert_repeatable(desk.run(objective="perf:min"))


def test_a_text_that_looks_like_a_number_stays_a_text(desk: Desk) -> None:
    first = desk.run(run_id="2025_01")
    run = desk.warm("2025_01")
    assert run.resume is not None
    assert run.resume.run_id == first.run_id
    desk.assert_repeatable(run)


def measured(name: str, overrides: dict[str, Any]) -> StoredPreset:
    best = Measurement(overrides=overrides, threads=1, at_once=1, batch_size=1024, sps=1.0)
    return StoredPreset(
        name=name, env_name=ENV, base="quick", overrides=overrides, measured=now(), host="here", cores=2, best=best
    )


def test_a_measured_preset_that_changes_or_goes_leaves_the_command_right(desk: Desk, notebook: Notebook) -> None:
    workspace = notebook.workspace
    store(workspace, measured("fast", {"env.num_envs": 2048, "train.minibatch_size": 4096}))
    desk.config = preset(workspace, desk.inventory.environment(ENV), "fast")
    run = desk.run({"train.ent_coef": 0.02}, preset="fast")
    (command,) = desk.commands(run)
    assert command[command.index("--preset") + 1] == "fast"
    store(workspace, measured("fast", {"env.num_envs": 512, "train.minibatch_size": 2048}))
    assert desk.notebook.config(desk.repeated(command).run_id).env["num_envs"] == 2048
    workspace.preset("fast", ENV).unlink()
    (command,) = desk.commands(run)
    assert command[command.index("--preset") + 1] == "quick"
    desk.assert_repeatable(run)


# --- autopilot show ----------------------------------------------------------------------------------------------


def test_show_tells_the_same_in_short(desk: Desk, notebook: Notebook, cli: Cli) -> None:
    first = desk.run()
    told = {"notes": ("mind this",), "stopped_early": "its score reached 0.9 after 5 steps", "peak_memory_mib": 300.0,
            "sources": {"mine.py": "0123456789abcdef"}, **passes(episodes=512, per_slot=8)}  # fmt: skip
    run = desk.warm(first.run_id, say=lambda _: told)
    run = ended(notebook, run, RunState.FINISHED, FOUND.model_copy(update={"spared": True}))
    shown = cli("show", run.run_id)
    assert shown.code == 0, shown.err
    rows = dict(re.findall(r"^([a-z_ ]+?)  +(\S.*)$", shown.out, re.MULTILINE))
    assert rows["warm start"].startswith(f"from {first.run_id} (latest.pt of seeds 1, 2); 2,000,000 steps behind")
    assert rows["note"] == "mind this (every seed)"
    assert rows["pruning"].startswith("at 500,000 steps its training score was 0.05")
    assert rows["evaluation"].startswith("8 complete episodes of each of 64 agents")
    assert rows["trained on"].endswith("2 replicates, 1 thread each, 300 MiB of memory at most")
    assert rows["sources"] == "1 file, hashed in run.json"
    assert "stopped early its score reached 0.9 after 5 steps (every seed)" in shown.out
    record = cli("show", run.run_id, "--json").json()["record"]
    assert record["resume"]["run_id"] == first.run_id
    assert record["pruning"]["spared"] is True


def test_show_of_an_ordinary_or_a_damaged_run(make_run: RunMaker, notebook: Notebook, cli: Cli) -> None:
    run = make_run()
    shown = cli("show", run.run_id).out
    assert not re.search(r"^(warm start|variants|pruning|stopped early|note|code|sources)\b", shown, re.MULTILINE)
    middle = make_run({"train.gamma": 0.9}, parent=run.run_id)
    child = make_run({"train.gamma": 0.95}, parent=middle.run_id)
    lowest = make_run({"train.gamma": 0.97}, parent=child.run_id)
    before = cli("show", child.run_id).out
    notebook.paths(child.run_id).seed(child.seeds[0]).result.write_text("{")
    shown = cli("show", child.run_id)
    assert shown.code == 0
    assert re.search(rf"^damaged +.*seeds/{child.seeds[0]}/result\.json", shown.out, re.MULTILINE)
    kept = [line for line in before.splitlines() if line.startswith(("lineage", "children", "verdict"))]
    assert len(kept) == 3
    assert lowest.run_id in kept[1]
    assert set(kept) <= set(shown.out.splitlines())
    assert "1 replicate" in shown.out or "2 replicates" in shown.out  # what the other one says is still told


# --- pictures ----------------------------------------------------------------------------------------------------

PICTURE = re.compile(r"!\[([^]]+)\]\((plots/[a-z_]+\.png)\)")


def predicted(desk: Desk, run: RunRecord, *metrics: str) -> None:
    """Put scored predictions of a run into the record."""
    for metric in metrics:
        found = Scored(
            time=now(), run_id=run.run_id, proposal="p", group=run.group, arm="offline", metric=metric,
            direction="same", low=0.1, high=0.5, coverage=0.8, value=0.3, base=0.2, score=0.4, reference=0.5,
        )  # fmt: skip
        append_line(desk.notebook.workspace.predictions, found.model_dump(mode="json"))


def drawn(desk: Desk, run: RunRecord) -> dict[str, str]:
    """Pictures that a run's report names, with what it calls them; each is there, and nothing else is."""
    found = {name: title for title, name in PICTURE.findall(desk.report(run))}
    folder = desk.notebook.paths(run.run_id).dir
    assert {f"plots/{path.name}" for path in (folder / "plots").glob("*")} == found.keys()
    for name in found:
        data = (folder / name).read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert data[25] == 6, "red, green, blue and transparency: it lies on a light page and on a dark one"
    return found


def test_a_first_run_has_its_curve_alone(desk: Desk) -> None:
    assert drawn(desk, desk.run()) == {
        "plots/learning_curves.png": "Learning curves: perf while training, mean and range of the replicates"
    }


@pytest.mark.parametrize(
    "overrides",
    [
        {"train.learning_rate": 0.001},
        {"train.gamma": 0.99},
        {"train.bptt_horizon": 16},
        {"train.optimizer": "muon", "train.anneal_lr": False},
        {"train.vf_coef": 1.0, "train.gamma": 0.9, "train.gae_lambda": 0.8, "train.ent_coef": 0.1},
    ],
    ids=", ".join,
)
def test_a_changed_run_shows_score_against_what_changed(overrides: dict[str, Any], desk: Desk) -> None:
    first = desk.run()
    run = desk.run(overrides, parent=first.run_id)
    predicted(desk, run, "perf", "mean_reward")
    found = drawn(desk, run)
    assert list(found) == [
        "plots/predictions.png", "plots/learning_curves.png", "plots/parameters.png", "plots/best_so_far.png"
    ]  # fmt: skip
    names = sorted(key.split(".")[1] for key in overrides)[:3]
    assert found["plots/parameters.png"] == f"perf against {' and '.join(names)}, of all runs so far"


def test_a_failed_run_shows_where_it_would_stand(desk: Desk, notebook: Notebook) -> None:
    first = desk.run()
    run = create_run(
        notebook,
        desk.config.with_overrides({"train.gamma": 0.9}), {"train.gamma": 0.9}, preset="quick", objective="perf:max",
        arm="person", parent=first.run_id,
    )  # fmt: skip
    run = train_run(notebook, FakeRunner(faults={run.seeds[0]: "nan"}), desk.inventory, run.run_id, lambda _: None)
    assert list(drawn(desk, run)) == ["plots/parameters.png"]


def test_a_picture_shows_no_later_run(desk: Desk, notebook: Notebook) -> None:
    first = desk.run()
    second = desk.run({"train.gamma": 0.9}, parent=first.run_id)
    predicted(desk, second, "perf")
    desk.report(second)
    plots = {path.name: path.read_bytes() for path in notebook.paths(second.run_id).plots.iterdir()}
    third = desk.run({"train.gamma": 0.8}, parent=first.run_id)
    predicted(desk, third, "perf")
    desk.report(second)
    assert {path.name: path.read_bytes() for path in notebook.paths(second.run_id).plots.iterdir()} == plots


def test_the_leader_of_when_it_ended_stands_beside_parent_and_incumbent(desk: Desk, notebook: Notebook) -> None:
    session = "2026-01-01T000000Z-abcd"
    base, leader = desk.run(session=session), desk.run({"train.gamma": 0.97}, session=session)
    believed = Leading(time=now(), trained=4, run=leader.run_id, mean=0.7654321, gain=0.1, replicates=4)
    Sessions(notebook.workspace).believe(session, believed)
    text = desk.report(desk.run({"train.ent_coef": 0.02}, parent=base.run_id, session=session))
    (head,) = re.findall(r"^\| metric \| this run .*$", text.partition("---\n")[0], re.MULTILINE)[:1]
    assert head == "| metric | this run | 95 % interval | replicates | parent (incumbent) | leader |"
    assert re.search(r"^\| perf \| .* \| 0.7654 \(believed, n=4\) \|$", text, re.MULTILINE)
    again = desk.report(desk.run({"train.ent_coef": 0.03}, parent=leader.run_id, session=session))
    assert "| replicates | parent (leader) | incumbent |" in again
    assert "believed, n=" not in again


def confirmed(
    notebook: Notebook, run: RunRecord, against: RunRecord, fresh: Sequence[RunRecord], opened: datetime
) -> None:
    """Have fresh seeds of both sides make a run the incumbent, in the record."""
    new, old = (notebook.values(one.run_id, "perf") for one in fresh)
    contender = Confirmation(
        time=opened, candidate=run.run_id, incumbent=against.run_id, outcome="opened", why="", level=0.01,
        min_effect=0.0, group=5, looks=1, metric="perf", session=None,
    )  # fmt: skip
    effect = sum(new) / len(new) - sum(old) / len(old)
    told = {"time": now(), "outcome": "confirmed", "why": "shown", "seeds": len(new), "effect": effect}
    won = contender.model_copy(update={**told, "runs": (fresh[0].run_id,)})
    for one in (contender, won):
        append_line(notebook.workspace.confirmations, one.model_dump(mode="json"))


def scoring(*values: float) -> Say:
    """Replicates that score these, and whose episodes last a hundred times that."""
    return lambda at: {"metrics": {"perf": values[at], "episode_length": 100 * values[at]}}


def test_a_report_shows_the_figures_that_it_computes_with(desk: Desk, notebook: Notebook, inventory: Inventory) -> None:
    """Its incumbent is told by its fresh seeds: in the table, the verdict, the title, the theory, the diagnosis."""
    two, three, one = ({"autopilot.seeds": count} for count in (2, 3, 1))
    base = desk.run(two, say=scoring(0.1, 0.12), arm="baseline")
    record_verdict(notebook, base)
    new = desk.run({**three, "train.gamma": 0.9}, say=scoring(0.26, 0.27, 0.28), parent=base.run_id)
    opened = now()
    seeds = [
        desk.run({"autopilot.seeds": 5}, say=scoring(*values), replicates_of=run.run_id)
        for run, values in ((new, (0.2, 0.21, 0.22, 0.23, 0.24)), (base, (0.1, 0.11, 0.12, 0.13, 0.14)))
    ]
    confirmed(notebook, new, base, seeds, opened)
    changes = {"train.gamma": 0.9, "train.ent_coef": 0.02}
    run = desk.run({**one, **changes}, say=scoring(0.5), parent=new.run_id)
    verdict = record_verdict(notebook, run)
    assert verdict is not None and (verdict.against, verdict.n) == (new.run_id, (1, 5))
    assert Analyst(Lab(notebook, inventory), OfflineResearcher()).analyse(run).fell_back is None
    text = notebook.paths(run.run_id).report.read_text()
    assert "| metric | this run | 95 % interval | replicates | parent (incumbent) |" in text
    assert "| perf | 0.5 | n = 1 | 0.5 | 0.22 (n=5) |" in text
    assert "| episode_length | 50 | n = 1 | 50 | 22 |" in text
    assert "episode_length rose from 22 to 50 (1 replicate against 5 of its parent, beyond noise)" in text
    assert ": perf +0.28 (fewer than two replicates" in text
    assert "perf 0.5 (+0.28 to the incumbent)" in text.splitlines()[0]
    assert "The difference to the incumbent, +0.28, is large" in text
    checked = read_model(notebook.paths(run.run_id).claims, Checked)
    assert [claim.quote for claim in checked.claims if claim.status != "verified"] == []
    later = desk.run({"autopilot.seeds": 5}, say=scoring(*[0.3] * 5), replicates_of=new.run_id)
    assert scores_of(notebook, new.run_id)[-5:] == [*notebook.values(later.run_id, "perf")]
    again = [one for one in check_report(notebook, run.run_id).claims if one.quote == "+0.28"]
    assert {one.status for one in again} == {"verified"}
    assert "| perf | 0.5 | n = 1 | 0.5 | 0.22 (n=5) |" in desk.report(run)
