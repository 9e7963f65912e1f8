"""The final evaluation: a trained policy on environments that it was not trained on, twice.

Once with sampled actions, as it was trained, and once with the likeliest ones, which ent_coef does not blur. The
environment's arguments are the task's, whatever the config trained with. Where the ends of episodes can be seen, each
slot counts the same number of complete ones: to count the first N that finish would favour short ones. Where the
environment adds up its log by itself, as Ocean's do in C, the evaluation goes on until the episodes that it cuts off
weigh next to nothing, and says how much.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch

from lab.base import LARGEST, numbers, parted
from lab.space import Config, Task, Told, agents_in_unit, evaluation_seed, evaluation_shape
from lab.store import Evaluation
from training import adapter

UNFINISHED = 0.05
"""The most that unfinished episodes may weigh before the evaluation goes on for longer."""
LONGEST = 4
"""Times the task's steps that an evaluation may take in the end."""
UNLOGGED = 5
"""Times its seconds that `Evaluator.begin` goes on for, at most, until something is logged."""


@dataclass
class Evaluator:
    """The evaluation of one policy on a task."""

    maker: adapter.Maker
    task: Task
    agents_per_env: float
    scalable: bool
    """The environment's constructor takes `num_envs`."""
    device: str
    recurrent: bool
    alive: Callable[[], None]
    """Function called now and then, so that nobody takes a long evaluation for a hung one."""

    @classmethod
    def of(
        cls,
        config: Config,
        task: Task,
        agents_per_env: float,
        device: str,
        alive: Callable[[], None] = lambda: None,
        metric: str = "",
    ) -> "Evaluator":
        """The evaluator of a config's policy, on a task of its environment; it logs a metric such as `won@max` too."""
        scalable, recurrent = "num_envs" in config.env, bool(config.rnn["enabled"])
        maker = adapter.maker_of(config.env_name, Told(task.told, metric))
        return cls(maker, task, agents_in_unit(config, agents_per_env), scalable, device, recurrent, alive)

    @property
    def shape(self) -> tuple[int, int]:
        """The number of environments, and of units in each."""
        return evaluation_shape(self.task.slots, self.agents_per_env, scalable=self.scalable)

    @property
    def seed(self) -> int:
        """The seed that the environments are built with."""
        return evaluation_seed(*self.shape)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of each environment: the task's, and the units that fit its slots."""
        return {**self.task.env, **({"num_envs": self.shape[1]} if self.scalable else {})}

    def run(self, policy: torch.nn.Module) -> tuple[Evaluation, ...]:
        """Make both passes, sampled and greedy, from the same start.

        Args:
            policy: takes a batch of observations and its recurrent state, as PufferLib's do.
        """
        policy.eval()
        return tuple(self._pass(policy, greedy) for greedy in (False, True))

    @torch.no_grad()
    def begin(self, policy: torch.nn.Module, seconds: float) -> tuple[float, tuple[str, ...], bool]:
        """Begin a pass, to see how long both would take and what is logged.

        How long a trained policy's episodes will be is not known. They are taken to be as long as those that end now;
        where the environment limits their steps and that can be seen, half way between these and the limit, which
        is off by half of it at most. Where neither is known, all steps of the task count, and none beyond them.

        Args:
            policy: as for `run`, trained or not.
            seconds: that it goes on for; longer where nothing was logged by then.

        Returns:
            Seconds that both passes would take, the environment's own names of what it logged, and whether it never
            logs others.
        """
        policy.eval()
        began = time.perf_counter()
        vecenv = self._vecenv()
        try:
            play, ends = _Play(self, vecenv, policy, False), 0
            totals: dict[str, float] = {}
            weights: dict[str, float] = {}
            first = time.perf_counter()
            while (spent := time.perf_counter() - first) < seconds or (not totals and spent < UNLOGGED * seconds):
                ended, infos = play.step()
                ends += _ends(play, ended, infos)
                for info in infos:
                    _add(info, totals, weights)
            needed = _steps_needed(play, self.task, ends, weights)
            settled = adapter.logs_settled(vecenv.driver_env)
            return 2 * (first - began + needed * spent / play.steps), tuple(totals), settled
        finally:
            vecenv.close()

    def episode(self, policy_of: Callable[[Any], torch.nn.Module]) -> Generator[tuple[Any, float, bool], None, None]:
        """Play the first slot with sampled actions, step by step; close it when its episode has ended, or before.

        Args:
            policy_of: makes the policy for the vectorized environments.

        Yields:
            The environment, the reward of the step (0 before the first), and whether the episode ended with it.
        """
        vecenv = self._vecenv()
        try:
            torch.manual_seed(self.seed)
            play = _Play(self, vecenv, policy_of(vecenv).eval(), greedy=False)
            yield vecenv.driver_env, 0.0, False
            while True:
                with torch.no_grad():
                    ended, _ = play.step()
                yield vecenv.driver_env, float(vecenv.rewards[0]), 0 in ended
        finally:
            vecenv.close()

    def _vecenv(self) -> Any:
        vec = {"backend": "Serial", "num_envs": self.shape[0]}
        return adapter.make_vecenv(self.maker, self.arguments, vec, self.seed)

    @torch.no_grad()
    def _pass(self, policy: Any, greedy: bool) -> Evaluation:
        vecenv = self._vecenv()
        try:
            torch.manual_seed(self.seed)
            play = _Play(self, vecenv, policy, greedy)
            count = _by_episodes if adapter.is_emulated(vecenv.driver_env) else _by_steps
            return count(play, self.task)
        finally:
            vecenv.close()


class _Play:
    """The environments and the policy in step."""

    def __init__(self, evaluator: Evaluator, vecenv: Any, policy: Any, greedy: bool) -> None:
        self.vecenv, self.agents, self.actions = vecenv, vecenv.num_agents, "greedy" if greedy else "sampled"
        self._evaluator, self._policy, self._greedy = evaluator, policy, greedy
        self._observations, _ = vecenv.reset(evaluator.seed)
        self.steps = 0
        self._state: dict[str, Any] = {}
        if evaluator.recurrent:
            empty = torch.zeros(self.agents, policy.hidden_size, device=evaluator.device)
            self._state = {"lstm_h": empty, "lstm_c": empty.clone()}

    def step(self) -> tuple[Any, list[Any]]:
        """Step once: the slots that ended an episode, and what was logged."""
        self.steps += 1
        if self.steps % 100 == 0:
            self._evaluator.alive()
        observations = torch.as_tensor(self._observations).to(self._evaluator.device)
        logits, _ = self._policy.forward_eval(observations, self._state)
        actions = _likeliest(logits) if self._greedy else adapter.sample(logits)
        space = self.vecenv.action_space
        chosen = actions.cpu().numpy().reshape(space.shape)
        if isinstance(logits, torch.distributions.Normal):
            chosen = np.clip(chosen, space.low, space.high)
        self._observations, _, terminals, truncations, infos = self.vecenv.step(chosen.astype(space.dtype))
        ended = np.flatnonzero(terminals | truncations)
        if self._state and ended.size:
            for key in ("lstm_h", "lstm_c"):
                self._state[key][ended] = 0
        return ended, infos

    def result(self, means: dict[str, float], episodes: int, **more: Any) -> Evaluation:
        """The pass's record."""
        raw, odd = parted(means)
        return Evaluation(actions=self.actions, episodes=episodes, steps=self.steps, raw=raw, not_finite=odd, **more)


def _by_episodes(play: _Play, task: Task) -> Evaluation:
    """The first so many complete episodes of each slot; as many as the slowest slot has when steps run out."""
    logs: list[list[dict[str, float]]] = [[] for _ in range(play.agents)]
    while play.steps < task.steps and min(map(len, logs)) < task.episodes:
        ended, infos = play.step()
        for slot, info in zip(ended, infos, strict=True):  # `adapter.Episodes` logs ends alone, in numbers
            logs[slot].append(info)
    counted = min(task.episodes, *map(len, logs))
    kept = [log for slot in logs for log in slot[:counted]]
    names = dict.fromkeys(name for log in kept for name in log)
    with np.errstate(all="ignore"):  # what is not finite is told apart afterwards
        means = {name: float(np.mean([log[name] for log in kept if name in log])) for name in names}
    return play.result(means, len(kept), unfinished_share=0.0, per_slot=counted)


def _by_steps(play: _Play, task: Task) -> Evaluation:
    """What the environment logs over the task's steps, and more until unfinished episodes weigh little."""
    totals: dict[str, float] = {}
    weights: dict[str, float] = {}
    ends = 0
    while True:
        for _ in range(task.steps):
            ended, infos = play.step()
            ends += _ends(play, ended, infos)
            for info in infos:
                _add(info, totals, weights)
        episodes = _episodes(ends, weights)
        share = play.agents / (play.agents + episodes)
        if share < UNFINISHED or play.steps >= LONGEST * task.steps:
            break
    means = {name: totals[name] / weights[name] for name in totals if weights[name]}
    return play.result(means, episodes, unfinished_share=share)


def _ends(play: _Play, ended: Any, infos: list[Any]) -> int:
    """Ends of episodes in a step; PettingZoo's agents that have left are told as ended at each, so there logs count."""
    env = play.vecenv.driver_env
    return int(len(infos) * env.num_agents if adapter.is_together(env) else ended.size)


def _episodes(ends: int, weights: dict[str, float]) -> int:
    """Episodes logged, never too many: a log without `n` may be of several, and some environments flag no ends."""
    return max(int(weights.get("n", max(weights.values(), default=0))), ends if weights else 0)


def _steps_needed(play: _Play, task: Task, ends: int, weights: dict[str, float]) -> float:
    """Steps that each slot needs in one pass, by what has been seen of it; see `Evaluator.begin`."""
    env = play.vecenv.driver_env
    if adapter.is_emulated(env):
        limit, now = adapter.longest_episode(env), play.steps * play.agents / ends if ends else None
        lengths = [length for length in (limit, now) if length]
        return min(task.steps, task.episodes * fmean(lengths)) if lengths else task.steps
    each = _episodes(ends, weights) * task.steps / play.steps
    enough = (times for times in range(1, LONGEST) if play.agents / (play.agents + times * each) < UNFINISHED)
    return task.steps * (next(enough, LONGEST) if each else 1)


def _add(info: dict[str, Any] | None, totals: dict[str, float], weights: dict[str, float]) -> None:
    """Add one log of the environment: means over its `n` episodes, or single values where it has no `n`."""
    if not info:
        return
    logged = numbers(info)
    weight = n if 0 < (n := logged.get("n", 1.0)) < LARGEST else 1.0
    for name, number in logged.items():
        totals[name] = totals.get(name, 0.0) + number * weight
        weights[name] = weights.get(name, 0.0) + weight


def _likeliest(logits: Any) -> torch.Tensor:
    if isinstance(logits, torch.distributions.Normal):
        mean: torch.Tensor = logits.loc
        return mean
    if isinstance(logits, torch.Tensor):
        return logits.argmax(-1)
    return torch.stack([part.argmax(-1) for part in logits], dim=-1)
