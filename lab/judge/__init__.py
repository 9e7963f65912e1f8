"""What can be concluded: verdicts and the tests behind them, confirmation, pruning, predictions, diagnosis, lessons."""

from lab.judge.beside import beyond_noise
from lab.judge.costs import (
    Pace,
    Paces,
    expected_seconds,
    is_topology,
    is_work,
    longest_seconds,
    paces,
    replicate_seconds,
)
from lab.judge.degrees import Degree, Yardsticks, degree_of, places_of
from lab.judge.diagnosis import diagnose, diagnosis_of, group_diagnosis, still_rising
from lab.judge.evidence import preset_of
from lab.judge.finding import Finding, Move, Weight, ranked
from lab.judge.gathering import known_of, proposed_of
from lab.judge.incumbency import Incumbency, SeedRequest, fresh_config, repeat
from lab.judge.known import Known, KnownRun
from lab.judge.lessons import Lesson, direction, lessons_of
from lab.judge.predictions import (
    ENOUGH,
    NEIGHBOURHOOD,
    Scored,
    interval_score,
    like_the_parent,
    score_predictions,
    scored_predictions,
    track_records,
)
from lab.judge.pruning import Watch, pruning_report, watch
from lab.judge.sequential import GROUP, NIGHT, SPENDING, Plan, level_for, level_outside, look, lowest, spending
from lab.judge.stability import SEVERAL, Stabilities, Stability
from lab.judge.stats import compare, detectable, noise_floor
from lab.judge.stopping import FAILURES, PLATEAU, exhausted, failures, plateau, promises, reached, room_above, scores_of
from lab.judge.verdicts import compare_runs, confounds, current_verdict, noise_of, record_verdict, rival, weigh

__all__ = [
    "ENOUGH",
    "FAILURES",
    "GROUP",
    "NEIGHBOURHOOD",
    "NIGHT",
    "PLATEAU",
    "SEVERAL",
    "SPENDING",
    "Degree",
    "Finding",
    "Incumbency",
    "Known",
    "KnownRun",
    "Lesson",
    "Move",
    "Pace",
    "Paces",
    "Plan",
    "Scored",
    "SeedRequest",
    "Stabilities",
    "Stability",
    "Watch",
    "Weight",
    "Yardsticks",
    "beyond_noise",
    "compare",
    "compare_runs",
    "confounds",
    "current_verdict",
    "degree_of",
    "detectable",
    "diagnose",
    "diagnosis_of",
    "direction",
    "exhausted",
    "expected_seconds",
    "failures",
    "fresh_config",
    "group_diagnosis",
    "interval_score",
    "is_topology",
    "is_work",
    "known_of",
    "lessons_of",
    "level_for",
    "level_outside",
    "like_the_parent",
    "longest_seconds",
    "look",
    "lowest",
    "noise_floor",
    "noise_of",
    "paces",
    "places_of",
    "plateau",
    "preset_of",
    "promises",
    "proposed_of",
    "pruning_report",
    "ranked",
    "reached",
    "record_verdict",
    "repeat",
    "replicate_seconds",
    "rival",
    "room_above",
    "score_predictions",
    "scored_predictions",
    "scores_of",
    "spending",
    "still_rising",
    "track_records",
    "watch",
    "weigh",
]
