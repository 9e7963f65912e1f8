"""What a search believes: a Gaussian process over all replicates of all points.

A point's score is a smooth function of its place, plus what is peculiar to the point, plus noise that differs from
replicate to replicate. Lengths of the kernel, one for each key, follow a prior that grows with the number of keys
(Hvarfner et al. 2024); all hyperparameters are the most likely ones (MAP).
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SQRT5 = math.sqrt(5.0)
JITTER = 1e-8


@dataclass(frozen=True)
class Belief:
    """A fitted process."""

    features: "Array"
    """Points × features."""
    values: "Array"
    """Of each point, the mean of its replicates as a difference from the level."""
    counts: "Array"
    """Replicates of each point."""
    lengths: "Array"
    signal: float
    """Variance of the smooth part."""
    own: float
    """Variance of what is peculiar to a point."""
    noise: float
    """Variance between replicates of a point."""
    level: float
    """Mean where nothing is known."""
    chol: "Array"
    weights: "Array"

    def predict(self, features: "Array") -> "tuple[Array, Array]":
        """Mean and standard deviation of the smooth part at these features."""
        import numpy as np
        from scipy.linalg import solve_triangular

        cross = self.signal * matern(distances(features, self.features, self.lengths))
        mean = self.level + cross @ self.weights
        solved = solve_triangular(self.chol, cross.T, lower=True)
        variance = np.maximum(self.signal - (solved**2).sum(axis=0), JITTER)
        return mean, np.sqrt(variance)

    def posterior(self) -> "tuple[Array, Array]":
        """Mean and covariance of the tried points, what is peculiar to each included."""
        import numpy as np
        from scipy.linalg import solve_triangular

        prior = self.signal * matern(distances(self.features, self.features, self.lengths))
        prior = prior + self.own * np.eye(len(prior))
        mean = self.level + prior @ self.weights
        solved = solve_triangular(self.chol, prior, lower=True)
        return mean, prior - solved.T @ solved

    def errors(self) -> "tuple[Array, Array]":
        """Of each point as foretold from those before it: the error in standard deviations, and what was foretold.

        With the hyperparameters of all points. The first is foretold by the level alone.
        """
        import numpy as np
        from scipy.linalg import solve_triangular

        error = solve_triangular(self.chol, self.values, lower=True)
        return error, self.level + self.values - np.diag(self.chol) * error

    def explains(self) -> float:
        """Share of the variance of the points' means that is foretold when each is left out; below 0 for none.

        From the closed form of leave-one-out predictions (Rasmussen & Williams 2006, equation 5.12).
        """
        import numpy as np
        from scipy.linalg import cho_solve

        inverse = cho_solve((self.chol, True), np.eye(len(self.chol)))
        missed = self.weights / np.diag(inverse)
        spread = float(self.values.var())
        return 1.0 - float((missed**2).mean()) / spread if spread > 0 else 0.0

    def evidence(self) -> float:
        """Log of how much likelier the points' means are by this process than by chance alone, at the most.

        Chance alone is a process without a smooth part, what is peculiar to a point as large as makes it likeliest. The
        smooth part pays for its hyperparameters by their prior, since those that are most likely fit chance too.
        """
        import numpy as np
        from scipy.optimize import minimize_scalar

        def unlikely(log: float) -> float:
            variance = math.exp(log) + self.noise / self.counts + JITTER
            return 0.5 * float((self.values**2 / variance + np.log(variance)).sum())

        blind = minimize_scalar(unlikely, bounds=(math.log(1e-6), math.log(10.0)), method="bounded").fun
        smooth = 0.5 * float(self.values @ self.weights) + float(np.log(np.diag(self.chol)).sum())
        middle, wide = prior_of(len(self.lengths))
        away = (np.log([*self.lengths, self.signal]) - middle[:-2]) / wide[:-2]
        return float(blind) - smooth - 0.5 * float((away**2).sum())

    def believing(self, at: "Array", replicates: "Array", features: "Array") -> "Belief":
        """The same process once what is pending has come out as it expects (Ginsbourger et al. 2010).

        Args:
            at: replicates that are pending of the points it has, 0 for most.
            replicates: that are pending of new points.
            features: of the new points, points × features.
        """
        import numpy as np

        mean, _ = self.predict(features)
        every = np.vstack([self.features, features])
        counts = np.concatenate([self.counts + at, replicates])
        values = np.concatenate([self.values, mean - self.level])
        return settled(every, values, counts, self.lengths, self.signal, self.own, self.noise, self.level)


def settled(
    features: "Array", values: "Array", counts: "Array", lengths: "Array",
    signal: float, own: float, noise: float, level: float,
) -> Belief:  # fmt: skip
    """A process with these hyperparameters; `values` are differences from the level."""
    import numpy as np
    from scipy.linalg import cho_solve

    total = signal * matern(distances(features, features, lengths)) + np.diag(own + noise / counts + JITTER)
    chol = np.linalg.cholesky(total)
    weights = cho_solve((chol, True), values)
    return Belief(features, values, counts, lengths, signal, own, noise, level, chol, weights)


def distances(one: "Array", other: "Array", lengths: "Array") -> "Array":
    """Distances between two sets of features, each in units of its length."""
    from scipy.spatial.distance import cdist

    away: Array = cdist(one / lengths, other / lengths)
    return away


def matern(distance: "Array") -> "Array":
    """The Matérn kernel of smoothness 5/2 (Rasmussen & Williams 2006, equation 4.17)."""
    import numpy as np

    scaled = SQRT5 * distance
    likeness: Array = (1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled)
    return likeness


def prior_of(width: int) -> "tuple[Array, Array]":
    """Middles and widths of the normal prior of the hyperparameters' logarithms.

    Args:
        width: number of features, each with a length; after those come the variances of the smooth part, of what is
            peculiar to a point, and between replicates.
    """
    import numpy as np

    lengths = math.log(0.5) + 0.5 * math.log(max(width, 1))
    return np.array([lengths] * width + [0.0, math.log(0.05), math.log(0.3)]), np.array([1.0] * width + [0.7, 1.0, 0.7])


def believe(features: "Array", means: "Array", counts: "Array", spread: float | None = None) -> Belief:
    """Fit a process.

    Args:
        features: points × features, each from 0 to 1.
        means: of each point, over its replicates.
        counts: replicates of each point, 1 or more.
        spread: variance between replicates where points with several give it; None leaves it to the fit.
    """
    import numpy as np
    from scipy.linalg import cho_solve
    from scipy.optimize import minimize

    n, width = features.shape
    level = float(np.average(means, weights=counts / (counts + 1.0)))
    values = means - level
    squared = (features[:, None, :] - features[None, :, :]) ** 2
    middle, wide = prior_of(width)
    if spread is not None:
        middle[-1] = math.log(max(spread, 1e-3))

    def cost(log: "Array") -> "tuple[float, Array]":
        lengths, (signal, own, noise) = np.exp(log[:width]), np.exp(log[width:])
        distance = np.sqrt((squared / lengths**2).sum(axis=2))
        scaled = SQRT5 * distance
        decay = np.exp(-scaled)
        smooth = signal * (1.0 + scaled + scaled**2 / 3.0) * decay
        total = smooth + np.diag(own + noise / counts + JITTER)
        try:
            chol = np.linalg.cholesky(total)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(log)
        weights = cho_solve((chol, True), values)
        inverse = cho_solve((chol, True), np.eye(n))
        outer = np.outer(weights, weights) - inverse
        slope = outer * signal * (5.0 / 3.0) * (1.0 + scaled) * decay
        gradient = np.empty_like(log)
        gradient[:width] = 0.5 * np.tensordot(slope, squared, axes=([0, 1], [0, 1])) / lengths**2
        gradient[width] = 0.5 * float((outer * smooth).sum())
        diagonal = np.diag(outer)
        gradient[width + 1] = 0.5 * own * float(diagonal.sum())
        gradient[width + 2] = 0.5 * noise * float((diagonal / counts).sum())
        away = (log - middle) / wide
        total_cost = 0.5 * float(values @ weights) + float(np.log(np.diag(chol)).sum()) + 0.5 * float((away**2).sum())
        return total_cost, -gradient + away / wide

    fitted = minimize(cost, middle, jac=True, method="L-BFGS-B", bounds=[(m - 4.0, m + 4.0) for m in middle],
                      options={"maxiter": 60})  # fmt: skip
    lengths, (signal, own, noise) = np.exp(fitted.x[:width]), np.exp(fitted.x[width:]).tolist()
    return settled(features, values, counts, lengths, signal, own, noise, level)
