"""The files in the folder of a replicate, a run, a session or an export: each file name is a property here."""

from dataclasses import dataclass
from pathlib import Path

from lab.base.names import slug


@dataclass(frozen=True)
class SeedPaths:
    """The files of one replicate, `runs/<run_id>/seeds/<seed>/`; while it trains, its process alone writes them."""

    dir: Path

    @property
    def metrics_live(self) -> Path:
        """The logged points of a training under way, one JSON line each."""
        return self.dir / "metrics.jsonl"

    @property
    def metrics(self) -> Path:
        """The logged points as Parquet, once the run has ended."""
        return self.dir / "metrics.parquet"

    @property
    def log(self) -> Path:
        """The log of everything that the training process printed."""
        return self.dir / "train.log"

    @property
    def result(self) -> Path:
        """The replicate's result, whose presence means that the replicate is complete."""
        return self.dir / "result.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of the saved weights."""
        return self.dir / "checkpoints"

    @property
    def events(self) -> Path:
        """TensorBoard's file, where the metrics are mirrored there."""
        return self.dir / "tensorboard" / "events.out.tfevents.training"

    @property
    def sent(self) -> Path:
        """How many points Weights & Biases was sent, and as which run there."""
        return self.dir / "wandb" / "sent"

    def weights(self, name: str) -> Path:
        """The weights of a checkpoint: `latest`, `best` or `step_000001000000`; the optimizer's state lies beside."""
        return self.checkpoints / f"{name}.pt"


@dataclass(frozen=True)
class RunPaths:
    """The files of one run: `runs/<run_id>/`."""

    dir: Path

    @property
    def run(self) -> Path:
        """The run's record: state, lineage, times, host, versions."""
        return self.dir / "run.json"

    @property
    def config(self) -> Path:
        """The complete, resolved config."""
        return self.dir / "config.json"

    @property
    def override(self) -> Path:
        """The overrides that were asked for on top of the preset."""
        return self.dir / "override.json"

    @property
    def config_diff(self) -> Path:
        """The keys that differ from the parent: key → [old, new]."""
        return self.dir / "config_diff.json"

    @property
    def summary(self) -> Path:
        """The summary: every metric with mean, interval and n over the replicates."""
        return self.dir / "trainer_summary.json"

    @property
    def claims(self) -> Path:
        """The claims of the report's prose, checked."""
        return self.dir / "claims.json"

    @property
    def report(self) -> Path:
        """The run report."""
        return self.dir / "report.md"

    @property
    def proposed(self) -> Path:
        """The proposal that the run's analysis led to, kept until the queue has it."""
        return self.dir / ".proposed.json"

    @property
    def transcript(self) -> Path:
        """The transcript of the analysis: what the model was sent and what it answered."""
        return self.dir / "transcript.jsonl"

    @property
    def plots(self) -> Path:
        """The folder of the report's pictures."""
        return self.dir / "plots"

    @property
    def films(self) -> Path:
        """What was filmed of the run."""
        return self.dir / "films.json"

    def film(self, which: str) -> Path:
        """The animated picture of its `best`, `worst` or `only` replicate."""
        return self.plots / f"{which}_replicate.webp"

    @property
    def owner(self) -> Path:
        """The lock of the process that trains the run, with its pid."""
        return self.dir / ".owner"

    @property
    def mirror_log(self) -> Path:
        """What the mirror of a training said, where it went wrong."""
        return self.dir / "mirror.log"

    @property
    def code_diff(self) -> Path:
        """The changes in the user's repository that were not committed."""
        return self.dir / "code.diff"

    @property
    def imported(self) -> Path:
        """The folder of the files that an imported run came with."""
        return self.dir / "imported"

    @property
    def seeds(self) -> Path:
        """The folder of the replicates."""
        return self.dir / "seeds"

    def seed(self, seed: int) -> SeedPaths:
        """The files of one replicate."""
        return SeedPaths(self.seeds / str(seed))


@dataclass(frozen=True)
class JobPaths:
    """The files of one command that an agent has started: `runs/jobs/<id>/`."""

    dir: Path

    @property
    def job(self) -> Path:
        """What it is, who asked for it, how it ended."""
        return self.dir / "job.json"

    @property
    def out(self) -> Path:
        """What it printed: JSON where the command can."""
        return self.dir / "out"

    @property
    def log(self) -> Path:
        """What it said beside that, the line of an error included."""
        return self.dir / "log"


@dataclass(frozen=True)
class HandoverPaths:
    """The files by which a session's analyses pass to agents from outside: `runs/sessions/<id>/handover/`."""

    dir: Path

    @property
    def turn(self) -> Path:
        """The analysis that is offered or under way, and whose turn it is; the session alone writes it."""
        return self.dir / "turn.json"

    @property
    def lease(self) -> Path:
        """Who has it."""
        return self.dir / "lease.json"

    @property
    def call(self) -> Path:
        """What that one calls next."""
        return self.dir / "call.json"

    @property
    def asked(self) -> Path:
        """When an agent last asked for an analysis and got none: somebody is there."""
        return self.dir / "asked.json"

    @property
    def lock(self) -> Path:
        """The lock that is held while turn, lease or call change hands."""
        return self.dir / ".lock"


@dataclass(frozen=True)
class SessionPaths:
    """The files of one session: `runs/sessions/<id>/`."""

    dir: Path

    @property
    def session(self) -> Path:
        """The session's record: settings, budgets, what was spent, how it ended."""
        return self.dir / "session.json"

    @property
    def events(self) -> Path:
        """The session's events, one JSON line each, only ever added."""
        return self.dir / "events.jsonl"

    @property
    def leader(self) -> Path:
        """What the search believed to be best as the session went on, one JSON line each time it was asked."""
        return self.dir / "leader.jsonl"

    @property
    def slots(self) -> Path:
        """Where its replicates train, and how busy its slots have been."""
        return self.dir / "slots.json"

    @property
    def log(self) -> Path:
        """The log of a session that runs detached from any terminal."""
        return self.dir / "session.log"

    @property
    def handover(self) -> HandoverPaths:
        """How its analyses pass to agents from outside."""
        return HandoverPaths(self.dir / "handover")

    @property
    def mirror_log(self) -> Path:
        """What the mirror of the session said, where it went wrong."""
        return self.dir / "mirror.log"

    @property
    def digest(self) -> Path:
        """The digest: the morning's summary."""
        return self.dir / "digest.md"

    @property
    def plots(self) -> Path:
        """The folder of the digest's pictures."""
        return self.dir / "plots"


@dataclass(frozen=True)
class ExportPaths:
    """The files of a policy taken home: a folder that PufferLib alone can play."""

    dir: Path

    @property
    def record(self) -> Path:
        """The export's record: the policy's run, its score, what it was made with."""
        return self.dir / "export.json"

    @property
    def readme(self) -> Path:
        """The README: what is in the folder and how to play the policy."""
        return self.dir / "README.md"

    @property
    def weights(self) -> Path:
        """The weights, as a plain state_dict."""
        return self.dir / "weights.pt"

    @property
    def script(self) -> Path:
        """The script that runs PufferLib's own eval with the exported config and weights."""
        return self.dir / "eval.py"

    def ini(self, env_name: str) -> Path:
        """The complete config as an ini, in the folder `config`, where PufferLib looks for inis."""
        return self.dir / "config" / f"{slug(env_name)}.ini"
