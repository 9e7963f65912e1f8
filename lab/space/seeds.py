"""Seeds: those of the replicates, those that environments derive from them, and that no evaluation shares one.

An environment of Ocean calls `srand(i + seed * num_envs)` for its i-th copy (env_binding.h), in 32 bits, and
PufferLib's vectorization counts the seed up from copy to copy (vector.py: `seed + i`, and with several processes
`(seed + i) * copies per process + j`). So one seed stands for a range of derived ones, ranges of different seeds can
meet, and that two of them do not has to be worked out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lab.space.config import Config

BITS = 2**32
"""How many seeds C's `srand` knows: 32 bits."""
TOP = 2**31
"""The first seed that a C `int` can't pass on."""


@dataclass(frozen=True)
class Span:
    """A range of derived seeds, possibly around the end of 32 bits."""

    start: int
    """The first seed, 0 to 2^32 - 1."""
    length: int

    def meets(self, other: "Span") -> bool:
        """Whether two spans have a seed in common."""
        return (other.start - self.start) % BITS < self.length or (self.start - other.start) % BITS < other.length


def derived(seed: int, copies: int, units: int, each: int = 1) -> tuple[Span, ...]:
    """Every seed that an environment could be given, or give to C, when a training is seeded with `seed`.

    Args:
        seed: of the replicate, 0 to 2^31 - 1.
        copies: `vec.num_envs`.
        units: `env.num_envs`, 1 where the environment takes no such argument.
        each: copies that one process steps, with several processes.
    """
    starts = (seed, seed * each)  # at a reset; and when they are built in processes of their own
    spans = [Span(start % BITS, copies) for start in starts]
    spans += [Span(start * units % BITS, min(copies * units, BITS)) for start in starts]
    return tuple(dict.fromkeys(spans))


def first_seed(config: Config, seed: int) -> int:
    """The seed of a replicate's first environment; its others count up from it.

    Replicates have seeds that follow each other, so each takes as many as it has environments: with PufferLib's own
    way the second one's would be the first one's but for one.
    """
    return seed * int(config.vec["num_envs"] or 1) % 2**30


def of_config(config: Config, seed: int) -> tuple[Span, ...]:
    """The derived seeds of one replicate of a config."""
    copies = int(config.vec["num_envs"] or 1)
    workers = int(config.vec.get("num_workers") or copies) if config.vec["backend"] == "Multiprocessing" else copies
    return derived(first_seed(config, seed), copies, int(config.env.get("num_envs") or 1), max(1, copies // workers))


def evaluation_seed(copies: int, units: int) -> int:
    """The seed of the final evaluation: its derived seeds lie at the very top of what a C `int` holds.

    Args:
        copies: environments that PufferLib steps one after the other, in one process.
        units: copies of the environment in each.
    """
    return TOP // units - copies - 1


def evaluation_spans(copies: int, units: int) -> tuple[Span, ...]:
    """The derived seeds of the final evaluation."""
    seed = evaluation_seed(copies, units)
    return tuple(dict.fromkeys((Span(seed % BITS, copies), Span(seed * units % BITS, copies * units))))


def evaluation_shape(slots: int, agents_per_env: float, *, scalable: bool) -> tuple[int, int]:
    """How many environments (copies, units of each) make about `slots` agents.

    Args:
        slots: agents wanted.
        agents_per_env: agents of one unit.
        scalable: the environment's constructor takes `num_envs`.
    """
    count = max(1, round(slots / agents_per_env))
    return (1, count) if scalable else (count, 1)


def free_of_evaluation(config: Config, seeds: Iterable[int], shape: tuple[int, int]) -> bool:
    """Whether no replicate trains on a seed that the evaluation uses."""
    kept = evaluation_spans(*shape)
    return not any(span.meets(other) for seed in seeds for span in of_config(config, seed) for other in kept)
