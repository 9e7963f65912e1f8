"""Declarations about environments: how their metrics map to the common names, and the presets.

PufferLib's own ini stays the base config. A preset fixes total_timesteps, topology, replicates and the size of the
final evaluation; `quick` answers in seconds, `full` is PufferLib's own length.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from lab.base import InvalidInput, Problem
from lab.space.config import Config, derive
from lab.space.inventory import Environment
from lab.space.parameters import PARAMETERS, VARIANT_KEYS, Scalar
from lab.space.task import Task
from lab.space.wrappers import WRAPPERS

Preset = Literal["quick", "full"]
PRESETS: tuple[Preset, ...] = ("quick", "full")


@dataclass(frozen=True)
class Metric:
    """A metric's source in the environment's own log, with its scale and its bounds."""

    source: str
    """Key in what the environment logs for its finished episodes."""
    scale: float = 1.0
    rate: bool = False
    """Whether the metric is a share: a value outside 0 to 1 is flagged."""
    low: float | None = None
    high: float | None = None
    """The most that the metric can be, as `low` is the least; an interval ends there."""

    meaning: str = ""
    """What it says, where that is known of every environment, or was read in this one's source."""

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """The least and the most that the metric can be; 0 and 1 for a rate."""
        return (0.0, 1.0) if self.rate else (self.low, self.high)


@dataclass(frozen=True)
class Profile:
    """What we know of one environment beyond its ini."""

    objective: str = "perf:max"
    metrics: dict[str, Metric] = field(default_factory=dict)
    """Common name to source; names that the environment logs itself need no entry."""
    logs: tuple[str, ...] = ()
    """The common metrics that the environment logs under their own names, where all of them are known."""
    quick: dict[str, Scalar] = field(default_factory=dict)
    full: dict[str, Scalar] = field(default_factory=dict)
    complete: bool = True
    """Whether `metrics` and `logs` hold everything that the environment logs, if they hold anything."""


def _evaluated(slots: int, steps: int, **more: Scalar) -> Profile:
    """The profile of an environment that the usual evaluation does not suit."""
    both: dict[str, Scalar] = {"autopilot.eval_slots": slots, "autopilot.eval_steps": steps}
    return Profile(quick={**both, **more}, full={**both, **{k: v for k, v in more.items() if k != "env.num_envs"}})


BUILT_IN = {"drone_delivery": "training.drone.delivery:DroneDelivery"}
"""Environments that come with this program, by name: the class of each, whose ini lies beside it."""

# An Ocean environment logs `perf`, its success on a scale of 0 to 1, by PufferLib's convention.
COMMON: dict[str, Metric] = {
    "perf": Metric("perf", rate=True, meaning="success by the environment's own measure, from 0 to 1"),
    "score": Metric("score", meaning="the environment's own score of an episode"),
    "episode_length": Metric("episode_length", low=0.0, meaning="steps of an episode"),
    "mean_reward": Metric("episode_return", meaning="sum of the rewards of an episode"),
    "success_rate": Metric("success_rate", rate=True, meaning="share of episodes that succeed"),
    "collision_rate": Metric("collision_rate", rate=True, meaning="share of episodes that collide"),
}

PROFILES: dict[str, Profile] = {
    "puffer_cartpole": Profile(
        # cartpole.h: perf = episode return / 200, one reward a step, and an episode ends at 200 steps.
        metrics={
            "mean_reward": Metric("perf", scale=200.0, low=0.0, high=200.0, meaning="200 x perf: one reward a step"),
            "episode_length": Metric("episode_length", low=0.0, high=200.0, meaning="steps of an episode, of 200"),
            "score": Metric("score", low=0.0, high=200.0, meaning="the return of an episode"),
            "success_rate": Metric("max_steps_termination", rate=True, meaning="share that lasts all 200 steps"),
            "collision_rate": Metric("x_threshold_termination", rate=True, meaning="share that leaves the track"),
            "pole_angle_termination": Metric("pole_angle_termination", rate=True, meaning="share whose pole falls"),
        },
        logs=("perf",),
        quick={
            "train.total_timesteps": 2_000_000,
            "train.optimizer": "adam",
            "train.learning_rate": 0.005,
            "train.bptt_horizon": 32,
            "train.minibatch_size": 8192,
            "env.num_envs": 1024,
            "rnn.enabled": False,
        },
        full={
            "train.bptt_horizon": 32,
            "train.minibatch_size": 32768,
            "env.num_envs": 4096,
            "rnn.enabled": False,
            "train.optimizer": "adam",
            "train.learning_rate": 0.005,
        },
    ),
    "drone_delivery": Profile(
        objective="success_rate:max",
        metrics={
            "out_of_bounds_rate": Metric("out_of_bounds_rate", rate=True),
            "deliveries": Metric("deliveries", low=0.0),
        },
        logs=("success_rate", "collision_rate", "episode_length"),
        quick={"train.total_timesteps": 4_000_000, "env.num_envs": 128},
    ),
    # These log no `perf`.
    "puffer_pacman": Profile(objective="score:max"),
    "puffer_template": Profile(objective="score:max"),
    "puffer_pysquared": Profile(objective="reward:max"),
    "puffer_multiagent": Profile(objective="1/score:max"),
    # Names of their own for the common metrics, as their sources have them.
    "puffer_tetris": Profile(
        metrics={"episode_length": Metric("ep_length", low=0.0), "mean_reward": Metric("ep_return")}, complete=False
    ),
    "puffer_checkers": Profile(metrics={"success_rate": Metric("winrate", rate=True)}, complete=False),
    # Their episodes are long or rare: fewer agents for more steps, so that those cut off weigh little.
    "puffer_enduro": _evaluated(8, 86_000),
    "puffer_freeway": _evaluated(16, 20_000),
    "puffer_rware": _evaluated(8, 30_000),
    "puffer_trash_pickup": _evaluated(8, 20_000),
    "puffer_moba": _evaluated(10, 20_000),
    "puffer_terraform": _evaluated(32, 6_000),
    "puffer_target": _evaluated(64, 10_000),
    "puffer_grid": _evaluated(16, 9_000),
    # Each step of these takes a CPU milliseconds, however few their agents.
    "puffer_school": _evaluated(64, 2_000),
    "puffer_boids": _evaluated(64, 1_000, **{"env.num_envs": 4}),
    # It asks its empty log for a length when no game ended between two logs (connect4.py).
    "puffer_connect4": _evaluated(256, 4_096, **{"env.report_interval": 1024}),
}

# Serial with one large native environment is the fastest topology on a CPU for every Ocean environment measured.
_TOPOLOGY: dict[str, Scalar] = {"vec.backend": "Serial", "vec.num_envs": 1}
_TOGETHER = 64
"""Environments of Python, or agents of a class without an ini, that are stepped at once."""
_AUTOPILOT: dict[str, Scalar] = {
    "seeds": 3,
    "threads": 1,
    "eval_slots": 64,
    "eval_steps": 4000,
    "eval_episodes": 8,
    "resume_mode": "fresh",
    "save_strategy": "latest",
    "save_limit_mib": 512,
    "stall_limit": 300.0,
}
"""The section `autopilot` of every base config, which no ini of PufferLib's has."""


def profile_of(env_name: str) -> Profile:
    """The profile that is declared for an environment, or the defaults."""
    # Gymnasium's environments and the user's own follow no convention but that a return is there to be maximized.
    return PROFILES.get(env_name, Profile(objective="mean_reward:max") if ":" in env_name else Profile())


def task_of(config: Config) -> Task:
    """The task that runs from this config are scored on."""
    return Task(
        env={key: value for key, value in config.env.items() if key != "num_envs"},
        slots=int(config.autopilot["eval_slots"] or 1),
        steps=int(config.autopilot["eval_steps"] or 1),
        episodes=int(config.autopilot.get("eval_episodes") or 8),
        told="kind" if ":" in config.env_name else "sum",  # PufferLib's own add up their logs by themselves
    )


def metrics_of(env_name: str) -> dict[str, Metric]:
    """An environment's metrics: common name to source."""
    return {**COMMON, **profile_of(env_name).metrics}


NEVER_NEGATIVE = ("sps", "agent_steps", "cumulative_steps", "epoch", "episode_length")


def bounds_of(metric: str, env_name: str) -> tuple[float | None, float | None]:
    """The least and the most that a metric can be, as far as that is known.

    Args:
        metric: its common name, or the environment's own.
        env_name: the environment.
    """
    declared = metrics_of(env_name)
    if metric in declared:
        return declared[metric].bounds
    if any(one.rate and one.source == metric for one in declared.values()):
        return 0.0, 1.0
    return (0.0, None) if metric in NEVER_NEGATIVE else (None, None)


def logged_as(metric: str, env_name: str) -> str:
    """The name under which training logs a metric, such as `environment/perf`."""
    declared = metrics_of(env_name).get(metric)
    return f"environment/{declared.source if declared else metric}"


def base_config(environment: Environment) -> Config:
    """PufferLib's own ini for an environment, in our structure."""
    ini, arguments = environment.ini, dict(environment.ini.get("env", {}))
    if "num_envs" in environment.constructor:
        arguments.setdefault("num_envs", _units(environment))
    if environment.wrappers:
        arguments[WRAPPERS] = list(environment.wrappers)
    known = {parameter.key for parameter in PARAMETERS}
    train = {key: value for key, value in ini["train"].items() if f"train.{key}" in known and value != "auto"}
    train.pop("seed", None)  # replicates have seeds of their own
    vec = {key: value for key, value in ini["vec"].items() if f"vec.{key}" in known and value != "auto"}
    rnn_name = ini["base"].get("rnn_name")
    variants = {VARIANT_KEYS[kind].partition(".")[2]: "none" for kind, named in environment.variants.items() if named}
    return Config(
        env_name=environment.name,
        env=arguments,
        vec=vec,
        train={**train, "device": "auto"},
        policy={"name": ini["base"]["policy_name"], **ini.get("policy", {})},
        rnn={"enabled": rnn_name is not None, "name": rnn_name},  # its widths follow policy.hidden_size
        autopilot={**_AUTOPILOT, **variants},
    )


def _units(environment: Environment) -> int:
    """Units of an environment whose ini says nothing of them: the constructor's own number, at least 64 agents.

    Ocean's classes say 1, which is for an ini to overrule: a batch of 32 would train at a few hundred steps a second.
    """
    least = math.ceil(_TOGETHER / (environment.agents_per_env or 1))
    return max(least, int(environment.constructor["num_envs"] or 1))


def preset_config(environment: Environment, preset: str) -> Config:
    """The config that a preset stands for.

    Raises:
        InvalidInput: there is no such preset.
    """
    if preset not in PRESETS:
        raise InvalidInput([Problem(key="preset", value=repr(preset), rule="is unknown", valid=" | ".join(PRESETS))])
    base = base_config(environment)
    profile = profile_of(environment.name)
    changes: dict[str, Any] = dict(_TOPOLOGY)
    if "num_envs" not in environment.constructor:  # one environment at a time in Python
        changes["vec.num_envs"] = _TOGETHER
    python = environment.emulated or environment.together
    if python:  # a step costs about 20 us: fewer episodes must do
        steps = 2000 if environment.together else 20_000  # of the one all are taken, of the other as many as it needs
        changes |= {"autopilot.eval_slots": 16, "autopilot.eval_steps": steps}
    if preset == "quick":
        changes |= {"autopilot.seeds": 3, **_generic_quick(base, python=python), **profile.quick}
    else:
        longest = next(int(p.high or 0) for p in PARAMETERS if p.key == "train.total_timesteps")
        steps = min(int(base.train["total_timesteps"] or longest), longest)
        changes |= {"autopilot.seeds": 3, "train.total_timesteps": steps, **profile.full}
    config = base.with_overrides(changes)
    if environment.agents_per_env is None:
        return config
    # An ini is written for its own topology; with a smaller batch its minibatch no longer fits.
    batch = derive(config, environment.agents_per_env).batch_size
    minibatch = min(int(config.train["minibatch_size"] or batch), batch)
    return config.with_overrides({"train.minibatch_size": minibatch})


def _generic_quick(base: Config, *, python: bool) -> dict[str, Scalar]:
    """A short training on a CPU for an environment nobody has tuned: a batch of at most 1024 env units."""
    longest = 300_000 if python else 1_000_000
    changes: dict[str, Scalar] = {
        "train.total_timesteps": min(longest, int(base.train["total_timesteps"] or longest)),
        "train.bptt_horizon": 32,
        "train.minibatch_size": 8192,
    }
    if "num_envs" in base.env:
        changes["env.num_envs"] = min(int(base.env["num_envs"]), 1024)
    return changes
