"""Where the folders and files of a workspace lie: each is a property here or, within a folder, in `folders.py`."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab.base.errors import InvalidInput, NotFound, Problem, invalid
from lab.base.folders import JobPaths, RunPaths, SessionPaths
from lab.base.names import checked, is_reserved, slug


def existing(path: Path) -> Path:
    """A path itself, or its nearest parent that exists."""
    path = path.absolute()
    while not _exists(path):
        path = path.parent
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # below a folder that may not be looked into
        return False


def cache_dir() -> Path:
    """The folder of what belongs to the machine, not to a workspace, and can be made again; made if needed.

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
    raise invalid("AUTOPILOT_CACHE", given, rule, "a folder that you may write to, as in AUTOPILOT_CACHE=DIR")


@dataclass(frozen=True)
class Workspace:
    """A folder with `runs/` and `proposals/`, or with an `autopilot.toml` and not yet anything else."""

    root: Path

    def require_folder(self) -> None:
        """Refuse what is no folder and can't become one.

        Raises:
            InvalidInput: it is a file, or lies below one.
        """
        nearest = existing(self.root)
        if not nearest.is_dir():
            raise self._unwritable(f"{nearest} is no folder")

    def require_there(self) -> None:
        """Refuse a folder that is not there: it has no record.

        Raises:
            InvalidInput: it is not.
        """
        if not self.root.is_dir():
            valid = "a folder that is there; 'autopilot start' makes a new one"
            raise InvalidInput([Problem(key="workspace", value=str(self.root), rule="is not there", valid=valid)])

    def require_writable(self, *folders: Path) -> None:
        """Refuse a folder that can't be written, without leaving anything there.

        Args:
            folders: those that are asked about; all of the workspace if none is given.

        Raises:
            InvalidInput: one is no folder, or may not be written.
        """
        for folder in folders or (self.root, self.runs, self.proposals):
            nearest = existing(folder)
            read_only = bool(os.statvfs(nearest).f_flag & os.ST_RDONLY)
            if read_only or not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
                raise self._unwritable(
                    f"{nearest} is {'a read-only file system' if read_only else 'no writable folder'}"
                )

    def create(self) -> None:
        """Make the workspace's folders that are not there yet.

        Raises:
            InvalidInput: they can't be made, or written.
        """
        self.require_writable()
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
    def notes(self) -> Path:
        """The user's notes, which every analysis reads: goal, domain knowledge, what not to try."""
        return self.root / "notes.md"

    @property
    def comments(self) -> Path:
        """What people said about runs and proposals, one JSON line each, only ever added."""
        return self.runs / "comments.jsonl"

    @property
    def research_log(self) -> Path:
        """What models wanted to know again in later analyses, one JSON line each, only ever added."""
        return self.runs / "research_log.jsonl"

    @cached_property
    def runs(self) -> Path:
        """The folder of the runs."""
        return self.root / "runs"

    @property
    def sessions(self) -> Path:
        """The folder of the sessions."""
        return self.runs / "sessions"

    @cached_property
    def verdicts(self) -> Path:
        """The verdicts, one JSON line each, only ever added."""
        return self.runs / "verdicts.jsonl"

    @property
    def predictions(self) -> Path:
        """The predictions of proposals, each with its outcome."""
        return self.runs / "predictions.jsonl"

    @cached_property
    def names(self) -> Path:
        """What people call runs, one JSON line each, only ever added."""
        return self.runs / "names.jsonl"

    @cached_property
    def confirmations(self) -> Path:
        """The outcomes of candidates for the incumbent's place, one JSON line each, only ever added."""
        return self.runs / "confirmations.jsonl"

    @cached_property
    def index(self) -> Path:
        """The index, SQLite over all runs; it can be made again from the folders at any time."""
        return self.runs / "index.sqlite"

    @property
    def session_lock(self) -> Path:
        """The lock of the one running session, with its pid and start."""
        return self.runs / "session.lock"

    @property
    def not_begun(self) -> Path:
        """Why the session that was started last never began; there is none where all did."""
        return self.runs / "not_begun.json"

    @property
    def mirror_lock(self) -> Path:
        """The lock of the one process that mirrors runs."""
        return self.runs / "mirror.lock"

    @property
    def jobs(self) -> Path:
        """The commands that agents have started, a folder each."""
        return self.runs / "jobs"

    @property
    def batch(self) -> Path:
        """What passes between sessions and jobs of Slurm; gone with them."""
        return self.runs / ".batch"

    @property
    def presets(self) -> Path:
        """The folder of the presets that were measured here."""
        return self.root / "presets"

    def preset(self, name: str, env_name: str) -> Path:
        """The file of a measured preset.

        Raises:
            NotFound: `name` can't be a preset's name.
        """
        return self.presets / f"{checked('preset', name)}.{slug(env_name)}.json"

    @property
    def ballast(self) -> Path:
        """Space kept in hand, given up when the disk is full so that outcomes can still be recorded."""
        return self.runs / ".ballast"

    @cached_property
    def proposals(self) -> Path:
        """The folder of the proposals."""
        return self.root / "proposals"

    @property
    def next_config(self) -> Path:
        """The overrides that run next, for people to look at; never read back."""
        return self.proposals / "next_config.json"

    @property
    def proposals_lock(self) -> Path:
        """The lock that is held while a proposal is changed, so that two deciders can't both win."""
        return self.proposals / ".lock"

    @property
    def exports(self) -> Path:
        """The folder of the policies that were taken home."""
        return self.root / "exports"

    def run(self, run_id: str) -> RunPaths:
        """The files of one run.

        Raises:
            NotFound: `run_id` can't be a run's name.
        """
        if is_reserved(run_id):
            raise NotFound(f"run {run_id!r}: the name is reserved for a file of the workspace")
        return RunPaths(self.runs / checked("run", run_id))

    def session(self, session_id: str) -> SessionPaths:
        """The files of one session.

        Raises:
            NotFound: `session_id` can't be a session's name.
        """
        return SessionPaths(self.sessions / checked("session", session_id))

    def job(self, job_id: str) -> JobPaths:
        """The files of one command that an agent has started.

        Raises:
            NotFound: `job_id` can't be a job's name.
        """
        return JobPaths(self.jobs / checked("job", job_id))

    def proposal(self, proposal_id: str) -> Path:
        """The file of one proposal.

        Raises:
            NotFound: `proposal_id` can't be a proposal's name.
        """
        path = self.proposals / f"{checked('proposal', proposal_id)}.json"
        if path == self.next_config:
            raise NotFound(f"proposal {proposal_id!r}: the name is reserved for a file of the workspace")
        return path
