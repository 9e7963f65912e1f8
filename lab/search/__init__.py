"""The search for the next config: arms behind one interface, what the record says to them, when one thing is proven."""

from lab.search.arms import ARMS, ApartArm, RaceArm
from lab.search.asked import asked_for
from lab.search.effects import Effect, Effects, Span, effects_of
from lab.search.history import Arm, History, Trial
from lab.search.keys import search_space
from lab.search.night import BASELINE, contenders, left_to_search, name_contender
from lab.search.permits import Permits
from lab.search.points import Choice, Point, Range, SearchSpace
from lab.search.search import Leader, Search, Suggestion
from lab.search.sweeps import sweep_of, swept

__all__ = [
    "ARMS",
    "BASELINE",
    "ApartArm",
    "Arm",
    "Choice",
    "Effect",
    "Effects",
    "History",
    "Leader",
    "Permits",
    "Point",
    "RaceArm",
    "Range",
    "Search",
    "SearchSpace",
    "Span",
    "Suggestion",
    "Trial",
    "asked_for",
    "contenders",
    "effects_of",
    "left_to_search",
    "name_contender",
    "search_space",
    "sweep_of",
    "swept",
]
