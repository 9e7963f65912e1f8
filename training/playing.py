"""One episode of a trained policy as an animated picture. It imports torch, so it runs in worker processes only.

Frames are thinned out as the episode goes on, so that a long one becomes no larger than a short one: the picture shows
all of it, faster.
"""

import contextlib
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from lab.base import write_atomic
from lab.store import Film
from training import adapter, build, checkpoints
from training.evaluation import Evaluator
from training.protocol import FilmJob

FRAMES = 160
"""Pictures of an episode, at most; half as many at least of a longer one."""
SIDE = 360
"""Pixels along the longer side, at most."""
LARGEST = 1_000_000
"""Bytes of a film, at most."""
QUALITIES = (60, 30, 10)
"""WebP's, tried until it is small enough."""
LONGEST = 4_000
"""Steps that are played, at most."""
PACE = (40, 120)
"""Milliseconds that a picture stands, at least and at most."""
STEP = 33
"""Milliseconds that a step is taken to last."""
DISPLAY = ("-screen", "0", "1280x1024x24", "-nolisten", "tcp")


class Reel:
    """The pictures of an episode: at most `FRAMES`, evenly spaced however long it is."""

    def __init__(self) -> None:
        self.frames: list[Image.Image] = []
        self.every = 1
        self._step = 0

    def due(self) -> bool:
        """Whether a picture is wanted of this step; asked once a step."""
        wanted, self._step = self._step % self.every == 0, self._step + 1
        return wanted

    def add(self, frame: Any) -> None:
        """Keep a picture.

        Args:
            frame: (height, width, 3) of uint8.
        """
        picture = Image.fromarray(frame)
        picture.thumbnail((SIDE, SIDE))
        self.frames.append(picture)
        if len(self.frames) > FRAMES:
            self.frames, self.every = self.frames[::2], 2 * self.every

    def webp(self) -> bytes:
        """The film, small enough.

        Raises:
            Unusable: it is not, whatever its quality.
        """
        first, *others = self.frames
        pace = min(max(STEP * self.every, PACE[0]), PACE[1])
        for quality in QUALITIES:
            out = io.BytesIO()
            how: dict[str, Any] = {"duration": pace, "loop": 0, "quality": quality, "method": 2}
            first.save(out, "WEBP", save_all=True, append_images=others, **how)
            if out.tell() <= LARGEST:
                return out.getvalue()
        raise adapter.Unusable(f"its film would be larger than {LARGEST:,} bytes")


def play(job: FilmJob) -> Film:
    """Play an episode and write its film; why there is none, if there is none.

    Args:
        job: which policy, in which environment.
    """
    wanted, reel = Film(kind=job.which, seed=job.train.seed), Reel()
    try:
        steps, total, ended = _record(job, reel)
        write_atomic(Path(job.to), reel.webp())
    except Exception as error:  # noqa: BLE001 - recorded: whatever drawing an environment raises is why there is no film
        said = " ".join(str(error).split()) or "no message"
        problem = said if isinstance(error, adapter.Unusable) else f"{type(error).__name__}: {said}"
        return wanted.model_copy(update={"problem": problem[:300]})
    return wanted.model_copy(update={"steps": steps, "episode_return": total, "ended": ended})


def _record(job: FilmJob, reel: Reel) -> tuple[int, float, bool]:
    """Play and take pictures: steps, return, whether the episode ended."""
    train, config = job.train, job.train.config
    small = train.task.model_copy(update={"slots": 1})
    evaluator = Evaluator.of(config, small, train.agents_per_env, "cpu")
    evaluator.maker = adapter.maker_of(config.env_name, render=True)

    def policy(vecenv: Any) -> torch.nn.Module:
        made = build.policy(config, train.package, vecenv, "cpu", train.variants)
        weights = Path(job.checkpoint)
        checkpoints.fit(made, checkpoints.load(weights, "cpu"), weights)
        return made

    total = 0.0
    with _display(config.env_name), contextlib.closing(evaluator.episode(policy)) as episode:
        for steps, (env, reward, ended) in enumerate(episode):
            total += reward
            if ended or steps >= LONGEST:  # where an episode has ended, its last picture is gone
                return steps, total, ended
            if reel.due():
                reel.add(adapter.frame_of(env))
    raise AssertionError("an episode goes on until it is left")


@contextlib.contextmanager
def _display(env_name: str) -> Iterator[None]:
    """A screen that nobody sees, for environments that draw on one: without any their libraries crash.

    Raises:
        Unusable: this machine has none.
    """
    if not env_name.startswith(adapter.OCEAN):
        yield
        return
    if (program := shutil.which("Xvfb")) is None:
        raise adapter.Unusable("it draws on a screen: to film it, install Xvfb (Debian's package xvfb)")
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), *DISPLAY]
    screen = subprocess.Popen(command, pass_fds=(writing,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - found by its name
    os.close(writing)
    try:
        with os.fdopen(reading) as number:
            os.environ["DISPLAY"] = f":{number.readline().strip()}"
        if screen.poll() is not None:
            raise adapter.Unusable("Xvfb does not start here")
        yield
    finally:
        screen.kill()
        screen.wait()
