"""What lies in the folder of a replicate, a run, a session or an export: each file name is a property here."""

from dataclasses import dataclass
from pathlib import Path

from lab.base.names import slug


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
