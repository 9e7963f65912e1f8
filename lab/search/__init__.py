"""The search for the next config: candidates from a sampler, and the control arm's proposals."""

from lab.search.arms import ARMS, ApartArm
from lab.search.history import Arm, History, Trial
from lab.search.keys import search_space
from lab.search.night import BASELINE, contenders, name_contender, spending
from lab.search.points import Choice, Point, Range, SearchSpace
from lab.search.sampling import ARM, sampled
from lab.search.suggest import Dimension, Permits, suggest_changes

__all__ = [
    "ARM",
    "ARMS",
    "BASELINE",
    "ApartArm",
    "Arm",
    "Choice",
    "Dimension",
    "History",
    "Permits",
    "Point",
    "Range",
    "SearchSpace",
    "Trial",
    "contenders",
    "name_contender",
    "sampled",
    "search_space",
    "spending",
    "suggest_changes",
]
