"""The check whether a config can train: the same when a proposal is staged and again before it runs.

All problems are reported at once, each with key, value, rule and the nearest valid value. Nothing is rewritten.
"""

from collections.abc import Mapping
from typing import Any

from lab.base import InvalidInput, Problem, count_of
from lab.space.config import Config, agents_in_unit, derive
from lab.space.inert import idle_changes
from lab.space.inventory import Environment, Inventory
from lab.space.limits import narrowed
from lab.space.parameters import Space, space_for
from lab.space.seeds import evaluation_shape, free_of_evaluation


def space_of(environment: Environment) -> Space:
    """The search space of an environment."""
    names = {kind: tuple(declared) for kind, declared in environment.variants.items() if declared}
    recurrent = (str(environment.ini.get("base", {}).get("rnn_name") or "Recurrent"),)  # PufferLib's usual one
    space = space_for(environment.constructor, environment.policies, names, recurrent)
    return narrowed(space, environment.limits) if environment.limits else space


def limits_elsewhere(environment: Environment) -> list[str]:
    """The keys that the user limits and the environment does not take: meant for another one, or misspelt."""
    return sorted(set(environment.limits) - set(space_of(environment)))


def memory_of(config: Config, environment: Environment) -> int:
    """Bytes that one replicate is likely to use for itself.

    An upper estimate over what was measured on cartpole, drone, pong and breakout, batches of 32 K to 262 K steps,
    policies 128 and 512 wide: the batch with its copies, and the activations of a minibatch, several times as many in
    an LSTM. Environments that hold more than their observations are not known of.
    """
    batch = derive(config, environment.agents_per_env or 1).batch_size
    minibatch = min(
        batch, int(config.train["minibatch_size"] or batch), int(config.train["max_minibatch_size"] or batch)
    )
    width = int(config.policy.get("hidden_size") or 128) * (100 if config.rnn["enabled"] else 25)
    return int(0.4 * 2**30) + batch * (2 * environment.observation_bytes + 300) + minibatch * width


def check_overrides(
    base: Config,
    overrides: Mapping[str, Any],
    inventory: Inventory,
    *,
    proposing: bool = False,
    steps_left: int | None = None,
) -> list[Problem]:
    """The problems of a base config once some keys are set.

    Args:
        base: a valid config.
        overrides: dotted key to new value.
        inventory: what this machine has.
        proposing: the overrides come from a model or a sampler, not from a person.
        steps_left: agent steps of all replicates together that the session's time leaves; None without a limit.
    """
    environment = inventory.environment(base.env_name)
    problems = space_of(environment).problems(overrides, proposing=proposing)
    config = base.with_overrides(overrides) if not problems else base
    if "autopilot.resume_from" in overrides and config.autopilot.get("resume_mode") != "continue" and not problems:
        rule, valid = "has no effect unless autopilot.resume_mode = continue", "set that too, or leave it out"
        value = repr(overrides["autopilot.resume_from"])[:60]
        return [Problem(key="autopilot.resume_from", value=value, rule=rule, valid=valid)]
    if problems:
        return problems
    if proposing and (idle := idle_changes(base, overrides, inventory)):
        return [_problem(config, key, f"has no effect {why}", "leave it out") for key, why in idle.items()]
    too_long = _beyond(config, steps_left) if "train.total_timesteps" in overrides else []
    return [*too_long, *cross_checks(config, environment, inventory)]


def _beyond(config: Config, steps_left: int | None) -> list[Problem]:
    seeds = int(config.autopilot["seeds"] or 1)
    if steps_left is None or int(config.train["total_timesteps"] or 0) * seeds <= steps_left:
        return []
    rule = f"with {count_of(seeds, 'replicate')} takes more than the {steps_left:,} steps that the session leaves a run"
    return [_problem(config, "train.total_timesteps", rule, max(1_000, steps_left // seeds))]


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
    """The problems across fields, which PufferLib finds late, deep in its constructor, or not at all.

    Source: pufferlib 3.0.0, `pufferl.PuffeRL.__init__` and `vector.Multiprocessing.__init__`.
    """
    problems = [*_needed(config, environment), *_minibatches(config)]
    if environment.agents_per_env is not None:
        problems += [
            *_batch(config, environment),
            *_memory(config, environment, inventory),
            *_seeds(config, environment),
        ]
    if config.vec["backend"] == "Multiprocessing":
        problems += _multiprocessing(config, inventory)
    if config.autopilot.get("resume_mode") == "continue" and not config.autopilot.get("resume_from"):
        valid = "latest | best | a run's id | a .pt file's path"
        problems.append(_problem(config, "autopilot.resume_from", "is needed to continue", valid))
    if str(config.train["device"]) not in ("auto", *inventory.devices):
        valid = " | ".join(("auto", *inventory.devices))
        problems.append(_problem(config, "train.device", "is not on this machine", valid))
    return problems


def _problem(config: Config, key: str, rule: str, valid: object) -> Problem:
    return Problem(key=key, value=str(config.get(key)), rule=rule, valid=str(valid))


def _needed(config: Config, environment: Environment) -> list[Problem]:
    """Arguments that the environment's constructor has no default for, and that are not set."""
    rule = "has to be given: the environment's constructor has no default for it"
    absent = [name for name in environment.needs if config.env.get(name) is None]
    return [_problem(config, f"env.{name}", rule, f"--set env.{name}=VALUE") for name in absent]


def _minibatches(config: Config) -> list[Problem]:
    """Problems of minibatches: each holds whole segments, and whole pieces of them where it is split."""
    problems: list[Problem] = []
    horizon, minibatch = int(config.train["bptt_horizon"] or 1), int(config.train["minibatch_size"] or 1)
    largest = int(config.train["max_minibatch_size"] or 1)
    if minibatch % horizon:
        rule = f"must be a multiple of train.bptt_horizon = {horizon}"
        problems.append(_problem(config, "train.minibatch_size", rule, _multiple(minibatch, horizon)))
    if minibatch > largest and minibatch % largest:
        rule = f"above train.max_minibatch_size = {largest} it must be a multiple of it"
        problems.append(_problem(config, "train.minibatch_size", rule, _multiple(minibatch, largest)))
    if largest < minibatch and largest % horizon:
        rule = f"when it splits the minibatch it must be a multiple of train.bptt_horizon = {horizon}"
        problems.append(_problem(config, "train.max_minibatch_size", rule, _multiple(largest, horizon)))
    return problems


def _batch(config: Config, environment: Environment) -> list[Problem]:
    """Problems of the batch, derived from agents and horizon: it holds a minibatch, the training holds a batch."""
    problems: list[Problem] = []
    derived = derive(config, environment.agents_per_env or 1)
    if derived.batch_size < int(config.train["minibatch_size"] or 1):
        rule = (
            f"must be at most the batch, {derived.agents} agents x {config.train['bptt_horizon']} steps ="
            f" {derived.batch_size}"
        )
        problems.append(_problem(config, "train.minibatch_size", rule, derived.batch_size))
    if int(config.train["total_timesteps"] or 0) < derived.batch_size:
        rule = f"must hold at least one batch of {derived.batch_size}"
        problems.append(_problem(config, "train.total_timesteps", rule, derived.batch_size))
    return problems


def _memory(config: Config, environment: Environment, inventory: Inventory) -> list[Problem]:
    needed, there = memory_of(config, environment) / 2**30, inventory.memory_gib
    if needed <= there or inventory.device(config.train["device"]) != "cpu":
        return []
    rule = f"makes a batch that needs about {needed:,.0f} GiB of memory, and this machine has {there:g}"
    key = "env.num_envs" if "num_envs" in environment.constructor else "vec.num_envs"
    return [_problem(config, key, rule, max(1, int(int(config.get(key) or 1) * there / needed)))]


def _seeds(config: Config, environment: Environment) -> list[Problem]:
    seed = config.train.get("seed")
    if not isinstance(seed, int):
        return []
    slots = int(config.autopilot["eval_slots"] or 1)
    each = agents_in_unit(config, environment.agents_per_env or 1)
    shape = evaluation_shape(slots, each, scalable="num_envs" in environment.constructor)
    if free_of_evaluation(config, range(seed, seed + int(config.autopilot["seeds"] or 1)), shape):
        return []
    return [_problem(config, "train.seed", "seeds environments that the final evaluation uses", "another, such as 1")]


def _multiprocessing(config: Config, inventory: Inventory) -> list[Problem]:
    problems: list[Problem] = []
    envs = int(config.vec["num_envs"] or 1)
    workers = int(config.vec.get("num_workers") or envs)
    batch = int(config.vec.get("batch_size") or envs)
    if envs % workers:
        rule = f"must be a multiple of vec.num_workers = {workers}"
        problems.append(Problem(key="vec.num_envs", value=str(envs), rule=rule, valid=str(_multiple(envs, workers))))
    if envs % batch:
        rule = f"must be a multiple of vec.batch_size = {batch}"
        problems.append(Problem(key="vec.num_envs", value=str(envs), rule=rule, valid=str(_multiple(envs, batch))))
    if workers > inventory.cores:
        rule = f"must be at most this machine's {inventory.cores} physical cores"
        problems.append(Problem(key="vec.num_workers", value=str(workers), rule=rule, valid=str(inventory.cores)))
    return problems


def _multiple(value: int, of: int) -> int:
    """The positive multiple of `of` nearest to `value`."""
    return max(1, round(value / of)) * of
