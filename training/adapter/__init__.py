"""PufferLib 3.0.0, all of it: its configs, environments, policies, vectorization and trainer.

Nothing else trains with PufferLib (environments of ours extend its class), so another version of it is the work of
this package; `tests/training/test_adapter.py`
is the contract that it has to keep. It runs in worker processes only: importing it takes about two seconds.
"""

import sys

# PufferLib reads the command line where it is imported and used; the worker's own is not for it.
sys.argv = sys.argv[:1]

from training.adapter.configs import (  # noqa: E402
    default_ini,
    inis,
    own_arguments,
    own_defaults,
    own_ini,
    own_names,
    own_policy,
)
from training.adapter.frames import OCEAN, frame_of  # noqa: E402
from training.adapter.makers import (  # noqa: E402
    Maker,
    arguments_of,
    beside,
    is_emulated,
    is_together,
    load_object,
    logs_settled,
    longest_episode,
    maker_of,
    try_out,
)
from training.adapter.policies import (  # noqa: E402
    DEFAULT_POLICY,
    DEFAULT_RNN,
    make_policy,
    own_policy_class,
    policies_of,
    sample,
)
from training.adapter.trainer import Trainer, learning_rate, warm_up  # noqa: E402
from training.adapter.unusable import Unfit, Unusable  # noqa: E402
from training.adapter.vectors import Rewarded, make_vecenv, space_problem  # noqa: E402

__all__ = [
    "DEFAULT_POLICY",
    "DEFAULT_RNN",
    "OCEAN",
    "Maker",
    "Rewarded",
    "Trainer",
    "Unfit",
    "Unusable",
    "arguments_of",
    "beside",
    "default_ini",
    "frame_of",
    "inis",
    "is_emulated",
    "is_together",
    "learning_rate",
    "load_object",
    "logs_settled",
    "longest_episode",
    "make_policy",
    "make_vecenv",
    "maker_of",
    "own_arguments",
    "own_defaults",
    "own_ini",
    "own_names",
    "own_policy",
    "own_policy_class",
    "policies_of",
    "sample",
    "space_problem",
    "try_out",
    "warm_up",
]
