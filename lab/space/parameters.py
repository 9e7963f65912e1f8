"""The search space, declared once.

From this table come the validator, the JSON schema a model sees, the sampler's distributions and the table in the
docs. A key is *settable* by a person; it is also *proposable* (by a model or a sampler) unless that would let it shop
for seeds, pick the hardware or change the task.
"""

import hashlib
import json
import math
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from lab.base import LARGEST, Problem
from lab.space.hints import closest_keys

Scalar = bool | int | float | str | None


class Scale(StrEnum):
    """The scale on which a sampler spaces the values of a key."""

    LINEAR = "linear"
    LOG = "log"
    LOGIT = "logit"
    POW2 = "power of two"
    CHOICE = "choice"


@dataclass(frozen=True)
class Parameter:
    """One key of a config."""

    key: str
    """Dotted name: section, then key."""
    kind: type
    """Type of the value: bool, int, float or str; object for any of them."""
    low: float | None = None
    high: float | None = None
    scale: Scale = Scale.LINEAR
    choices: tuple[Scalar, ...] = ()
    proposable: bool = True
    doc: str = ""

    @property
    def range(self) -> str:
        """The valid values, in words for people."""
        if self.choices:
            return " | ".join(str(choice) for choice in self.choices)
        if self.kind is bool:
            return "true | false"
        if self.low is None and self.high is None:
            return {int: "a whole number", float: "a number", str: "a text", object: _ANY}[self.kind]
        whole = "a whole number from " if self.kind is int else ""
        return f"{whole or 'from '}{_text(self.low)} to {_text(self.high)}"

    def problem(self, value: object) -> Problem | None:
        """The problem with a value for this key, or None."""
        if self.choices:
            fits = any(value == choice and type(value) is type(choice) for choice in self.choices)
            rule, valid = "is not one of the choices", self.range
        elif not self._has_type(value):
            fits, rule, valid = False, f"must be {_ARTICLE[self.kind]}", self.range
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            fits = (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
            rule, valid = f"must be {self.range}", _text(self.nearest(value))
            if self.kind is float:  # a whole number is taken as it stands by what corrects it
                valid = f"{self.range.removeprefix('from ')}, such as {valid}"
        else:
            return None
        return None if fits else Problem(key=self.key, value=_shown(value), rule=rule, valid=valid)

    def nearest(self, value: float) -> float:
        """The valid value closest to a number."""
        bounded = max(value, self.low) if self.low is not None else value
        bounded = min(bounded, self.high) if self.high is not None else bounded
        return int(bounded) if self.kind is int else bounded

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a value: its type, the least of a whole number, whether it is a share, from 0 to 1.

        Other limits are left to `problem`, which names the nearest valid value: a model reads all with each request.
        """
        if self.choices:
            return {"enum": list(self.choices)}
        low, high = self.low or 0, 2 if self.high is None else self.high
        share = self.kind is float and self.low is not None and low >= 0 and high <= 1
        limits = {"minimum": 0, "maximum": 1} if share else {"minimum": low} if self.kind is int else {}
        return {"type": _JSON_TYPE.get(self.kind, list(_JSON_TYPE.values())), **limits}

    def _has_type(self, value: object) -> bool:
        """Whether a value is of this type: bools, texts, NaN, infinity and what 64 bits can't hold are no numbers."""
        if self.kind is object and isinstance(value, (bool, str)):
            return True
        if isinstance(value, int) and not isinstance(value, bool) and self.kind in (int, float, object):
            return abs(value) < LARGEST
        if self.kind in (float, object):
            return isinstance(value, float) and math.isfinite(value)
        if self.kind is int:
            return False
        return isinstance(value, self.kind)


_ANY = "a number, a text, true or false"
_ARTICLE = {bool: "true or false", int: "a whole number", float: "a finite number", str: "a text", object: _ANY}
_JSON_TYPE = {bool: "boolean", int: "integer", float: "number", str: "string"}


def _text(number: float | None) -> str:
    return "any" if number is None else f"{number:.15g}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _p(key: str, kind: type, low: float | None, high: float | None, scale: Scale, doc: str) -> Parameter:
    return Parameter(key, kind, low, high, scale, doc=doc)


def _settable(
    key: str,
    kind: type,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Scalar, ...] = (),
) -> Parameter:
    return Parameter(
        key, kind, low, high, Scale.CHOICE if choices else Scale.LINEAR, choices, proposable=False, doc=doc
    )


LIN, LOG, LOGIT, POW2 = Scale.LINEAR, Scale.LOG, Scale.LOGIT, Scale.POW2

# Ranges are hard limits, wide on purpose; where a sampler looks first comes from PufferLib's own [sweep] sections.
PARAMETERS: tuple[Parameter, ...] = (
    _p("train.learning_rate", float, 1e-6, 1, LOG, "Optimizer step size at the start of training."),
    _p("train.ent_coef", float, 0, 1, LOG, "Weight of the entropy bonus; higher explores more."),
    _p("train.gamma", float, 0, 0.999999, LOGIT, "Discount of future reward."),
    _p("train.gae_lambda", float, 0, 1, LOGIT, "Bias against variance in the advantage estimate."),
    _p("train.clip_coef", float, 0, 1, LIN, "PPO's clip range of the importance ratio."),
    _p("train.vf_clip_coef", float, 0, 10, LIN, "Clip range of the value update."),
    _p("train.vf_coef", float, 0, 10, LIN, "Weight of the value loss."),
    _p("train.max_grad_norm", float, 0, 100, LIN, "Gradients are clipped to this norm."),
    _p("train.update_epochs", int, 1, 32, LIN, "Passes over each batch."),
    _p("train.bptt_horizon", int, 1, 512, POW2, "Steps of a segment: batch = agents x bptt_horizon."),
    _p("train.minibatch_size", int, 1, 2**24, POW2, "Steps of one optimizer update; divides into whole segments."),
    _p("train.max_minibatch_size", int, 1, 2**24, POW2, "Above it, gradients are accumulated."),
    _p("train.total_timesteps", int, 1_000, 1_000_000_000, LOG, "Agent steps; changing it confounds comparisons."),
    Parameter("train.optimizer", str, None, None, Scale.CHOICE, ("muon", "adam"), doc="Update rule."),
    _p("train.adam_beta1", float, 0, 0.9999999, LOGIT, "Decay of the first moment."),
    _p("train.adam_beta2", float, 0, 0.9999999, LOGIT, "Decay of the second moment; muon has none."),
    _p("train.adam_eps", float, 1e-14, 1e-2, LOG, "Added to the second moment's root; muon has none."),
    Parameter("train.anneal_lr", bool, doc="Cosine schedule of the learning rate down to zero."),
    _p("train.vtrace_rho_clip", float, 0, 100, LIN, "Clip of V-trace's rho."),
    _p("train.vtrace_c_clip", float, 0, 100, LIN, "Clip of V-trace's c."),
    _p("train.prio_alpha", float, 0, 1, LIN, "How strongly segments with large advantages are preferred."),
    _p("train.prio_beta0", float, 0, 1, LIN, "How strongly that preference is corrected for, at the start."),
    _settable("train.seed", int, "First replicate's seed, others count up; unset: fresh.", low=0, high=2**31 - 1),
    _settable("train.device", str, "Where the policy trains.", choices=("auto", "cpu", "cuda", "mps")),
    _settable("train.torch_deterministic", bool, "cuDNN's deterministic algorithms."),
    _settable("train.cpu_offload", bool, "Keep observations in the main memory."),
    _settable("train.compile", bool, "torch.compile the policy."),
    _settable("train.compile_fullgraph", bool, "Refuse graph breaks when compiling."),
    _settable("train.compile_mode", str, "torch.compile's mode.", choices=(
        "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")),
    _settable("train.precision", str, "Arithmetic of the policy.", choices=("float32", "bfloat16")),
    _settable("train.checkpoint_interval", int, "Updates between checkpoints.", low=1, high=10_000_000),
    _settable("vec.backend", str, "PufferLib's vectorization.", choices=("Serial", "Multiprocessing")),
    _p("vec.num_envs", int, 1, 4096, POW2, "Environments (each of env.num_envs) that PufferLib steps."),
    _settable("vec.num_workers", int, "Processes of the Multiprocessing backend.", low=1, high=1024),
    _settable("vec.batch_size", int, "Environments received at a time by Multiprocessing.", low=1, high=4096),
    _settable("policy.name", str, "The environment's own policy class, or Default: PufferLib's."),
    _p("policy.hidden_size", int, 8, 4096, POW2, "Width of the policy."),
    Parameter("rnn.enabled", bool, doc="Wrap the policy in its LSTM."),
    _settable("rnn.name", str, "PufferLib's recurrent wrapper for the environment."),
    _settable("autopilot.seeds", int, "Replicates of a run.", low=1, high=64),
    _settable("autopilot.threads", int, "Threads of each replicate.", low=1, high=256),
    _settable("autopilot.eval_slots", int, "Parallel agents of the final evaluation.", low=1, high=65536),
    _settable("autopilot.eval_steps", int, "Steps of each, or the most it may take where episodes are counted.",
              low=1, high=10_000_000),
    _settable("autopilot.eval_episodes", int, "Complete episodes of each, where their ends can be seen.", low=1,
              high=10_000),
    Parameter("autopilot.resume_mode", str, None, None, Scale.CHOICE, ("fresh", "continue"),
              doc="Start from fresh weights, or go on from those of another run."),
    Parameter("autopilot.resume_from", str, doc="Whose weights: latest | best | a run's id | a .pt file's path."),
    Parameter("autopilot.save_strategy", str, None, None, Scale.CHOICE, ("latest", "best", "all"),
              doc="Checkpoints that are kept: the last one, also the best-scoring one, or each."),
    _settable("autopilot.save_limit_mib", int, "Disk that the checkpoints of a replicate may take.", low=1,
              high=1_000_000),
    _settable("autopilot.target_score", float, "Training ends when its score has reached this."),
    _settable("autopilot.time_limit", float, "Seconds that a replicate may take.", low=1, high=10_000_000),
    _settable("autopilot.stall_limit", float, "Seconds without progress after which it is ended.", low=1, high=86_400),
    _settable("autopilot.film", bool, "Animated pictures of the best and the worst replicate, once they are scored."),
    _settable("autopilot.memory_limit", float, "GiB that a replicate may use.", low=0.1, high=100_000),
)  # fmt: skip

# Keys whose values name the user's own code (`[variants]` in autopilot.toml).
VARIANT_KEYS = {kind: f"autopilot.{kind}_variant" for kind in ("environment", "reward", "policy")}
# What the final evaluation is like: the task's, so a proposal can't change it.
TASK_KEYS = ("autopilot.eval_slots", "autopilot.eval_steps", "autopilot.eval_episodes")


_SEEDING = ("train.seed", "autopilot.seeds")
_HARDWARE = ("train.device", "autopilot.threads")
_SAVING = ("autopilot.film", "train.checkpoint_interval", "autopilot.save_strategy", "autopilot.save_limit_mib")
_LIMITS = ("autopilot.time_limit", "autopilot.stall_limit", "autopilot.memory_limit")
# Without an effect on what is learnt: seeds, bookkeeping, limits. Two configs that differ in these only are the same.
BOOKKEEPING = frozenset((*_SEEDING, *_HARDWARE, *_SAVING, *_LIMITS, *TASK_KEYS))
_MEASURED = tuple(p for p in PARAMETERS if p.kind in (int, float) and not p.choices and p.key not in BOOKKEEPING)
MEASURED = tuple(p.key for p in _MEASURED)
"""Keys of the numbers that `kinship` tells configs apart by, in their order."""
NAMED = 3
"""Keys that a line names; of four all, since "+1" is no shorter."""
NEAR = 0.02
"""The share of the larger value below which two are the same idea; of 1 - x for what piles up at 1."""


def _what_counts(flat: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flat.items() if key not in BOOKKEEPING and value is not None}


def in_order(keys: Iterable[str]) -> list[str]:
    """Keys as the table has them, what usually matters most first; those that are not in it come last."""
    ranks = {parameter.key: rank for rank, parameter in enumerate(PARAMETERS)}
    return sorted(keys, key=lambda key: (ranks.get(key, len(ranks)), key))


def few(keys: Iterable[str], first: Collection[str] = ()) -> tuple[list[str], str]:
    """The keys to name where there is little room, some before others, and what stands for the rest, as `, +17`."""
    order = sorted(in_order(keys), key=lambda key: key not in first)
    shown = order if len(order) <= NAMED + 1 else order[:NAMED]
    more = len(order) - len(shown)
    return shown, f", +{more}" if more else ""


def identity(env_name: str, flat: Mapping[str, Any]) -> str:
    """A short hash of a config's effect on what is learnt; equal for configs that differ in bookkeeping only.

    Args:
        env_name: the environment.
        flat: dotted key to value, as `Config.flat` gives it.
    """
    return _hash([env_name, _what_counts(flat)])


def kinship(env_name: str, flat: Mapping[str, Any]) -> tuple[str, bytes]:
    """What a config has to share with its neighbours, and where it stands among them.

    Args:
        env_name: the environment.
        flat: dotted key to value.

    Returns:
        A hash of everything that is no number of the table, and the numbers (float64, NaN where one is not set).
    """
    numbers = {p.key: float(value) for p in _MEASURED if p._has_type(value := flat.get(p.key)) and value is not None}
    others = {key: value for key, value in _what_counts(flat).items() if key not in numbers}
    place = [numbers.get(p.key, math.nan) for p in _MEASURED]
    place = [1 - x if p.scale is Scale.LOGIT else x for p, x in zip(_MEASURED, place, strict=True)]
    return _hash([env_name, others]), struct.pack(f"{len(place)}d", *place)


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Space(Mapping[str, Parameter]):
    """The parameters that apply to one environment: the table above, and what its constructor takes."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = {parameter.key: parameter for parameter in parameters}

    def __getitem__(self, key: str) -> Parameter:
        return self._parameters[key]

    def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204 - Mapping declares it
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def problems(self, values: Mapping[str, Any], *, proposing: bool = False) -> list[Problem]:
        """The problems of a set of overrides, taken key by key.

        Args:
            values: dotted key to value.
            proposing: they come from a model or a sampler, which may not set every key.
        """
        problems: list[Problem] = []
        for key, value in values.items():
            parameter = self._parameters.get(key)
            if parameter is None:
                close = self.closest(key)
                rule = "is not a key of the config"
                problems.append(Problem(key=_shown(key)[1:-1], value=_shown(value), rule=rule, valid=close))
            elif proposing and not parameter.proposable:
                rule = "may be set by a person only"
                problems.append(Problem(key=key, value=_shown(value), rule=rule, valid="leave it out"))
            elif problem := parameter.problem(value):
                problems.append(problem)
        return problems

    def closest(self, key: str) -> str:
        """The keys that somebody may have meant by one that is none, or where to find them."""
        return closest_keys(key, self._parameters)


def space_for(
    constructor: Mapping[str, Scalar],
    policies: Sequence[str] = (),
    variants: Mapping[str, Sequence[str]] | None = None,
    recurrent: Sequence[str] = (),
) -> Space:
    """The search space of an environment, before the user's limits.

    `env.num_envs` makes the batch and stays proposable; the constructor's other arguments define the task and are for
    a person to set.

    Args:
        constructor: the arguments that its constructor takes, name to default.
        policies: names that `policy.name` may have; any if none are known.
        variants: kind (`environment`, `reward`, `policy`) to the names that the user declared.
        recurrent: names that `rnn.name` may have; any if none are known.
    """
    chosen = {"policy.name": tuple(policies), "rnn.name": tuple(recurrent)}
    parameters = [replace(p, scale=Scale.CHOICE, choices=chosen[p.key]) if chosen.get(p.key) else p for p in PARAMETERS]
    for what, names in (variants or {}).items():
        doc = f"Your own {what} to train with, declared in autopilot.toml; none: the usual one."
        parameters.append(Parameter(VARIANT_KEYS[what], str, None, None, Scale.CHOICE, ("none", *names), doc=doc))
    for name, default in constructor.items():
        if name == "num_envs":
            doc = "Copies of the environment stepped together in C."
            parameters.append(_p("env.num_envs", int, 1, 2**20, POW2, doc))
        else:
            kind = type(default) if isinstance(default, (bool, int, float, str)) else object
            kind = float if kind is int else kind  # an int default does not mean that 0.5 is wrong
            task = Parameter(f"env.{name}", kind, doc="Argument of the environment: changes the task.")
            parameters.append(replace(task, proposable=False))
    return Space(parameters)
