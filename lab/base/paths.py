"""Where everything lies: each file name of a workspace is a property here, and nowhere else.

Ids become folder names, so they are checked against a narrow pattern before they touch a path: nothing that a model,
a request or an imported folder says can reach outside the workspace.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lab.base.errors import InvalidInput, NotFound, Problem, refused

ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,79}")


def existing(path: Path) -> Path:
    """The path itself, or its nearest parent that exists."""
    path = path.absolute()
    while not _exists(path):
        path = path.parent
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # below a folder that may not be looked into
        return False


OURS = re.compile(r"sessions|README\.md|.*\.(jsonl|lock|sqlite|sqlite-wal|sqlite-shm)")
"""What lies beside the runs' folders."""


def is_id(name: str) -> bool:
    """It can be the name of a run, a session or a proposal."""
    return ID.fullmatch(name) is not None and ".." not in name and not OURS.fullmatch(name)


def checked(kind: str, name: str) -> str:
    """`name`, if it can be a folder of ours.

    Raises:
        NotFound: it can't.
    """
    if not is_id(name):
        raise NotFound(f"{kind} {name[:80]!r} is not in this workspace: an id has letters, digits, '.', '_' and '-'")
    return name


def slug(name: str) -> str:
    """An environment's name as part of a file's: what a path can't have becomes a hyphen."""
    return re.sub(r"[^0-9A-Za-z_.-]+", "-", name)[:80]


def cache_dir() -> Path:
    """The folder of what can be made again at any time and belongs to the machine, not to a workspace; made if needed.

    Raises:
        InvalidInput: there is none that may be written to.
    """
    given = os.environ.get("AUTOPILOT_CACHE")
    try:
        place = Path(given) if given else Path.home() / ".cache" / "autopilot"
        str(place).encode()
        place.mkdir(parents=True, exist_ok=True)
        if os.access(place, os.W_OK | os.X_OK):
            return place
        why = f"{place} can't be written to"
    except (OSError, RuntimeError, UnicodeEncodeError) as error:  # no HOME, and no account that says where it is
        why = str(error)
    rule = f"no folder for what is known of this machine can be written ({why})"
    raise refused("AUTOPILOT_CACHE", given, rule, "a folder that you may write to, as in AUTOPILOT_CACHE=DIR")


@dataclass(frozen=True)
class SeedPaths:
    """One replicate: `runs/<run_id>/seeds/<seed>/`, written by its training process alone while it runs."""

    dir: Path

    @property
    def metrics_live(self) -> Path:
        """One JSON line per logged point, while it trains."""
        return self.dir / "metrics.jsonl"

    @property
    def metrics(self) -> Path:
        """The same as Parquet, once the run has ended."""
        return self.dir / "metrics.parquet"

    @property
    def log(self) -> Path:
        """Everything the training process printed."""
        return self.dir / "train.log"

    @property
    def result(self) -> Path:
        """What came out; its presence means that this replicate is complete."""
        return self.dir / "result.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the saved weights."""
        return self.dir / "checkpoints"

    def weights(self, name: str) -> Path:
        """A checkpoint: `latest`, `best` or `step_000001000000`; what the optimizer knew lies beside it."""
        return self.checkpoints / f"{name}.pt"


@dataclass(frozen=True)
class RunPaths:
    """One run: `runs/<run_id>/`."""

    dir: Path

    @property
    def run(self) -> Path:
        """State, lineage, times, host, versions."""
        return self.dir / "run.json"

    @property
    def config(self) -> Path:
        """The complete, resolved config."""
        return self.dir / "config.json"

    @property
    def override(self) -> Path:
        """What was asked for on top of the preset."""
        return self.dir / "override.json"

    @property
    def config_diff(self) -> Path:
        """What differs from the parent: key → [old, new]."""
        return self.dir / "config_diff.json"

    @property
    def summary(self) -> Path:
        """Every metric with mean, interval and n over the replicates."""
        return self.dir / "trainer_summary.json"

    @property
    def claims(self) -> Path:
        """What checking the report's prose came to."""
        return self.dir / "claims.json"

    @property
    def report(self) -> Path:
        """The run report."""
        return self.dir / "report.md"

    @property
    def proposed(self) -> Path:
        """The proposal that its analysis led to, kept until it is in the queue."""
        return self.dir / ".proposed.json"

    @property
    def transcript(self) -> Path:
        """What the model was sent and what it answered."""
        return self.dir / "transcript.jsonl"

    @property
    def plots(self) -> Path:
        """Folder of the report's pictures."""
        return self.dir / "plots"

    @property
    def owner(self) -> Path:
        """Held by the process that trains it; names its pid."""
        return self.dir / ".owner"

    @property
    def code_diff(self) -> Path:
        """What the user's repository had that was not committed."""
        return self.dir / "code.diff"

    @property
    def imported(self) -> Path:
        """Folder of the files that an imported run came with."""
        return self.dir / "imported"

    @property
    def seeds(self) -> Path:
        """Folder of the replicates."""
        return self.dir / "seeds"

    def seed(self, seed: int) -> SeedPaths:
        """One replicate's files."""
        return SeedPaths(self.seeds / str(seed))


@dataclass(frozen=True)
class SessionPaths:
    """One session: `runs/sessions/<id>/`."""

    dir: Path

    @property
    def session(self) -> Path:
        """Settings, budgets, what was spent, how it ended."""
        return self.dir / "session.json"

    @property
    def events(self) -> Path:
        """What happened, one JSON line each, only ever added."""
        return self.dir / "events.jsonl"

    @property
    def log(self) -> Path:
        """What a session says that runs detached from any terminal."""
        return self.dir / "session.log"

    @property
    def digest(self) -> Path:
        """The morning's summary."""
        return self.dir / "digest.md"

    @property
    def plots(self) -> Path:
        """Folder of the digest's pictures."""
        return self.dir / "plots"


@dataclass(frozen=True)
class ExportPaths:
    """A policy taken home: a folder that PufferLib alone can play."""

    dir: Path

    @property
    def record(self) -> Path:
        """Whose policy it is, how it scored, what it was made with."""
        return self.dir / "export.json"

    @property
    def readme(self) -> Path:
        """What is in the folder and how to play it."""
        return self.dir / "README.md"

    @property
    def weights(self) -> Path:
        """A plain state_dict."""
        return self.dir / "weights.pt"

    @property
    def script(self) -> Path:
        """PufferLib's own eval with this config and these weights."""
        return self.dir / "eval.py"

    def ini(self, env_name: str) -> Path:
        """The complete config as PufferLib's own; it looks for inis in a folder of that name."""
        return self.dir / "config" / f"{slug(env_name)}.ini"


@dataclass(frozen=True)
class Workspace:
    """A folder with `runs/` and `proposals/`, or with an `autopilot.toml` and not yet anything else."""

    root: Path

    def require_writable(self) -> None:
        """Refuse a folder that can't be written, without leaving anything there.

        Raises:
            InvalidInput: it is no folder, or may not be written.
        """
        for folder in (self.root, self.runs, self.proposals):
            nearest = existing(folder)
            read_only = bool(os.statvfs(nearest).f_flag & os.ST_RDONLY)
            if read_only or not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
                raise self._unwritable(
                    f"{nearest} is {'a read-only file system' if read_only else 'no writable folder'}"
                )

    def create(self) -> None:
        """Make the folders that are not there yet.

        Raises:
            InvalidInput: they can't be made.
        """
        try:
            for folder in (self.runs, self.proposals):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(str(error)) from error

    def _unwritable(self, why: str) -> InvalidInput:
        rule = f"can't be written ({why})"
        return InvalidInput(
            [Problem(key="workspace", value=str(self.root), rule=rule, valid="a folder you may write to")]
        )

    @property
    def settings(self) -> Path:
        """The user's settings for this workspace."""
        return self.root / "autopilot.toml"

    @property
    def runs(self) -> Path:
        """Folder of the runs."""
        return self.root / "runs"

    @property
    def sessions(self) -> Path:
        """Folder of the sessions."""
        return self.runs / "sessions"

    @property
    def verdicts(self) -> Path:
        """Every verdict, one JSON line each, only ever added."""
        return self.runs / "verdicts.jsonl"

    @property
    def predictions(self) -> Path:
        """What proposals predicted, each with what came of it."""
        return self.runs / "predictions.jsonl"

    @property
    def confirmations(self) -> Path:
        """What became of candidates for the place of the incumbent, one JSON line each, only ever added."""
        return self.runs / "confirmations.jsonl"

    @property
    def index(self) -> Path:
        """SQLite over all runs; can be made again from the folders at any time."""
        return self.runs / "index.sqlite"

    @property
    def session_lock(self) -> Path:
        """Held by the one running session; names its pid and start."""
        return self.runs / "session.lock"

    @property
    def presets(self) -> Path:
        """Folder of the presets that were measured here."""
        return self.root / "presets"

    def preset(self, name: str, env_name: str) -> Path:
        """One of them.

        Raises:
            NotFound: `name` can't be a preset's name.
        """
        return self.presets / f"{checked('preset', name)}.{slug(env_name)}.json"

    @property
    def ballast(self) -> Path:
        """Space kept in hand, given up when the disk is full so that outcomes can still be recorded."""
        return self.runs / ".ballast"

    @property
    def proposals(self) -> Path:
        """Folder of the proposals."""
        return self.root / "proposals"

    @property
    def next_config(self) -> Path:
        """The overrides that run next, for people to look at; never read back."""
        return self.proposals / "next_config.json"

    @property
    def proposals_lock(self) -> Path:
        """Held while a proposal is changed, so that two deciders can't both win."""
        return self.proposals / ".lock"

    @property
    def exports(self) -> Path:
        """Folder of the policies that were taken home."""
        return self.root / "exports"

    def run(self, run_id: str) -> RunPaths:
        """One run's files.

        Raises:
            NotFound: `run_id` can't be a run's name.
        """
        if OURS.fullmatch(run_id):
            raise NotFound(f"run {run_id!r}: the name is reserved for a file of the workspace")
        return RunPaths(self.runs / checked("run", run_id))

    def session(self, session_id: str) -> SessionPaths:
        """One session's files.

        Raises:
            NotFound: `session_id` can't be a session's name.
        """
        return SessionPaths(self.sessions / checked("session", session_id))

    def proposal(self, proposal_id: str) -> Path:
        """One proposal's file.

        Raises:
            NotFound: `proposal_id` can't be a proposal's name.
        """
        path = self.proposals / f"{checked('proposal', proposal_id)}.json"
        if path == self.next_config:
            raise NotFound(f"proposal {proposal_id!r}: the name is reserved for a file of the workspace")
        return path
