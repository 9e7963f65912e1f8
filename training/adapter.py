"""PufferLib 3.0.0, all of it: its configs, environments, policies, vectorization and trainer.

Nothing else imports PufferLib, so another version of it is the work of this module; `tests/training/test_adapter.py`
is the contract that it has to keep. It runs in worker processes only: importing it takes about two seconds.
"""

import ast
import configparser
import contextlib
import importlib
import inspect
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lab.base import numbers
from lab.space import GYMNASIUM, Config
from training.gpus import Offloaded, Precision

# PufferLib reads the command line where it is imported and used; the worker's own is not for it.
sys.argv = sys.argv[:1]
import pufferlib  # noqa: E402
import pufferlib.emulation  # noqa: E402
import pufferlib.models  # noqa: E402
import pufferlib.ocean.environment  # noqa: E402
import pufferlib.pufferl  # noqa: E402
import pufferlib.pytorch  # noqa: E402
import pufferlib.vector  # noqa: E402

# Filled in by PufferLib or of no meaning without a screen.
NOT_ARGUMENTS = ("buf", "seed", "render_mode", "kwargs", "args")
DEFAULT_POLICY = "Default"
DEFAULT_RNN = "Recurrent"


class Unusable(Exception):
    """A part of the user's (environment, reward, policy) does not do what it has to; the text says what in one line."""


Maker = Callable[..., Any]
Reward = Callable[[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]


# --- configs -----------------------------------------------------------------------------------------------------


def default_ini() -> dict[str, dict[str, Any]]:
    """PufferLib's defaults, for an environment that it has no ini for."""
    return _sections(_configs() / "default.ini")


def inis() -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """PufferLib's Ocean configs by environment, read as `pufferl.load_config` does but without a command line."""
    for path in sorted((_configs() / "ocean").glob("*.ini")):
        sections = _sections(_configs() / "default.ini", path)
        for name in str(sections["base"]["env_name"]).split():
            yield name, sections


def _configs() -> Path:
    return Path(pufferlib.__file__).parent / "config"


def _sections(*paths: Path) -> dict[str, dict[str, Any]]:
    parser = configparser.ConfigParser()
    parser.read(paths)
    return {section: {key: _literal(value) for key, value in parser[section].items()} for section in parser.sections()}


def _literal(text: str) -> Any:
    if text in ("true", "false"):  # some of the inis write it like this
        return text == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


# --- environments ------------------------------------------------------------------------------------------------


def maker_of(env_name: str) -> Maker:
    """The maker of environments of a name; called with `buf`, `seed` and the environment's own arguments.

    Args:
        env_name: an Ocean environment's (`puffer_cartpole`), `gymnasium:ID`, or `module:callable` of a PufferEnv or
            of a Gymnasium environment.

    Raises:
        KeyError: PufferLib makes no environment of that name.
        ImportError, AttributeError: it, or its compiled extension, can't be loaded.
    """
    if env_name.startswith(GYMNASIUM):
        import gymnasium

        return _emulated(lambda **arguments: gymnasium.make(env_name.removeprefix(GYMNASIUM), **arguments))
    if ":" in env_name:
        return _users(load_object(env_name))
    make: Maker = pufferlib.ocean.environment.env_creator(env_name)
    if inspect.isclass(make):
        return make
    return lambda buf=None, seed=0, **arguments: _counted(make(buf=buf, **arguments), buf, seed)


def load_object(name: str) -> Callable[..., Any]:
    """The callable that `module:callable` names.

    Raises:
        ImportError: the module can't be imported.
        AttributeError: it has nothing callable of that name.
    """
    module, _, attribute = name.partition(":")
    target = getattr(importlib.import_module(module), attribute)
    if not callable(target):
        raise AttributeError(f"{name} is not callable")  # noqa: TRY004 - to callers, nothing callable is there
    return target  # type: ignore[no-any-return]  # the user's


def arguments_of(env_name: str) -> dict[str, Any]:
    """The arguments of an environment's constructor and their defaults, but for the ones PufferLib fills in."""
    if env_name.startswith(GYMNASIUM):
        import gymnasium

        return {k: v for k, v in gymnasium.spec(env_name.removeprefix(GYMNASIUM)).kwargs.items() if k != "render_mode"}
    target = load_object(env_name) if ":" in env_name else pufferlib.ocean.environment.env_creator(env_name)
    defaults = {key: parameter.default for key, parameter in inspect.signature(target).parameters.items()}
    return {
        key: None if default is inspect.Parameter.empty else default
        for key, default in defaults.items()
        if key not in NOT_ARGUMENTS
    }


def _emulated(make: Maker) -> Maker:
    """A Gymnasium environment behind PufferLib's emulation."""

    def create(buf: Any = None, seed: int = 0, **arguments: Any) -> Any:
        return _emulate(make(**arguments), buf, seed)

    return create


def _emulate(env: Any, buf: Any, seed: int) -> Any:
    from gymnasium import spaces
    from gymnasium.wrappers.flatten_observation import FlattenObservation

    if isinstance(env.action_space, spaces.Box):
        env = pufferlib.ClipAction(env)
    if isinstance(env.observation_space, (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary, spaces.Tuple)):
        env = FlattenObservation(env)  # one-hot: PufferLib's policies take numbers in a box
    return pufferlib.emulation.GymnasiumPufferEnv(env=Episodes(env), buf=buf, seed=seed)


class Episodes:
    """A Gymnasium environment that logs an episode when it ends, and nothing else.

    In the place of PufferLib's EpisodeStats, of whose kind its logs are (return, length, and the sum of each number
    that the environment reports), but a reset says nothing and the environment's own names can't collide with ours: so
    logs and ends of episodes belong together one to one.
    """

    def __init__(self, env: Any) -> None:
        self.env, self.observation_space, self.action_space = env, env.observation_space, env.action_space
        self._sums: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        self._sums = {}
        self._return, self._length = 0.0, 0
        return self.env.reset(seed=seed)[0], {}

    def step(self, action: Any) -> tuple[Any, ...]:
        """Take one step; the log is empty until the last step of the episode."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._return += float(reward)
        self._length += 1
        for name, value in numbers(info, several=False).items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        log: dict[str, Any] = {}
        if terminated or truncated:
            log = {**self._sums, "episode_return": self._return, "episode_length": self._length}
        return observation, reward, terminated, truncated, log


def _counted(env: Any, buf: Any, seed: int) -> Any:
    """An environment behind the emulation, with our log in the place of any other."""
    if not isinstance(env, pufferlib.emulation.GymnasiumPufferEnv) or isinstance(env.env, Episodes):
        return env
    inner = env.env.env if isinstance(env.env, pufferlib.EpisodeStats) else env.env
    return pufferlib.emulation.GymnasiumPufferEnv(env=Episodes(inner), buf=buf, seed=seed)


def _reporting(env: Any) -> Any:
    """The user's PufferEnv itself, whose logs now hold numbers alone: PufferLib stumbles over lists of other things."""
    reset, step = env.reset, env.step

    def logs(infos: Any) -> list[dict[str, float]]:
        return [log for info in (infos if isinstance(infos, (list, tuple)) else [infos]) if (log := numbers(info))]

    def fresh(*arguments: Any, **named: Any) -> tuple[Any, list[dict[str, float]]]:
        observations, infos = reset(*arguments, **named)
        return observations, logs(infos)

    def stepped(actions: Any) -> tuple[Any, ...]:
        *rest, infos = step(actions)
        return *rest, logs(infos)

    env.reset, env.step = fresh, stepped
    return env


def _users(target: Maker) -> Maker:
    """The user's callable: a PufferEnv as it is, a Gymnasium environment behind the emulation."""
    takes = inspect.signature(target).parameters
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes.values())

    def create(buf: Any = None, seed: int = 0, **arguments: Any) -> Any:
        filled = {key: value for key, value in (("buf", buf), ("seed", seed)) if key in takes or anything}
        env = target(**filled, **arguments)
        if isinstance(env, pufferlib.emulation.GymnasiumPufferEnv):
            return _counted(env, buf, seed)
        if isinstance(env, pufferlib.PufferEnv):
            return _reporting(env)
        if hasattr(env, "step") and hasattr(env, "action_space"):
            return _emulate(env, buf, seed)
        raise TypeError(f"{target.__name__} made a {type(env).__name__}, neither a PufferEnv nor a Gymnasium one")

    return create


def is_emulated(env: Any) -> bool:
    """Whether an environment is a Python one behind PufferLib's emulation, whose ends of episodes can be seen."""
    return isinstance(env, pufferlib.emulation.GymnasiumPufferEnv)


def longest_episode(env: Any) -> int | None:
    """Steps that an episode of an emulated environment may have, where Gymnasium limits them."""
    limit = getattr(getattr(env.env, "spec", None), "max_episode_steps", None)
    return int(limit) if limit else None


def logs_settled(env: Any) -> bool:
    """Whether every log of an environment has the same names, as PufferLib's and Gymnasium's own do.

    Anybody else's may log a name with some episodes only, such as those that succeed.
    """
    while env is not None and type(env).__module__.partition(".")[0] in ("pufferlib", "gymnasium", "training"):
        env = vars(env).get("env")  # what a wrapper, the emulation or `Episodes` lies around
    return env is None


# --- vectorization -----------------------------------------------------------------------------------------------


def make_vecenv(maker: Maker, arguments: Mapping[str, Any], vec: Mapping[str, Any], seed: int) -> Any:
    """Vectorized environments, each built with a seed of its own.

    `pufferlib.vector.make` would build the same, but forgets to hand the seed on: every environment would be built
    with seed 0, and what it draws then (a map, say) would be the same in training and evaluation.

    Args:
        maker: makes one environment.
        arguments: of the environment.
        vec: `backend`, `num_envs` and, for several processes, `num_workers` and `batch_size`.
        seed: of the first environment; the others count up.
    """
    count = int(vec["num_envs"])
    parts: tuple[list[Any], ...] = ([maker] * count, [[]] * count, [dict(arguments)] * count)
    if vec["backend"] == "Serial":
        return pufferlib.vector.Serial(*parts, count, seed=seed)
    more = {key: int(vec[key]) for key in ("num_workers", "batch_size") if vec.get(key) is not None}
    return pufferlib.vector.Multiprocessing(*parts, count, seed=seed, **more)


class Rewarded:
    """Vectorized environments with the user's reward in the place of theirs, for training only."""

    def __init__(self, vecenv: Any, reward: Reward) -> None:
        self._vecenv, self._reward = vecenv, reward
        # By agent: with several processes the agents that are received are not those that were sent to last.
        self._actions: NDArray[Any] | None = None
        self._sent = np.zeros(vecenv.num_agents, dtype=bool)
        self._shown: NDArray[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vecenv, name)

    def send(self, actions: NDArray[Any]) -> None:
        """Step the agents that were received last."""
        actions = np.asarray(actions)
        if self._actions is None:
            self._actions = np.zeros((len(self._sent), *actions.shape[1:]), dtype=actions.dtype)
        self._actions[self._shown] = actions.reshape(-1, *actions.shape[1:])
        self._sent[self._shown] = True
        self._vecenv.send(actions)

    def recv(self) -> tuple[Any, ...]:
        """What the environments answered, with the user's reward for agents that have acted."""
        observations, rewards, terminals, truncations, infos, agents, masks = self._vecenv.recv()
        self._shown = np.asarray(agents).ravel()
        if self._actions is not None and self._sent[self._shown].all():
            shaped = np.asarray(
                self._reward(observations, self._actions[self._shown], rewards, terminals), dtype=np.float32
            )
            if shaped.shape != rewards.shape:
                raise Unusable(f"the reward variant returned shape {shaped.shape} for {len(rewards)} agents")
            rewards = shaped
        return observations, rewards, terminals, truncations, infos, agents, masks


def space_problem(one: Any, other: Any) -> str | None:
    """How the spaces of two environments differ, in words; None when a policy for one fits the other."""
    for what in ("single_observation_space", "single_action_space"):
        mine, theirs = getattr(one, what), getattr(other, what)
        if mine != theirs:
            return f"{what.removeprefix('single_').replace('_', ' ')} {mine} against {theirs}"
    return None


# --- policies ----------------------------------------------------------------------------------------------------


def policies_of(package: str | None) -> tuple[str, ...]:
    """Names that `policy.name` may have: PufferLib's default and whatever its package has for environments."""
    module = _policy_module(package)
    own = [name for name, value in vars(module).items() if _is_policy(value)] if module else []
    return tuple(dict.fromkeys([DEFAULT_POLICY, *own]))


def own_policy_class(package: str | None, name: str | None) -> Any:
    """The policy class that an environment has of its own; None where it has PufferLib's default."""
    module = _policy_module(package) if package and name != DEFAULT_POLICY else None
    return getattr(module, name or "", None)


def _is_policy(value: Any) -> bool:
    """A class of PufferLib's that makes a policy, and no LSTM around one."""
    if not inspect.isclass(value) or not issubclass(value, torch.nn.Module) or value.__module__ == "torch.nn":
        return False
    return not issubclass(value, pufferlib.models.LSTMWrapper) and hasattr(value, "encode_observations")


def _policy_module(package: str | None) -> Any:
    return importlib.import_module(f"pufferlib.{package}.torch") if package else None


def make_policy(
    config: Config, package: str | None, vecenv: Any, device: str, variant: Callable[..., Any] | None = None
) -> torch.nn.Module:
    """A policy for some environments, in its LSTM if the config says so.

    Args:
        config: `policy` and `rnn` count.
        package: PufferLib's package that the environment's own policies are in; None for none.
        vecenv: whose spaces it is for.
        device: where it lives.
        variant: the user's, called with the environment, in the place of PufferLib's.
    """
    module, env = _policy_module(package), vecenv.driver_env
    arguments = {key: value for key, value in config.policy.items() if key != "name"}
    if variant is not None:
        policy = variant(env)
        wanted = ["hidden_size", "forward", "forward_eval"]
        wanted += ["is_continuous", "encode_observations", "decode_actions"] if config.rnn["enabled"] else []
        absent = [name for name in wanted if not hasattr(policy, name)]
        if absent or not isinstance(policy, torch.nn.Module):
            raise Unusable(f"the policy variant made a {type(policy).__name__} without {', '.join(absent)}")
    else:
        name = str(config.policy["name"])
        make = getattr(module, name) if hasattr(module, name) else getattr(pufferlib.models, name)
        policy = make(env, **arguments)
    if config.rnn["enabled"]:
        hidden = {"input_size": policy.hidden_size, "hidden_size": policy.hidden_size}
        arguments = {key: value for key, value in config.rnn.items() if key not in ("enabled", "name")}
        name = str(config.rnn.get("name") or DEFAULT_RNN)
        wrap = getattr(module, name) if hasattr(module, name) else pufferlib.models.LSTMWrapper
        policy = wrap(env, policy, **{**hidden, **arguments})
    moved: torch.nn.Module = policy.to(device)
    return moved


def sample(logits: Any) -> torch.Tensor:
    """Actions drawn as in training."""
    actions: torch.Tensor = pufferlib.pytorch.sample_logits(logits)[0]
    return actions


# --- PufferLib's own command line ----------------------------------------------------------------------------------


def own_ini(env_name: str) -> Path:
    """The ini that PufferLib's commands read for an Ocean environment, relative to its `config` folder.

    Raises:
        Unusable: there is none.
    """
    for path in sorted((_configs() / "ocean").glob("*.ini")):
        if env_name in str(_sections(_configs() / "default.ini", path)["base"]["env_name"]).split():
            return path.relative_to(_configs())
    raise Unusable(f"PufferLib has no ini for {env_name}")


def own_names(config: Config, package: str) -> tuple[str, str | None]:
    """What PufferLib's commands call the policy and the LSTM that `make_policy` makes of a config.

    Args:
        config: `policy` and `rnn` count.
        package: PufferLib's package of the environment.

    Returns:
        `policy_name` and `rnn_name`, names of that package's; the second is None without an LSTM.
    """
    module, name = _policy_module(package), str(config.policy["name"])
    if not hasattr(module, name):  # PufferLib's default has another name there
        general = getattr(pufferlib.models, name)
        name = next((own for own, value in vars(module).items() if value is general), name)
    if not config.rnn["enabled"]:
        return name, None
    wrapper = str(config.rnn.get("name") or DEFAULT_RNN)
    return name, wrapper if hasattr(module, wrapper) else DEFAULT_RNN


def own_defaults(env_name: str, base: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What environment, policy and LSTM take where an ini says nothing: `env`, `policy`, `rnn` to argument to default.

    Args:
        env_name: an Ocean environment's.
        base: `package`, `policy_name`, `rnn_name` of an ini.
    """
    module = _policy_module(str(base["package"]))
    takers = {"env": pufferlib.ocean.environment.env_creator(env_name), "policy": getattr(module, base["policy_name"])}
    if base["rnn_name"] is not None:
        takers["rnn"] = getattr(module, base["rnn_name"])
    return {
        section: {key: parameter.default for key, parameter in inspect.signature(taker).parameters.items()}
        for section, taker in takers.items()
    }


def own_arguments(env_name: str, flags: Sequence[str] = (), configs: Path | None = None) -> dict[str, Any]:
    """What `puffer eval ENV FLAG…` works with, by PufferLib's own loader.

    Args:
        env_name: the environment.
        flags: as they would be typed.
        configs: a folder whose `config` is read in the place of PufferLib's.

    Raises:
        Unusable: PufferLib takes no such flag, or not this value of it.
    """
    pufferl = pufferlib.pufferl
    before, said = (pufferl.__file__, sys.argv), io.StringIO()
    pufferl.__file__ = str(configs / "pufferl.py") if configs else before[0]  # it looks beside its own file
    sys.argv = [sys.argv[0], *flags]
    try:
        with contextlib.redirect_stderr(said):
            arguments: dict[str, Any] = pufferl.load_config(env_name)
            return arguments
    except SystemExit as error:
        raise Unusable((said.getvalue().strip().splitlines() or ["PufferLib's parser ended"])[-1]) from error
    finally:
        pufferl.__file__, sys.argv = before


def own_policy(env_name: str, arguments: dict[str, Any]) -> torch.nn.Module:
    """The policy that `puffer eval` would play, by PufferLib's own functions.

    Args:
        env_name: the environment.
        arguments: from `own_arguments`; `load_model_path` names the weights.
    """
    arguments = arguments.copy()  # of its own kind: it makes up sections that are empty
    arguments["vec"] = {"backend": "Serial", "num_envs": 1}  # as its eval does
    vecenv = pufferlib.pufferl.load_env(env_name, arguments)
    try:
        policy: torch.nn.Module = pufferlib.pufferl.load_policy(arguments, vecenv)
        return policy
    finally:
        vecenv.close()


# --- the trainer -------------------------------------------------------------------------------------------------


class _NoThread:
    """A stand-in for PuffeRL's thread that polls the machine each second: utilization is read with each log."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.cpu_util = self.cpu_mem = self.gpu_util = self.gpu_mem = (0,)

    def stop(self) -> None:
        """Nothing runs."""


pufferlib.pufferl.Utilization = _NoThread

# PuffeRL takes the CUDA kernel of its advantage to be there when `nvcc` is, which may have come or gone since it was
# built; without the kernel it computes on the CPU.
pufferlib.pufferl.ADVANTAGE_CUDA = torch._C._dispatch_has_kernel_for_dispatch_key(
    "pufferlib::compute_puff_advantage", "CUDA"
)


class Logger:
    """The logger that PuffeRL is given: all that it needs of one."""

    run_id = "unused"

    def __init__(self) -> None:
        self.taken: tuple[dict[str, Any], int] | None = None

    def log(self, logs: dict[str, Any], step: int) -> None:
        """Keep one log, speeds and what the environments reported, until the losses that belong to it are there."""
        self.taken = (logs, step)

    def close(self, model_path: str) -> None:
        """Do nothing: PuffeRL calls this at the end of its own command only."""


class Trainer(pufferlib.pufferl.PuffeRL):  # type: ignore[misc]
    """PuffeRL as it is, without the full-screen dashboard and with checkpoints left to us."""

    observations: Any

    def __init__(
        self,
        config: Config,
        vecenv: Any,
        policy: torch.nn.Module,
        *,
        seed: int,
        device: str,
        on_log: Callable[[dict[str, Any], int], None] = lambda *_: None,
        on_checkpoint: Callable[["Trainer"], None] = lambda _: None,
    ) -> None:
        """Build the trainer of a config.

        Args:
            config: what it trains.
            vecenv: from `make_vecenv`.
            policy: from `make_policy`.
            seed: of the environments.
            device: cpu, cuda or mps.
            on_log: gets each log, losses included, and the agent steps so far.
            on_checkpoint: called each `train.checkpoint_interval` updates and at the end.
        """
        self._on_log, self._on_checkpoint = on_log, on_checkpoint
        settings = {**config.train, "env": config.env_name, "use_rnn": bool(config.rnn["enabled"])}
        settings |= {"device": device, "seed": seed, "batch_size": "auto", "data_dir": ""}
        if config.train["precision"] != "float32" and device == "cuda" and getattr(policy, "is_continuous", False):
            raise Unusable(f"PufferLib can't train continuous actions in {config.train['precision']} on a GPU")
        super().__init__(settings, vecenv, policy, Logger())
        if config.train["precision"] != "float32":
            self.amp_context = Precision("cuda", str(config.train["precision"]))
        if config.train["cpu_offload"]:
            self.observations = Offloaded(self.observations, device)

    def train(self) -> None:
        """Make one update. PuffeRL logs before it has taken note of the update's losses; they go with the log here."""
        try:
            super().train()
        finally:
            if isinstance(self.amp_context, Precision):
                self.amp_context.leave()
        self._pass_on_log()

    def _pass_on_log(self) -> None:
        if self.logger.taken is not None:
            (logs, step), self.logger.taken = self.logger.taken, None
            self._on_log({**logs, **{f"losses/{name}": value for name, value in self.losses.items()}}, step)

    def print_dashboard(self, *_: Any, **__: Any) -> None:
        """Print nothing: progress goes out as events."""

    def save_checkpoint(self) -> None:
        """Leave the checkpoint to `on_checkpoint`; what was logged of this update is passed on before."""
        self._pass_on_log()
        self._on_checkpoint(self)

    def state(self) -> dict[str, Any]:
        """What the optimizer knows, in plain containers and tensors, so that it can be read with `weights_only`.

        Muon has objects of its own among its settings, of which `restore` takes none.
        """
        known = self.optimizer.state_dict()
        groups = [{key: value for key, value in group.items() if _is_plain(value)} for group in known["param_groups"]]
        return {
            "optimizer": str(self.config["optimizer"]),
            "optimizer_state_dict": {**known, "param_groups": groups},
            "global_step": int(self.global_step),
        }

    def restore(self, state: Mapping[str, Any]) -> str | None:
        """Take over the moments of an optimizer, and nothing else of it.

        `load_state_dict` brings back the learning rate that the parent had annealed to, and its betas; the config's own
        go back in, and the schedule starts again from them.

        Returns:
            Why they could not be taken over; None when they were.
        """
        own = [{key: value for key, value in group.items() if key != "params"} for group in self.optimizer.param_groups]
        if state["optimizer"] != self.config["optimizer"]:
            return f"the moments of {state['optimizer']} are of no use to {self.config['optimizer']}: they start anew"
        try:
            self.optimizer.load_state_dict(dict(state["optimizer_state_dict"]))
        except (ValueError, KeyError) as error:
            return f"the optimizer's moments do not fit and start anew: {error}"
        rate = float(self.config["learning_rate"])
        for group, mine in zip(self.optimizer.param_groups, own, strict=True):
            group.update({**mine, "lr": rate, "initial_lr": rate})
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=max(1, self.total_epochs))
        return None


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str, torch.Tensor))


def learning_rate(trainer: Trainer) -> float:
    """The rate that the next update is made with."""
    return float(trainer.optimizer.param_groups[0]["lr"])


class _Still(pufferlib.PufferEnv):  # type: ignore[misc]
    """An environment in which nothing happens, to build a trainer on."""

    def __init__(self, buf: Any = None, seed: int = 0) -> None:
        import gymnasium

        self.single_observation_space = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self.num_agents = 2
        super().__init__(buf)

    def reset(self, seed: int | None = None) -> tuple[Any, list[Any]]:
        return self.observations, []

    def step(self, actions: Any) -> tuple[Any, ...]:
        return self.observations, self.rewards, self.terminals, self.truncations, []

    def close(self) -> None:
        pass


def warm_up() -> None:
    """Build and discard one trainer of each optimizer: the first costs 1.7 s of imports, every other one 0.02 s.

    On one thread and without a backward pass, so that a process may be forked afterwards.
    """
    torch.set_num_threads(1)
    base: dict[str, Any] = {key: value for key, value in default_ini()["train"].items() if value != "auto"}
    for optimizer in ("adam", "muon"):
        train = {**base, "optimizer": optimizer, "bptt_horizon": 2, "minibatch_size": 4, "total_timesteps": 4}
        parts: dict[str, Any] = {"env": {}, "vec": {"backend": "Serial", "num_envs": 1}, "autopilot": {}}
        parts |= {"policy": {"name": DEFAULT_POLICY}, "rnn": {"enabled": optimizer == "adam"}}
        config = Config(env_name="still", train=train, **parts)
        vecenv = make_vecenv(_Still, {}, config.vec, seed=0)
        trainer = Trainer(config, vecenv, make_policy(config, "ocean", vecenv, "cpu"), seed=0, device="cpu")
        trainer.evaluate()
        vecenv.close()
