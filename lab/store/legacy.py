"""Runs of other systems, imported to be read and compared with: never judged, never the incumbent, never trained again.

A folder may have `config.json`, `override.json`, `config_diff.json`, `run.json`, `summary.json`, `model_path.txt`,
`trainer_summary.json` and `notes.txt`, a report; any may be missing or broken. What is there is kept as it was in
`imported/`; what can be understood becomes a run's usual files. Values that today's search space would not take and
metrics that can't be what they are called are kept and flagged: an import never mends.
"""

import json
import math
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.base import (
    InvalidInput,
    Problem,
    RunPaths,
    Workspace,
    fit,
    is_id,
    locked,
    plain,
    storable,
    write_atomic,
    write_json,
    write_model,
)
from lab.space import PARAMETERS, SECTIONS, Config, Objective, metrics_of, space_for
from lab.store.creation import next_number
from lab.store.index import Index
from lab.store.records import MetricSummary, Resume, RunRecord, RunState, TrainerSummary
from lab.store.summary import oddity

FILES = (
    "config.json",
    "override.json",
    "config_diff.json",
    "run.json",
    "summary.json",
    "trainer_summary.json",
    "notes.txt",
    "model_path.txt",
)
LARGEST = 5_000_000
"""Bytes of one of them; a larger one is left where it is, and said."""
FLAGS = 100
"""Of a run, at most."""
PRESET = "imported"
PARENT = ("parent", "parent_run_id", "parent_run")
"""Names of the parent in `run.json` or its `metadata`."""
ALIASES = {"entropy_coef": "ent_coef", "lr": "learning_rate"}
"""Other names of keys of `train`."""
OBJECTIVES = ("perf", "success_rate", "score", "mean_reward")
"""The first of these that was measured, where nobody says what counts."""


@dataclass(frozen=True)
class Found:
    """One folder, read but not written."""

    folder: Path
    record: RunRecord
    config: Config
    overrides: dict[str, Any]
    changed: dict[str, Any]
    summary: TrainerSummary | None
    report: str | None
    kept: tuple[str, ...]


def look(folder: Path, objective: str | None = None) -> list[Found]:
    """Every run in a folder of runs, or in one run's own folder, oldest first.

    Args:
        folder: `<run_id>/` folders with the files above, or one of these.
        objective: such as `success_rate:max`; what was measured decides if None.

    Raises:
        InvalidInput: it is no folder, or has none of these files anywhere.
    """
    if not folder.is_dir():
        raise _refused(folder, "is not a folder")
    places = [folder] if _is_run(folder) else sorted(place for place in folder.iterdir() if _is_run(place))
    if not places:
        raise _refused(folder, "has no run in it", f"a folder with {', '.join(FILES[:2])} or {FILES[5]}")
    if odd := next((place.name for place in places if not is_id(place.name)), None):
        raise _refused(odd, "can't be a run's name", "letters, digits, '.', '_' and '-', 80 at most")
    return [_run(place, {other.name for other in places}, objective) for place in places]


def store(workspace: Workspace, runs: list[Found]) -> list[str]:
    """Write imported runs, all or, where a name is taken, none; the names of those written.

    Raises:
        InvalidInput: a run of that name is there already.
    """
    workspace.create()
    with locked(workspace.runs / ".lock"):
        if taken := [run.record.run_id for run in runs if workspace.run(run.record.run_id).dir.exists()]:
            rule = f"{'is' if len(taken) == 1 else 'are'} in this workspace already: a run is never overwritten"
            names = ", ".join(taken[:5]) + (f" and {len(taken) - 5} more" if len(taken) > 5 else "")
            raise InvalidInput([Problem(key="import", value=names, rule=rule, valid="a folder of other runs")])
        first = next_number(Index(workspace))
        for number, run in enumerate(sorted(runs, key=lambda run: run.record.created), start=first):
            _write(workspace, run, number)
    return [run.record.run_id for run in runs]


def _write(workspace: Workspace, run: Found, number: int) -> None:
    paths = workspace.run(run.record.run_id)
    work = RunPaths(workspace.runs / f".new-{paths.dir.name}")
    shutil.rmtree(work.dir, ignore_errors=True)
    for name in run.kept:
        write_atomic(work.imported / name, (run.folder / name).read_bytes()[:LARGEST])
    write_model(work.config, run.config)
    write_json(work.override, run.overrides)
    write_json(work.config_diff, run.changed)
    if run.summary is not None:
        write_model(work.summary, run.summary)
    if run.report is not None:
        write_atomic(work.report, run.report)
    write_model(work.run, run.record.model_copy(update={"number": number}))
    work.dir.rename(paths.dir)


# --- reading -----------------------------------------------------------------------------------------------------


def _is_run(place: Path) -> bool:
    return place.is_dir() and any((place / name).is_file() for name in FILES)


def _run(place: Path, beside: set[str], objective: str | None) -> Found:
    flags: list[str] = []
    texts = {name: text for name in FILES if (text := _text(place / name, flags)) is not None}
    parsed = {name: _mapping(name, text, flags) for name, text in texts.items() if name.endswith(".json")}
    told = {**parsed.get("summary.json", {}), **parsed.get("trainer_summary.json", {})}
    about = parsed.get("run.json", {})
    config = _config({**_of(told, SECTIONS), **parsed.get("config.json", {})}, {**about, **told}, flags)
    metrics = _metrics(_told_metrics(told, flags), config.env_name, flags)
    goal = Objective.of(objective or _objective(config.env_name, metrics), config.env_name)
    at = _time(about.get("created_at"), told.get("timestamp"), about.get("timestamp"), about.get("created"), place)
    scored = goal.metric in metrics
    metadata = about["metadata"] if isinstance(about.get("metadata"), dict) else {}
    parent = next((it[key] for it in (about, metadata) for key in PARENT if it.get(key)), None)
    flags += [
        f"{key} = {plain(str(value), 60)}: kept in imported/, no part of the record"
        for key, value in {**metadata, **about, **told}.items()
        if "seed" in str(key) and key != "seed"
    ]
    if parent is not None and (not isinstance(parent, str) or parent not in beside or parent == place.name):
        flags.append(f"its parent {plain(str(parent), 100)} was not imported")
        parent = None
    record = RunRecord(
        run_id=place.name,
        state=RunState.FINISHED if scored else RunState.FAILED,
        env_name=config.env_name,
        preset=PRESET,
        objective=str(goal),
        arm=PRESET,
        parent=parent,
        legacy=True,
        seeds=(_seed(config),),
        created=at,
        finished=max(at, _time(told.get("timestamp"), about.get("finished_at"), at)),
        resume=_resumed({**told, **parsed.get("config.json", {})}, beside - {place.name}),
        reason=None if scored else f"imported without a {goal.metric!r}",
        flags=(*flags[:FLAGS], *([f"{len(flags) - FLAGS} more"] if len(flags) > FLAGS else [])),
    )
    sections = {"train": config.train, "env": config.env, "vec": config.vec}
    summary = TrainerSummary(timestamp=at, run_id=place.name, metrics=metrics, **sections) if scored else None
    report = texts.get("notes.txt")
    return Found(
        place,
        record,
        config,
        parsed.get("override.json", {}),
        parsed.get("config_diff.json", {}),
        summary,
        None if report is None else plain(report, 200_000),
        tuple(texts),
    )


def _text(path: Path, flags: list[str]) -> str | None:
    try:
        kind = path.lstat()
        what = "a link" if stat.S_ISLNK(kind.st_mode) else "no plain file" if not stat.S_ISREG(kind.st_mode) else ""
        if what or kind.st_size > LARGEST:
            flags.append(f"{path.name} is {what or 'too large'}: it was left where it is")
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        flags.append(f"{path.name} can't be read: {error.strerror}")
        return None


def _mapping(name: str, text: str, flags: list[str]) -> dict[str, Any]:
    try:
        content = storable(json.loads(text))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        flags.append(f"{name} is not a JSON object: nothing was taken from it")
        return {}
    return content


def _of(mapping: Mapping[str, Any], sections: tuple[str, ...]) -> dict[str, Any]:
    return {key: mapping[key] for key in sections if isinstance(mapping.get(key), dict)}


def _config(content: Mapping[str, Any], about: Mapping[str, Any], flags: list[str]) -> Config:
    """What there is of a config, in our sections; keys may be nested, dotted, or under another name."""
    sections: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for key, value in content.items():
        section, _, name = key.partition(".")
        if key in sections and isinstance(value, dict):
            sections[key] |= value
        elif key in sections and not (key == "env" and isinstance(value, str)):
            flags.append(f"{key} = {plain(str(value), 40)}: not a table, left out")
        elif key == "env_name" and not isinstance(value, str):
            flags.append(f"env_name = {plain(str(value), 40)}: not a name, left out")
        elif not name and key not in (*SECTIONS, "env_name", "load_model_path"):
            flags.append(f"{plain(str(key), 60)} = {plain(str(value), 40)}: no part of a config, left out")
        elif name and section in sections:
            sections[section][name] = value
    train = {ALIASES.get(key, key): value for key, value in sections["train"].items()}
    sections["train"] = train
    said = (content.get("env_name"), about.get("env_name"), content.get("env"), train.get("env"))
    name = next((value for value in said if isinstance(value, str)), "unknown")
    plain_values = {
        section: {key: value for key, value in values.items() if section == "env" or _scalar(value)}
        for section, values in sections.items()
    }
    config = Config(env_name=plain(name, 80), **plain_values)
    known = {parameter.key for parameter in PARAMETERS}
    flat = {key: value for key, value in config.flat().items() if value is not None and not key.startswith("env.")}
    odd = {key: str(value)[:40] for key, value in flat.items() if key not in known}
    flags += [f"{key} = {value}: not a key of today's search space" for key, value in odd.items()]
    given = {key: value for key, value in flat.items() if key in known}
    flags += [f"{problem.key} = {problem.value}: {problem.rule}" for problem in space_for({}).problems(given)]
    return config


def _scalar(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))


KNOWN = {"timestamp", "run_id", "env_name", "config", "metrics", *SECTIONS}
"""Keys of a summary that are no metrics."""


def _told_metrics(told: Mapping[str, Any], flags: list[str]) -> dict[str, Any]:
    """A summary's metrics, or, where it has no table of them, its own numbers."""
    if isinstance(told.get("metrics"), dict):
        return dict(told["metrics"])
    if "metrics" in told:
        flags.append(f"metrics = {plain(str(told['metrics']), 40)}: not a table")
    flat = {key: value for key, value in told.items() if key not in KNOWN and not isinstance(value, (dict, list))}
    if flat:
        flags.append("the summary has no table 'metrics': its numbers were taken for metrics")
    return flat


def _metrics(content: object, env_name: str, flags: list[str]) -> dict[str, MetricSummary]:
    """One value each, so without an interval; what can't be what it is called is flagged."""
    metrics: dict[str, MetricSummary] = {}
    declared = metrics_of(env_name)
    for given, told in content.items() if isinstance(content, dict) else ():
        name = " ".join(plain(given, 60).split())
        value = told.get("mean") if isinstance(told, dict) else told  # as our own summaries have it
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not fit(value):
            flags.append(f"metric {plain(str(name), 60)} = {plain(str(value), 40)}: not a finite number, left out")
            continue
        number = float(value)
        flag = oddity([number], declared[name].bounds if name in declared else (None, None))
        if flag:
            flags.append(f"metric {name} = {number:g}: {flag}")
        metrics[name] = MetricSummary(mean=number, low=None, high=None, n=1, values=(number,), flag=flag)
    return metrics


def _objective(env_name: str, metrics: Mapping[str, MetricSummary]) -> str:
    usual = Objective.of(None, env_name).metric
    return f"{next((name for name in (usual, *OBJECTIVES) if name in metrics), usual)}:max"


def _resumed(content: Mapping[str, Any], beside: set[str]) -> Resume | None:
    """Whose weights a run went on from, by a path that was loaded or a mode that says so; None for fresh ones."""
    said = {**content, **_of(content, ("autopilot",)).get("autopilot", {})}
    path, mode, source = (said.get(key) for key in ("load_model_path", "resume_mode", "resume_from"))
    if not isinstance(path, str) and mode != "continue":
        return None
    named = next((run for run in sorted(beside) if run in f"{path} {source}"), None)
    return Resume(run_id=named, files=tuple(plain(it, 200) for it in (path or source,) if isinstance(it, str)))


def _seed(config: Config) -> int:
    seed = config.train.get("seed")
    return seed if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**31 else 0


def _time(*candidates: object) -> datetime:
    """The first that is a time; the last one is the folder, whose own time always is one."""
    for value in candidates:
        if isinstance(value, str):
            for text in (value.replace("Z", "+00:00"), f"{value[:13]}:{value[13:15]}:{value[15:17]}+00:00"):
                try:
                    at = datetime.fromisoformat(text)
                except ValueError:
                    continue
                return at if at.tzinfo else at.replace(tzinfo=UTC)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e11:
            return datetime.fromtimestamp(float(value), UTC)
        if isinstance(value, Path):
            named = _named(value.name)
            return named or datetime.fromtimestamp(value.stat().st_mtime, UTC)
    return datetime.fromtimestamp(0, UTC)


def _named(name: str) -> datetime | None:
    """The time that a folder such as `2025-09-20T162635Z-k3f9` is named by."""
    try:
        return datetime.strptime(name[:18], "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _refused(value: object, rule: str, valid: str = "a folder of run folders") -> InvalidInput:
    return InvalidInput([Problem(key="import", value=repr(str(value))[:200], rule=rule, valid=valid)])
