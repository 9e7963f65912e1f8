"""The search for the next config: candidates from a sampler, and the control arm's proposals."""

from lab.search.sampling import ARM, sampled
from lab.search.suggest import Dimension, Permits, suggest_changes

__all__ = [
    "ARM",
    "Dimension",
    "Permits",
    "sampled",
    "suggest_changes",
]
