"""Importance of parameters: worked out aside, kept in the index, shown with how many runs it was worked out from."""

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lab.space import PARAMETERS, Config, Group, Scale
from lab.store.index import Index
from lab.store.selection import OF_GROUP, Selection

FEWEST = 10
"""Runs below which no importance is worked out: it would be noise."""
GREW = 1.1
"""Times as many runs as it was worked out from, and an importance is worked out again."""


class Importance(NamedTuple):
    """The parameters that the differences between runs go with."""

    shares: dict[str, float]
    """Dotted key to its share, largest first; they add up to 1."""
    runs: int
    """How many runs it was worked out from."""
    computed: float
    """Seconds since 1970."""


@dataclass
class Importances:
    """The importance of parameters in each group of one workspace."""

    index: Index
    _refreshing: dict[Group, threading.Thread] = field(default_factory=dict, init=False, repr=False)

    def of(self, group: Group) -> Importance | None:
        """What is known of a group at once; when that is out of date a thread works it out anew for the next time.

        Returns:
            None while nothing is known: too few runs, or it has not been worked out yet.
        """
        kept, runs = self._kept(group), self.index.count(Selection(group, scored=True, native=True))
        under_way = self._refreshing.get(group)
        if runs >= max(FEWEST, GREW * (kept.runs if kept else 0)) and not (under_way and under_way.is_alive()):
            self._refreshing[group] = threading.Thread(target=self.refresh, args=(group,), daemon=True)
            self._refreshing[group].start()
        return kept

    def refresh(self, group: Group) -> Importance | None:
        """Work out a group's importance now, and keep it.

        The method is Optuna's PED-ANOVA (Watanabe et al. 2023): how much a parameter's values among the best tenth
        differ from those among all.
        """
        where, values = OF_GROUP, tuple(group)
        rows = self.index.ask(
            f"SELECT goodness, config FROM runs JOIN texts USING (run_id) WHERE {where}"  # noqa: S608
            " AND goodness IS NOT NULL AND NOT legacy",
            values,
        )
        if len(rows) < FEWEST:
            return None
        flats = [Config.model_construct(**json.loads(config)).flat() for _, config in rows]
        shares = _shares([goodness for goodness, _ in rows], flats)
        made = Importance(shares, len(rows), time.time())
        self.index.keep(
            "INSERT OR REPLACE INTO importance VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*group, made.runs, made.computed, json.dumps(shares)),
        )
        return made

    def _kept(self, group: Group) -> Importance | None:
        query = f"SELECT shares, runs, computed FROM importance WHERE {OF_GROUP}"  # noqa: S608
        rows = self.index.ask(query, tuple(group))
        return Importance(json.loads(rows[0][0]), *rows[0][1:]) if rows else None


def _shares(goodness: list[float], flats: list[dict[str, Any]]) -> dict[str, float]:
    """Key to its share of the importance, for the keys that differ between runs."""
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    scales = {parameter.key: parameter.scale for parameter in PARAMETERS}
    dims: dict[str, BaseDistribution] = {}
    columns: dict[str, list[Any]] = {}
    for key in sorted({key for flat in flats for key in flat}):
        values = [flat.get(key) for flat in flats]
        if not all(isinstance(value, (bool, int, float, str)) for value in values) or len(set(values)) < 2:
            continue
        if any(isinstance(value, (bool, str)) for value in values):
            dims[key], columns[key] = CategoricalDistribution(sorted(set(values), key=str)), values
            continue
        numbers = [1 - float(value or 0) if scales.get(key) is Scale.LOGIT else float(value or 0) for value in values]
        log = scales.get(key) in (Scale.LOG, Scale.LOGIT, Scale.POW2) and min(numbers) > 0
        dims[key], columns[key] = FloatDistribution(min(numbers), max(numbers), log=log), numbers
    if not dims:
        return {}
    study = optuna.create_study(direction="maximize")
    for i, value in enumerate(goodness):
        params = {key: columns[key][i] for key in dims}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=dims, value=value))
    shares = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
