"""Warm starts: whose weights a run goes on from, resolved once, when the run is made.

What `best` and `latest` stand for changes through the night; the record names the run and the files they stood for.
"""

from pathlib import Path

from lab.base import AutopilotError, InvalidInput, NotFound, Problem
from lab.space import BOOKKEEPING, Config, Group, diff
from lab.store.notebook import Notebook
from lab.store.records import Resume, RunRecord, RunState

ALLOWED = {"autopilot.resume_mode", "autopilot.resume_from", *BOOKKEEPING}
"""What a control may change."""
VALID = "latest | best | a run's id | the path of a .pt file in the workspace"


def resolve(notebook: Notebook, config: Config, group: Group) -> Resume | None:
    """Where a run of this config takes its weights from; None when it starts fresh.

    Args:
        notebook: whose runs are meant.
        config: `autopilot.resume_mode` and `autopilot.resume_from` say what is wanted: `latest` (the group's newest
            finished run), `best` (its incumbent, at its best checkpoint where it kept one), a run's id, or the path
            of a checkpoint inside the workspace.
        group: what `latest` and `best` look in.

    Raises:
        InvalidInput: there is no such run or file, or it lies outside the workspace.
    """
    if config.autopilot.get("resume_mode") != "continue":
        return None
    wanted = str(config.autopilot.get("resume_from") or "")
    if wanted.endswith(".pt"):
        return _file(notebook, wanted)
    if wanted == "best":
        name = notebook.incumbent(group)
        if name is None:
            raise _refused(wanted, "means the incumbent, and there is none yet")
        return _of_run(notebook, notebook.run(name), wanted, prefer="best")
    if wanted == "latest":
        finished = [run for run in notebook.runs(group) if run.state is RunState.FINISHED]
        if not finished:
            raise _refused(wanted, "means the newest finished run, and there is none yet")
        return _of_run(notebook, finished[-1], wanted, prefer="latest")
    try:
        run = notebook.run(wanted)
    except NotFound:
        raise _refused(wanted, "is no run of this workspace") from None
    if run.env_name != config.env_name:
        raise _refused(wanted, f"is a run of {run.env_name}, not of {config.env_name}")
    return _of_run(notebook, run, wanted, prefer="latest")


def control(notebook: Notebook, run: RunRecord) -> RunRecord | None:
    """The finished run that goes on from the same weights as this one and changes nothing; None if there is none.

    Args:
        notebook: whose runs are meant.
        run: a warm start; any other has no control.
    """
    if run.resume is None:
        return None
    for other in notebook.runs(run.group):
        same = other.resume is not None and other.resume.files == run.resume.files and other.run_id != run.run_id
        if same and other.state is RunState.FINISHED and is_control(notebook, other):
            return other
    return None


def is_control(notebook: Notebook, run: RunRecord) -> bool:
    """Whether a run resumes another one's weights and changes nothing of that one's config."""
    if run.resume is None or run.resume.run_id is None:
        return False
    try:
        return not diff(notebook.config(run.resume.run_id), notebook.config(run.run_id)).keys() - ALLOWED
    except AutopilotError:
        return False


def _of_run(notebook: Notebook, run: RunRecord, wanted: str, *, prefer: str) -> Resume:
    if not run.state.ended:
        raise _refused(wanted, f"is run {run.run_id}, which is {run.state}: its weights still change")
    if run.state in (RunState.FAILED, RunState.DIVERGED):
        raise _refused(wanted, f"is run {run.run_id}, which {run.state}: its weights are not to be trusted")
    workspace = notebook.workspace
    files = []
    for seed in run.seeds:
        paths = workspace.run(run.run_id).seed(seed)
        weights = next((p for p in (paths.weights(prefer), paths.weights("latest")) if p.exists()), None)
        if weights is None:
            raise _refused(wanted, f"is run {run.run_id}, which kept no weights of seed {seed}")
        files.append(str(weights.relative_to(workspace.root)))
    return Resume(run_id=run.run_id, files=tuple(files))


def _file(notebook: Notebook, wanted: str) -> Resume:
    root = notebook.workspace.root.resolve()
    path = (root / wanted).resolve()
    if not path.is_relative_to(root):
        raise _refused(wanted, f"lies outside the workspace {root}")
    if not path.is_file():
        raise _refused(wanted, "is not a file")
    relative = path.relative_to(root)
    inside = relative.parts[:1] == (notebook.workspace.runs.name,) and len(relative.parts) > 2
    return Resume(run_id=relative.parts[1] if inside else None, files=(str(relative),))


def _refused(wanted: str, rule: str) -> InvalidInput:
    return InvalidInput([Problem(key="autopilot.resume_from", value=repr(wanted[:200]), rule=rule, valid=VALID)])


def source_file(root: Path, resume: Resume, replicate: int) -> Path:
    """The checkpoint that the replicate of this number starts from.

    Args:
        root: the workspace.
        resume: of its run.
        replicate: 0 for the run's first seed.
    """
    return root / resume.files[replicate % len(resume.files)]
