"""What may be trained: keys and their ranges, a config as a value, environments, presets, what the user narrows."""

from lab.space.aggregate import AGGREGATES, Told, aggregated, is_state
from lab.space.config import SECTIONS, Config, derive, diff, telling
from lab.space.environments import COMMON, PRESETS, Metric, base_config, logged_as, metrics_of, preset_config, task_of
from lab.space.inventory import Environment, Inventory
from lab.space.limits import check_open, declared_limits
from lab.space.modules import GYMNASIUM, check_importable, hint
from lab.space.objective import SIGN, Direction, Group, Objective, check_objective, check_reachable, refuse_statistic
from lab.space.overrides import assignments
from lab.space.parameters import (
    BOOKKEEPING,
    NEAR,
    PARAMETERS,
    TASK_KEYS,
    VARIANT_KEYS,
    Parameter,
    Scale,
    Space,
    few,
    identity,
    in_order,
    kinship,
    space_for,
)
from lab.space.presets import Measurement, StoredPreset, moved, names, preset, store, topology
from lab.space.seeds import (
    evaluation_seed,
    evaluation_shape,
    evaluation_spans,
    first_seed,
    free_of_evaluation,
    of_config,
)
from lab.space.statistic import NAMED, TRIM, Statistic, expected_weights, summed_up, weights
from lab.space.task import Task, Variant
from lab.space.validate import check_config, check_overrides, memory_of, space_of
from lab.space.variants import Variants, chosen, declared_variants
from lab.space.wrappers import WRAPPERS, declared_wrappers, environment_wrappers

__all__ = [
    "AGGREGATES",
    "BOOKKEEPING",
    "COMMON",
    "GYMNASIUM",
    "NAMED",
    "NEAR",
    "PARAMETERS",
    "PRESETS",
    "SECTIONS",
    "SIGN",
    "TASK_KEYS",
    "TRIM",
    "VARIANT_KEYS",
    "WRAPPERS",
    "Config",
    "Direction",
    "Environment",
    "Group",
    "Inventory",
    "Measurement",
    "Metric",
    "Objective",
    "Parameter",
    "Scale",
    "Space",
    "Statistic",
    "StoredPreset",
    "Task",
    "Told",
    "Variant",
    "Variants",
    "aggregated",
    "assignments",
    "base_config",
    "check_config",
    "check_importable",
    "check_objective",
    "check_open",
    "check_overrides",
    "check_reachable",
    "chosen",
    "declared_limits",
    "declared_variants",
    "declared_wrappers",
    "derive",
    "diff",
    "environment_wrappers",
    "evaluation_seed",
    "evaluation_shape",
    "evaluation_spans",
    "expected_weights",
    "few",
    "first_seed",
    "free_of_evaluation",
    "hint",
    "identity",
    "in_order",
    "is_state",
    "kinship",
    "logged_as",
    "memory_of",
    "metrics_of",
    "moved",
    "names",
    "of_config",
    "preset",
    "preset_config",
    "refuse_statistic",
    "space_for",
    "space_of",
    "store",
    "summed_up",
    "task_of",
    "telling",
    "topology",
    "weights",
]
