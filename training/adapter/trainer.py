"""PuffeRL: one trainer of a config, without its dashboard and with its checkpoints left to us."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
import pufferlib
import pufferlib.pufferl
import torch

from lab.space import Config
from training.adapter.configs import default_ini
from training.adapter.policies import DEFAULT_POLICY, make_policy
from training.adapter.unusable import Unusable
from training.adapter.vectors import make_vecenv
from training.gpus import Offloaded, Precision


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
