"""The options that several commands share, and how their values are read.

A value that is wrong ends in one line that names the option, the value, the rule and what would be valid.
"""

import getpass
import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from lab.base import InvalidInput, Problem, invalid


def whole(key: str, high: int = 10**12, low: int = 1) -> Callable[[Any], int]:
    """A reader of whole numbers from `low` to `high`."""

    def read(text: Any) -> int:
        try:
            value = int(str(text).replace("_", ""))
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            rule = f"must be a whole number from {low}{f' to {high}' if high < 10**12 else ' on'}"
            valid = f"such as {min(max(value, low), high)}"
            raise InvalidInput([Problem(key=key, value=repr(text), rule=rule, valid=valid)])
        return value

    return read


def positive(key: str, high: float, valid: str) -> Callable[[Any], float]:
    """A reader of numbers above 0 and up to `high`; `valid` is an example of one."""

    def read(text: Any) -> float:
        try:
            value = float(str(text))
        except ValueError:
            value = 0.0
        if not 0 < value <= high:
            rule = f"must be a number above 0, {high:g} at most"
            raise InvalidInput([Problem(key=key, value=repr(text), rule=rule, valid=f"such as {valid}")])
        return value

    return read


def any_number(key: str) -> Callable[[Any], float]:
    """A reader of finite numbers."""

    def read(text: Any) -> float:
        try:
            value = float(str(text))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InvalidInput([Problem(key=key, value=repr(text), rule="must be a number", valid="such as 0.95")])
        return value

    return read


hours_of = positive("hours", 24 * 365, "8 or 0.5")
minutes_of = positive("minutes", 24 * 60, "4 or 0.5")
dollars_of = positive("max-dollars", 1e6, "5 or 0.5")
EnvOption = Annotated[
    str, typer.Option("--env", help="PufferLib's name of it, gymnasium:ID, or your own as module:callable.")
]
PresetOption = Annotated[
    str, typer.Option(help="quick (seconds to a minute), full (PufferLib's own length), or one that 'probe' made.")
]
ObjectiveOption = Annotated[
    str | None,
    typer.Option(
        help="METRIC:max or METRIC:min, by the mean of the replicates, or METRIC@worst:max, @iqm or @median; else the"
        " environment's own."
    ),
]
SeedsOption = Annotated[
    int | None, typer.Option(parser=whole("seeds", 64), metavar="N", help="Replicates of each run; else the preset's.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a key, such as train.ent_coef=0.01."),
]
ParallelOption = Annotated[
    int | None,
    typer.Option(parser=whole("parallel", 256), metavar="N", help="Replicates at once; else what there is room for."),
]
ExecutorOption = Annotated[
    str, typer.Option(metavar="local|ray|slurm", help="Where replicates train: this machine, or a cluster.")
]
AddressOption = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="The head of the Ray cluster; else address in [ray].")
]
RepeatableOption = Annotated[
    bool,
    typer.Option("--repeatable", help="Record in an order that no machine's speed has a part in; needs --parallel."),
]
MinEffectOption = Annotated[
    float | None,
    typer.Option(
        parser=positive("min-effect", 1e12, "0.02"),
        metavar="X",
        help="The smallest difference that matters, in the objective's units; else half the noise floor.",
    ),
]
TensorboardOption = Annotated[
    bool, typer.Option("--tensorboard", help="Write each replicate's metrics for TensorBoard too.")
]
WandbOption = Annotated[bool, typer.Option("--wandb", help="Send each replicate's metrics to Weights & Biases too.")]
MlflowOption = Annotated[
    str | None,
    typer.Option(metavar="URI", help="Mirror it to MLflow while it goes on: sqlite:///FILE, or a server's address."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


def mirrors_of(*, tensorboard: bool, wandb: bool) -> tuple[Literal["tensorboard", "wandb"], ...]:
    """The mirrors that metrics go to besides the run's folder.

    Raises:
        InvalidInput: the package for it is not installed.
    """
    from importlib.util import find_spec

    wanted: dict[Literal["tensorboard", "wandb"], bool] = {"tensorboard": tensorboard, "wandb": wandb}
    for name, asked in wanted.items():
        if asked and find_spec(name) is None:
            valid = f"leave it out, or install it: pip install {name}"
            raise InvalidInput([Problem(key=name, value="true", rule=f"needs the package {name}", valid=valid)])
    return tuple(name for name, asked in wanted.items() if asked)


def mlflow_of(uri: str | None) -> str | None:
    """The store of MLflow that runs are mirrored to, the path of a file made a full one.

    Raises:
        InvalidInput: it is none, has a password in it, or the package is not installed.
    """
    import re
    from importlib.util import find_spec
    from pathlib import Path

    if uri is None:
        return None
    if "@" in uri.partition("//")[2].partition("/")[0]:
        shown = re.sub(r"//[^/]*@", "//…@", uri)
        valid = "the address alone, and MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        raise invalid("mlflow", shown, "has a user or a password in it, which would stand in files", valid)
    file = re.fullmatch(r"sqlite:///([^?\s][^?]*)", uri)
    if file is None and not re.fullmatch(r"https?://[^/?\s]+(/[^?\s]*)?", uri):
        raise invalid("mlflow", uri, "is no store", "sqlite:///mlflow.db, or such as http://127.0.0.1:5000")
    if find_spec("mlflow") is None:
        valid = "leave it out, or install it: pip install mlflow-skinny"
        raise invalid("mlflow", uri, "needs the package mlflow-skinny", valid)
    if file is None:
        return uri.rstrip("/")
    path = Path(file[1]).expanduser().absolute()
    if path.is_dir() or not path.parent.is_dir():
        rule = "is a folder" if path.is_dir() else f"lies in no folder that is there ({path.parent})"
        raise invalid("mlflow", uri, rule, "sqlite:///FILE")
    return f"sqlite:///{path}"


def shares_of(
    model: str,
    approve: str,
    control: str | None,
    control_share: float | None,
    model_share: float | None,
    ahead: int | None,
) -> dict[str, Any]:
    """What part of a search is the control arm's, and what part the model's, as a session's record has it.

    Raises:
        InvalidInput: no such arm, or a share of somebody who has no part in it.
    """
    from lab.search import ARMS

    valid = [name for name in ARMS if name != "race"]
    if control is not None and control not in valid:
        rule = "is the search itself" if control == "race" else "is no arm"
        raise invalid("control", control, rule, " | ".join(valid))
    if control is not None and approve == "manual":
        rule = "can't train anything where a person approves each proposal"
        raise invalid("control", control, rule, "--approve auto or policy, or leave it out")
    if control is None and control_share is not None:
        raise invalid(
            "control-share", control_share, "is nobody's without --control", f"--control {' or '.join(valid)}"
        )
    for name, value in (("model-share", model_share), ("ahead", ahead)):
        if value is not None and model == "offline":
            raise invalid(name, value, "needs a model: the offline researcher is the optimizer", "--model NAME")
    given = {"control": control, "control_share": control_share, "model_share": model_share, "ahead": ahead}
    return {name: value for name, value in given.items() if value is not None}


def trade_of(trade: str | None) -> Literal["seconds"] | None:
    """What a search weighs the score against, as a session's record has it.

    Raises:
        InvalidInput: it can't be weighed against that.
    """
    if trade not in (None, "seconds"):
        raise invalid("trade", trade, "is nothing that the score can be weighed against", "seconds")
    return "seconds" if trade else None


def who() -> str:
    """The name of who decides, for the record."""
    try:
        return f"person {getpass.getuser()}"
    except (KeyError, OSError):
        return "person"
