"""Is this config one that trains? The same answer when a proposal is staged and again before it runs.

All problems are reported at once, each with key, value, rule and the nearest valid value. Nothing is rewritten.
"""

from collections.abc import Mapping
from typing import Any

from lab.config import Config, derive
from lab.errors import InvalidInput, Problem
from lab.inventory import Environment, Inventory
from lab.seeds import evaluation_shape, free_of_evaluation
from lab.space import Space, space_for


def space_of(environment: Environment) -> Space:
    """The search space of an environment."""
    names = {kind: tuple(declared) for kind, declared in environment.variants.items() if declared}
    return space_for(environment.constructor, environment.policies, names)


def check_overrides(
    base: Config, overrides: Mapping[str, Any], inventory: Inventory, *, proposing: bool = False
) -> list[Problem]:
    """Everything wrong with a base config once some keys are set.

    Args:
        base: a valid config.
        overrides: dotted key to new value.
        inventory: what this machine has.
        proposing: the overrides come from a model or a sampler, not from a person.
    """
    environment = inventory.environment(base.env_name)
    problems = space_of(environment).problems(overrides, proposing=proposing)
    config = base.with_overrides(overrides) if not problems else base
    if "autopilot.resume_from" in overrides and config.autopilot.get("resume_mode") != "continue" and not problems:
        rule, valid = "has no effect unless autopilot.resume_mode = continue", "set that too, or leave it out"
        value = repr(overrides["autopilot.resume_from"])[:60]
        return [Problem(key="autopilot.resume_from", value=value, rule=rule, valid=valid)]
    return problems or cross_checks(base.with_overrides(overrides), environment, inventory)


def check_config(config: Config, inventory: Inventory) -> None:
    """Refuse a complete config that can't train.

    Raises:
        InvalidInput: with every problem found.
    """
    environment = inventory.environment(config.env_name)
    space = space_of(environment)
    # A list can only be the environment's own argument, as PufferLib's ini gives it: nobody can set one.
    given = {key: value for key, value in config.flat().items() if value is not None and not isinstance(value, list)}
    values = {key: value for key, value in given.items() if key in space}
    unknown = {key: value for key, value in config.flat().items() if key not in space and not key.startswith("env.")}
    problems = space.problems({**values, **unknown})
    if problems := problems or cross_checks(config, environment, inventory):
        raise InvalidInput(problems)


def cross_checks(config: Config, environment: Environment, inventory: Inventory) -> list[Problem]:
    """The rules across fields, which PufferLib enforces late, deep in its constructor, or not at all.

    Source: pufferlib 3.0.0, `pufferl.PuffeRL.__init__` and `vector.Multiprocessing.__init__`.
    """
    found: list[Problem] = []

    def problem(key: str, rule: str, valid: object) -> None:
        found.append(Problem(key=key, value=str(config.get(key)), rule=rule, valid=str(valid)))

    derived = derive(config, environment.agents_per_env or 1)
    horizon, minibatch = int(config.train["bptt_horizon"] or 1), int(config.train["minibatch_size"] or 1)
    largest = int(config.train["max_minibatch_size"] or 1)
    if minibatch % horizon:
        problem(
            "train.minibatch_size",
            f"must be a multiple of train.bptt_horizon = {horizon}",
            _multiple(minibatch, horizon),
        )
    if minibatch > largest and minibatch % largest:
        rule = f"above train.max_minibatch_size = {largest} it must be a multiple of it"
        problem("train.minibatch_size", rule, _multiple(minibatch, largest))
    if largest < minibatch and largest % horizon:
        rule = f"when it splits the minibatch it must be a multiple of train.bptt_horizon = {horizon}"
        problem("train.max_minibatch_size", rule, _multiple(largest, horizon))
    if environment.agents_per_env is not None:
        if derived.batch_size < minibatch:
            rule = f"must be at most the batch, {derived.agents} agents x {horizon} steps = {derived.batch_size}"
            problem("train.minibatch_size", rule, derived.batch_size)
        if int(config.train["total_timesteps"] or 0) < derived.batch_size:
            problem(
                "train.total_timesteps",
                f"must hold at least one batch of {derived.batch_size}",
                derived.batch_size,
            )
    if config.vec["backend"] == "Multiprocessing":
        found += _multiprocessing(config, inventory)
    seed = config.train.get("seed")
    if isinstance(seed, int) and environment.agents_per_env is not None:
        slots = int(config.autopilot["eval_slots"] or 1)
        shape = evaluation_shape(slots, environment.agents_per_env, scalable="num_envs" in environment.constructor)
        if not free_of_evaluation(config, range(seed, seed + int(config.autopilot["seeds"] or 1)), shape):
            rule = "seeds environments that the final evaluation uses"
            problem("train.seed", rule, "another, such as 1")
    if config.autopilot.get("resume_mode") == "continue" and not config.autopilot.get("resume_from"):
        problem("autopilot.resume_from", "is needed to continue", "latest | best | a run's id | a .pt file's path")
    device = str(config.train["device"])
    if device not in ("auto", *inventory.devices):
        problem("train.device", "is not on this machine", " | ".join(("auto", *inventory.devices)))
    return found


def _multiprocessing(config: Config, inventory: Inventory) -> list[Problem]:
    found: list[Problem] = []
    envs = int(config.vec["num_envs"] or 1)
    workers = int(config.vec.get("num_workers") or envs)
    batch = int(config.vec.get("batch_size") or envs)
    if envs % workers:
        rule = f"must be a multiple of vec.num_workers = {workers}"
        found.append(Problem(key="vec.num_envs", value=str(envs), rule=rule, valid=str(_multiple(envs, workers))))
    if envs % batch:
        rule = f"must be a multiple of vec.batch_size = {batch}"
        found.append(Problem(key="vec.num_envs", value=str(envs), rule=rule, valid=str(_multiple(envs, batch))))
    if workers > inventory.cores:
        rule = f"must be at most this machine's {inventory.cores} physical cores"
        found.append(Problem(key="vec.num_workers", value=str(workers), rule=rule, valid=str(inventory.cores)))
    return found


def _multiple(value: int, of: int) -> int:
    """The positive multiple of `of` nearest to `value`."""
    return max(1, round(value / of)) * of
