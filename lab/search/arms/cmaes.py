"""CMA-ES (Hansen 2016), by `cmaes`: a normal distribution that moves and stretches towards what was good."""

from dataclasses import dataclass

from lab.search.arms.random import RandomArm
from lab.search.history import Ask, History, best_mean, each

SIGMA = 0.3
"""First step size, as a share of each range: from the middle it reaches both ends."""


@dataclass(frozen=True)
class CMAESArm:
    """Told the history generation by generation, whoever proposed it, so that it needs no state of its own."""

    replicates: int = 1

    def propose(self, history: History, count: int) -> list[Ask]:
        """Draws from the present generation."""
        import numpy as np
        from cmaes import CMA

        space = history.space
        width = len(space.dimensions)
        if width < 2:  # the package wants two dimensions at least
            return RandomArm(self.replicates).propose(history, count)
        ended = [trial for trial in history.trials if trial.scores or trial.failed]
        start = space.places(ended[0].point) if ended else np.full(width, 0.5)
        search = CMA(start, SIGMA, bounds=np.array([[0.0, 1.0]] * width), seed=history.number)
        worst = min((score for trial in ended for score in trial.scores), default=0.0)
        size = search.population_size
        for first in range(0, len(ended) - size + 1, size):
            generation = ended[first : first + size]
            search.tell([(space.places(t.point), -t.mean if t.scores else -worst) for t in generation])
        return each([space.point(search.ask()) for _ in range(count)], self.replicates, history)

    def leader(self, history: History) -> int | None:
        """The highest mean."""
        return best_mean(history.trials)
