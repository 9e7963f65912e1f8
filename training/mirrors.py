"""Mirrors of a training's metrics, in TensorBoard and in Weights & Biases, for people who watch there.

`metrics.jsonl` is the record and a mirror a convenience: whatever a mirror does (raise, hang, be slow, lack its
package) costs the training a line in its log and nothing else. So a daemon thread of its own opens, feeds and closes
each; the training puts points into a bounded queue and waits for nothing but `close`, which has a limit.

The threads start with the first point, when the processes of the environments have been forked: a lock that another
thread holds during a fork stays locked in the child. A training that is killed leaves TensorBoard's file complete, and
that of Weights & Biases up to 15 s short.

Metrics and config are all that leaves the machine; Weights & Biases adds the versions of itself and of Python.
"""

import contextlib
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, Protocol

from lab.base import SeedPaths, plain, write_atomic

MirrorName = Literal["tensorboard", "wandb"]
CAPACITY = 1000
"""Points that wait for one mirror; PuffeRL logs at most four in a second."""


class Mirror(Protocol):
    """A place that points are copied to; used by one thread, its own."""

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Take over one point: finite numbers by metric, and the agent steps so far."""

    def close(self) -> None:
        """Write out whatever is still held back."""


class Mirrors:
    """All mirrors of a training, each fed from a thread of its own over a bounded queue."""

    def __init__(self, openers: Sequence[tuple[str, Callable[[], Mirror]]], note: Callable[[str], None]) -> None:
        """Open nothing yet.

        Args:
            openers: name and what opens the mirror, from `openers`.
            note: gets a line when a mirror fails, which is tried once only, and one at the end about points that were
                dropped; called from the mirrors' threads as well.
        """
        self._feeds = [_Feed(name, opener, note) for name, opener in openers]
        self._closed = False

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Copy one point to each mirror that still works; what a full queue can't take is dropped.

        Never waits, never raises.

        Args:
            numbers: value by metric, such as `environment/perf`; finite.
            step: agent steps so far; grows from call to call.
        """
        if not self._closed:
            point = dict(numbers), step
            for feed in self._feeds:
                feed.put(point)

    def close(self, timeout: float = 10) -> None:
        """Let every mirror finish what it has been given, and give up on those that don't. Never raises.

        Args:
            timeout: seconds for all of them together.
        """
        if self._closed:
            return
        self._closed = True
        deadline = time.monotonic() + timeout
        for feed in self._feeds:
            feed.end()
        for feed in self._feeds:
            feed.join(max(0.0, deadline - time.monotonic()), timeout)


class _Feed:
    """One mirror's queue and thread, and what became of it."""

    def __init__(self, name: str, opener: Callable[[], Mirror], note: Callable[[str], None]) -> None:
        self._name, self._opener, self._note = name, opener, note
        self._points: SimpleQueue[tuple[dict[str, float], int] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"mirror-{name}", daemon=True)
        self._lock = threading.Lock()
        self._started = self._failed = False
        self._dropped = 0

    def put(self, point: tuple[dict[str, float], int]) -> None:
        if not self._started:
            self._started = True
            with self._failing():
                self._thread.start()
        if self._failed:
            return
        if self._points.qsize() < CAPACITY:
            self._points.put(point)
        else:
            self._dropped += 1

    def end(self) -> None:
        self._points.put(None)

    def join(self, seconds: float, allowed: float) -> None:
        if self._thread.ident is None:  # there was no point, or no thread to be had
            return
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._dropped += max(0, self._points.qsize() - 1)  # the last one in there is the end
            self._fail(f"it did not end within {allowed:g} s")
        if self._dropped:
            self._say(f"{self._dropped} points were dropped")

    def _run(self) -> None:
        with self._failing():
            mirror = self._opener()
            with self._failing():
                while (point := self._points.get()) is not None:
                    mirror.log(*point)
            mirror.close()  # after a failure too: what it took before may be held back

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except ModuleNotFoundError as error:
            self._fail(f"{error}: {sys.executable} -m pip install {self._name}")
        except BaseException as error:  # noqa: BLE001 - recorded; a library that calls sys.exit is no different
            self._fail(plain(" ".join([f"{type(error).__name__}:", *str(error).split()]), 300).rstrip(":"))

    def _fail(self, reason: str) -> None:
        with self._lock:
            first, self._failed = not self._failed, True
        if first:
            self._say(f"given up: {reason}")

    def _say(self, text: str) -> None:
        with contextlib.suppress(Exception):  # there is nowhere left to record it
            self._note(f"mirror {self._name}: {text}")


def openers(
    names: Sequence[MirrorName], *, folder: Path, project: str, run: str, seed: int, config: Mapping[str, object]
) -> list[tuple[str, Callable[[], Mirror]]]:
    """Names and openers of the mirrors that were asked for, as `Mirrors` takes them; nothing is imported or opened yet.

    Args:
        names: which ones.
        folder: the replicate's; they write to `tensorboard/` and `wandb/` in it.
        project: of Weights & Biases.
        run: the run's id; its replicates form a group of that name.
        seed: the replicate's.
        config: shown beside the metrics by Weights & Biases; what JSON has no word for goes as text.
    """
    known: dict[MirrorName, Callable[[], Mirror]] = {
        "tensorboard": partial(TensorBoard, SeedPaths(folder).events),
        "wandb": partial(WeightsAndBiases, folder, project, run, seed, config),
    }
    return [(name, known[name]) for name in names]


class TensorBoard:
    """An event file, by TensorBoard's own writer of records: the one package writes, shows and reads back.

    A replicate that was interrupted trains again from its start, so its file replaces the one before.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        """Begin it anew.

        Args:
            file: to write.
            clock: the time of each record, in seconds since 1970; of one for the file itself first.
        """
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary, self._clock = Event, Summary, clock
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = RecordWriter(file.open("wb"))
        self._write(file_version="brain.Event:2")

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Write one point."""
        values = [self._summary.Value(tag=name, simple_value=number) for name, number in numbers.items()]
        self._write(step=step, summary=self._summary(value=values))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, **content: object) -> None:
        self._file.write(self._event(wall_time=self._clock(), **content).SerializeToString())
        self._file.flush()


class WeightsAndBiases:
    """A run of Weights & Biases, or its file where `WANDB_MODE=offline` is set.

    Each attempt gets an id of its own. Under a fixed one a replicate that trains again would be refused
    (`resume="never"`), go on from the last step of the attempt before (`"allow"`), or mix with its points (the default:
    github.com/wandb/wandb, issues 3424 and 6216).

    Its service process, wandb-core, leads a session of its own, so that killing our process group spares it. `close`
    ends it; where that was not reached, it ends itself within a second or two of us, without writing out its buffer.
    """

    def __init__(
        self, folder: Path, project: str, run: str, seed: int, config: Mapping[str, object], again: str | None = None
    ) -> None:
        """Begin the run.

        Args:
            folder: the replicate's.
            project: it goes to.
            run: the id of the run; its replicates form a group of that name.
            seed: the replicate's.
            config: shown beside the metrics; what JSON has no word for goes as text.
            again: what its id ends in, where a copy that was cut short is to be completed; else it is a new one.
        """
        self._sent, self._points = SeedPaths(folder).sent, 0
        os.environ["WANDB_ERROR_REPORTING"] = "false"  # reports about its own faults; there is no setting for it
        os.environ.setdefault("WANDB_SILENT", "true")  # as a setting it comes too late for the first lines
        import wandb

        self._wandb = wandb
        quiet = wandb.Settings(
            console="off",
            save_code=False,
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
            program="autopilot",  # else the path of what runs
            stop_fn=lambda: None,  # the button on its page would send SIGINT to the training
        )
        name = f"{run}-seed{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=project,
            group=run,
            name=name,
            id=f"{name}-{again or secrets.token_hex(3)}",
            resume="allow" if again else "never",
            reinit="create_new",
            dir=folder,
            config=json.loads(json.dumps(dict(config), default=str)),
            settings=quiet,
        )

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Send one point."""
        self._run.log(dict(numbers), step=step, commit=True)  # else it waits for the next one, in case more is to come
        self._points += 1

    def close(self) -> None:
        """Send what is held back, and leave a mark of how much was sent."""
        self._run.finish()
        self._wandb.teardown()
        write_atomic(self._sent, f"{self._points} points as {self._run.id}\n")
