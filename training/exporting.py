"""A trained policy handed over to PufferLib alone: the ini and flags that it needs, tried with its own functions.

Nothing is worked out about how PufferLib reads a flag or an ini: each is read by its own loader and compared with
what was meant, and a policy counts as rebuilt when its weights have the hash of those that were scored. It imports
torch, so it runs in worker processes only.
"""

import ast
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from training import adapter, checkpoints
from training.protocol import ExportJob, Handover

Sections = dict[str, dict[str, Any]]
"""An ini: section to key to value."""

SECTIONS = ("base", "vec", "env", "policy", "rnn", "train")


def handover(job: ExportJob) -> Handover:
    """Find out whether PufferLib alone can play a policy, and what it needs for that.

    Args:
        job: a config of an Ocean environment's, and weights of it.
    """
    path, name = Path(job.checkpoint), job.config.env_name
    try:
        own_ini = adapter.own_ini(name)
        weights = checkpoints.load(path, "cpu").weights
        wanted = sections(job, weights)
        text = ini_text(wanted)
        _rebuild(job, wanted, text, weights)
        flags, unsayable = _said(name, wanted)
        if not unsayable:
            _load(job, adapter.own_arguments(name, [*flags, *_here(path)]), weights)
    except (checkpoints.Unfit, adapter.Unusable) as error:
        return Handover(problem=str(error))
    digest = checkpoints.weights_hash(weights)
    return Handover(weights=digest, ini=text, own_ini=str(own_ini), flags=flags, unsayable=unsayable)


def sections(job: ExportJob, weights: Mapping[str, torch.Tensor]) -> Sections:
    """A run's config in PufferLib's own structure, with PufferLib's defaults for what we leave alone.

    Args:
        job: `config`, `seed` and `device` count.
        weights: tell the widths of the LSTM, which follow the policy's.

    Raises:
        Unusable: they have no LSTM, and the config does.
    """
    config, packaged = job.config, dict(adapter.inis())[job.config.env_name]
    package = str(packaged["base"]["package"])
    policy_name, rnn_name = adapter.own_names(config, package)
    names = {"env_name": config.env_name, "policy_name": policy_name, "rnn_name": rnn_name}
    # Where we name none, all environments are stepped at once, each in a process of its own; PufferLib takes half.
    vec = {"num_workers": "auto", "batch_size": config.vec["num_envs"], **_given(config.vec)}
    train = {**_given(config.train), "device": job.device, "seed": job.seed, "batch_size": "auto"}
    return {
        "base": {**packaged["base"], **names},
        "vec": {**packaged["vec"], **vec},
        "env": dict(config.env),
        "policy": {key: value for key, value in config.policy.items() if key != "name"},
        "rnn": _widths(weights) | _given(config.rnn, "enabled", "name") if rnn_name else {},
        "train": {**packaged["train"], **train},
    }


def _given(values: Mapping[str, Any], *without: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and key not in without}


def _widths(weights: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Widths of PufferLib's LSTM: its input weights have four rows, one for each gate, of each hidden unit."""
    if "lstm.weight_ih_l0" not in weights:
        raise adapter.Unusable("its weights have no LSTM, which its config asks for")
    rows, columns = weights["lstm.weight_ih_l0"].shape
    return {"input_size": columns, "hidden_size": rows // 4}


def ini_text(wanted: Sections) -> str:
    """Sections as an ini that PufferLib's loader reads."""
    parts = [
        "\n".join([f"[{section}]", *(f"{key} = {_written(value)}" for key, value in wanted[section].items())])
        for section in SECTIONS
    ]
    return "\n\n".join(parts) + "\n"


def _written(value: Any) -> str:
    """A value as PufferLib reads it back: a Python literal, or a text that can't be taken for one."""
    text = repr(value)
    if isinstance(value, str) and value.isprintable() and value == value.strip() != "":
        try:
            ast.literal_eval(value)
        except (ValueError, SyntaxError):
            text = value
    return text.replace("%", "%%")  # of which configparser makes one


def _rebuild(job: ExportJob, wanted: Sections, text: str, weights: Mapping[str, torch.Tensor]) -> None:
    """Read the ini with PufferLib's loader, and build the policy from it.

    Raises:
        Unusable: something is read as something else, or the weights do not come out.
    """
    name = job.config.env_name
    with tempfile.TemporaryDirectory() as place:
        ini = Path(place) / "config" / f"{name}.ini"
        ini.parent.mkdir()
        ini.write_text(text, encoding="utf-8")
        arguments = adapter.own_arguments(name, _here(Path(job.checkpoint)), Path(place))
        read = _sections(arguments)
        for section, values in wanted.items():
            for key, value in values.items():
                if (section, key) != ("train", "device") and read[section].get(key) != value:
                    got = read[section].get(key)
                    raise adapter.Unusable(f"PufferLib's loader reads {section}.{key} = {value!r} as {got!r}")
    _load(job, arguments, weights)


def _load(job: ExportJob, arguments: dict[str, Any], weights: Mapping[str, torch.Tensor]) -> None:
    try:
        policy = adapter.own_policy(job.config.env_name, arguments)
    except (RuntimeError, TypeError, AttributeError, ValueError, KeyError, ImportError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise adapter.Unusable(f"PufferLib's loader can't build its policy from this config ({what})") from error
    if checkpoints.weights_hash(policy.state_dict()) != checkpoints.weights_hash(weights):
        raise adapter.Unusable("PufferLib's loader makes other weights of its checkpoint")


def _here(checkpoint: Path) -> list[str]:
    """Flags to try a load with on this machine, wherever the policy was trained."""
    return [f"--load-model-path={checkpoint}", "--train.device=cpu"]


# --- flags -------------------------------------------------------------------------------------------------------


def _said(env_name: str, wanted: Sections) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Flags that make of PufferLib's own ini what the policy is built from, and what no flag can say."""
    packaged, defaults = _sections(adapter.own_arguments(env_name)), adapter.own_defaults(env_name, wanted["base"])
    keys = [("base", "package"), ("base", "policy_name"), ("base", "rnn_name"), ("train", "device")]
    keys += [(section, key) for section in defaults for key in dict.fromkeys([*packaged[section], *wanted[section]])]
    flags, unsayable = [], []
    for section, key in keys:
        default = defaults.get(section, {}).get(key)
        value = wanted[section].get(key, default)
        if packaged[section].get(key, default) == value:
            continue
        name = key if section == "base" else f"{section}.{key}"
        # Its parser takes every text for true but an empty one.
        flag = f"--{name.replace('_', '-')}={'' if value is False else value}"
        try:
            said = _sections(adapter.own_arguments(env_name, [flag]))[section].get(key, default) == value
        except adapter.Unusable:
            said = False
        if said:
            flags.append(flag)
        else:
            unsayable.append(f"{name} = {value}")
    return tuple(flags), tuple(unsayable)


def _sections(arguments: dict[str, Any]) -> Sections:
    """What PufferLib's loader returns, by section: what is in `base` it keeps on top."""
    return {"base": arguments, **{section: arguments.get(section, {}) for section in SECTIONS[1:]}}
