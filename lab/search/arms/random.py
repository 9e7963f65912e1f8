"""Random search: points drawn uniformly on the scales of the keys (Bergstra & Bengio 2012)."""

from dataclasses import dataclass

from lab.search.history import Ask, History, best_mean


@dataclass(frozen=True)
class RandomArm:
    """Draws whatever was done before."""

    replicates: int = 1

    def propose(self, history: History, count: int) -> list[Ask]:
        """Points that nobody has tried."""
        import numpy as np

        draw = np.random.default_rng(history.draws)
        if history.pool is not None:
            free = history.untried
            return [Ask(free[at], self.replicates) for at in draw.permutation(len(free))[:count]]
        width = len(history.space.dimensions)
        return [Ask(history.fitted(history.space.point(draw.random(width))), self.replicates) for _ in range(count)]

    def leader(self, history: History) -> int | None:
        """The highest mean."""
        return best_mean(history.trials)
