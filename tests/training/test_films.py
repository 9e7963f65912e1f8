"""Animated pictures of a run's policies: there where they are asked for, bounded, and never the run's undoing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lab.store.films import films_of
from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.training.conftest import Train
from training import filming

SCREEN = """
    import os, time
    import gymnasium
    import numpy as np

    class Walk(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)
        length = 30

        def __init__(self, render_mode=None):
            self.render_mode = render_mode

        def reset(self, seed=None, options=None):
            self.steps = 0
            return np.zeros(1, np.float32), {}

        def step(self, action):
            self.steps += 1
            return np.zeros(1, np.float32), 1.0, self.steps >= self.length, False, {}

        def render(self):
            assert self.render_mode == "rgb_array"
            picture = np.zeros((60, 1000, 3), np.uint8)
            picture[:, self.steps % 1000 :] = 200
            return picture

    class Long(Walk):
        length = 1000

    class Blind(Walk):
        def render(self):
            return None

    class Noisy(Walk):
        def render(self):
            return np.random.default_rng(self.steps).integers(0, 255, (900, 900, 3), np.uint8)

    class Crashing(Walk):
        def render(self):
            os._exit(139)

    class Hanging(Walk):
        def render(self):
            time.sleep(60)
"""
ON = {"autopilot.film": True, "train.total_timesteps": 2048, "autopilot.eval_steps": 2100, "autopilot.eval_episodes": 1}

pytestmark = pytest.mark.slow


def test_the_best_and_the_worst_drone_are_filmed_and_shown(train_env: Train, notebook: Notebook) -> None:
    run = train_env("drone_delivery", {"train.total_timesteps": 65_536, "autopilot.seeds": 2, "autopilot.film": True})
    assert run.state is RunState.FINISHED
    paths = notebook.paths(run.run_id)
    films = {film.kind: film for film in films_of(paths)}
    assert films.keys() == {"best", "worst"}
    scores = {result.seed: result.metrics["success_rate"] for result in notebook.results(run)}
    assert scores[films["best"].seed] >= scores[films["worst"].seed]
    assert {film.seed for film in films.values()} == set(run.seeds)
    for kind, film in films.items():
        assert film.problem is None
        assert film.ended
        with Image.open(paths.film(kind)) as picture:
            assert picture.format == "WEBP"
            assert picture.n_frames > 1  # type: ignore[attr-defined]
            assert max(picture.size) <= 360
        assert paths.film(kind).stat().st_size <= 1_000_000


@pytest.mark.parametrize("name", ["Walk", "Long", "Noisy"])
def test_a_film_is_small_whatever_it_shows(
    name: str, train_env: Train, notebook: Notebook, module: Callable[..., str]
) -> None:
    run = train_env(f"{module(SCREEN, f'walk_{name.lower()}')}:{name}", ON)
    (film,) = films_of(notebook.paths(run.run_id))
    path = notebook.paths(run.run_id).film("only")
    if name == "Noisy" and film.problem:
        assert "larger" in film.problem
        assert not path.exists()
        return
    assert (film.kind, film.problem, film.ended) == ("only", None, True)
    assert film.steps == film.episode_return == (1000 if name == "Long" else 30)
    assert path.stat().st_size <= 1_000_000
    with Image.open(path) as picture:
        assert picture.n_frames <= 160  # type: ignore[attr-defined]
        assert picture.n_frames >= (80 if name == "Long" else 30)  # type: ignore[attr-defined]
        assert picture.width <= 360


@pytest.mark.parametrize(
    ("name", "why"), [("Blind", "gives no picture"), ("Crashing", "status 139"), ("Hanging", "took more than 12 s")]
)
def test_what_cant_be_filmed_says_why_and_the_run_counts(
    name: str, why: str, train_env: Train, notebook: Notebook, module: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if name == "Hanging":
        monkeypatch.setattr(filming, "PATIENCE", 12.0)
    run = train_env(f"{module(SCREEN, f'walk_{name.lower()}')}:{name}", ON)
    assert run.state is RunState.FINISHED
    (film,) = films_of(notebook.paths(run.run_id))
    assert why in (film.problem or "")
    assert not notebook.paths(run.run_id).film("only").exists()


def test_nothing_is_filmed_unasked(train_env: Train, notebook: Notebook, module: Callable[..., str]) -> None:
    run = train_env(f"{module(SCREEN, 'walk_unasked')}:Walk", {**ON, "autopilot.film": False})
    assert films_of(notebook.paths(run.run_id)) == ()


@pytest.mark.parametrize("there", [True, False])
def test_ocean_is_filmed_where_there_is_a_virtual_display(
    there: bool, train_env: Train, notebook: Notebook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if there and shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    if not there:
        monkeypatch.setenv("PATH", str(tmp_path))
    run = train_env("puffer_breakout", {"train.total_timesteps": 32_768, "autopilot.film": True})
    (film,) = films_of(notebook.paths(run.run_id))
    assert run.state is RunState.FINISHED
    assert ("install Xvfb" in (film.problem or "")) is not there
    assert notebook.paths(run.run_id).film("only").is_file() is there
