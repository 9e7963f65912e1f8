"""The search for the next config: arms behind one interface, what the record says to them, when one thing is proven."""

from lab.search.arms import ARMS, ApartArm, RaceArm
from lab.search.asked import asked_for, predicted_of
from lab.search.history import Arm, History, Trial
from lab.search.keys import search_space
from lab.search.night import BASELINE, contenders, left_to_search, name_contender
from lab.search.permits import Permits
from lab.search.plan import Phases, findable, lay_out, phases, plan_of, seeds_for
from lab.search.points import Choice, Point, Range, SearchSpace
from lab.search.search import Leader, Outlook, Search, Suggestion
from lab.search.state import Centre, Standing, State, Trained, moved_most, state_of
from lab.search.sweeps import sweep_of, swept

__all__ = [
    "ARMS",
    "BASELINE",
    "ApartArm",
    "Arm",
    "Centre",
    "Choice",
    "History",
    "Leader",
    "Outlook",
    "Permits",
    "Phases",
    "Point",
    "RaceArm",
    "Range",
    "Search",
    "SearchSpace",
    "Standing",
    "State",
    "Suggestion",
    "Trained",
    "Trial",
    "asked_for",
    "contenders",
    "findable",
    "lay_out",
    "left_to_search",
    "moved_most",
    "name_contender",
    "phases",
    "plan_of",
    "predicted_of",
    "search_space",
    "seeds_for",
    "state_of",
    "sweep_of",
    "swept",
]
