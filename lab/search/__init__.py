"""The search for the next config: arms behind one interface, what the record says to them, when one thing is proven."""

from lab.search.arms import ARMS, ApartArm, RaceArm
from lab.search.asked import asked_for, predicted_of
from lab.search.contest import BASE, front_of, merged, standing_of
from lab.search.effects import Effect, Effects, Span, effects_of
from lab.search.forecast import Forecast, forecast
from lab.search.front import Placed
from lab.search.history import Arm, History, Trial
from lab.search.keys import UNSEARCHED, search_space
from lab.search.night import BASELINE, before_proof, complete, contenders, name_contender, provable, worth_proving
from lab.search.permits import Permits
from lab.search.plan import Phases, findable, lay_out, phases, plan_of, seeds_for
from lab.search.points import Choice, Point, Range, SearchSpace
from lab.search.retreat import Retreat, retreat_of
from lab.search.search import Leader, Outlook, Search, Suggestion
from lab.search.standing import Ahead, ArmStanding, Mark, Standing
from lab.search.state import BelievedBest, Centre, State, Trained, moved_most, state_of
from lab.search.sweeps import sweep_of, swept

__all__ = [
    "ARMS",
    "BASE",
    "BASELINE",
    "UNSEARCHED",
    "Ahead",
    "ApartArm",
    "Arm",
    "ArmStanding",
    "BelievedBest",
    "Centre",
    "Choice",
    "Effect",
    "Effects",
    "Forecast",
    "History",
    "Leader",
    "Mark",
    "Outlook",
    "Permits",
    "Phases",
    "Placed",
    "Point",
    "RaceArm",
    "Range",
    "Retreat",
    "Search",
    "SearchSpace",
    "Span",
    "Standing",
    "State",
    "Suggestion",
    "Trained",
    "Trial",
    "asked_for",
    "before_proof",
    "complete",
    "contenders",
    "effects_of",
    "findable",
    "forecast",
    "front_of",
    "lay_out",
    "merged",
    "moved_most",
    "name_contender",
    "phases",
    "plan_of",
    "predicted_of",
    "provable",
    "retreat_of",
    "search_space",
    "seeds_for",
    "standing_of",
    "state_of",
    "sweep_of",
    "swept",
    "worth_proving",
]
