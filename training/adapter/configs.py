"""PufferLib's configs, and what its own command line makes of them."""

import ast
import configparser
import contextlib
import inspect
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pufferlib
import pufferlib.models
import pufferlib.ocean.environment
import pufferlib.pufferl
import torch

from lab.space import BUILT_IN, Config
from training.adapter.policies import DEFAULT_RNN, policy_module
from training.adapter.unusable import Unusable

TRAINING = Path(__file__).parents[1]


def default_ini() -> dict[str, dict[str, Any]]:
    """PufferLib's defaults, for an environment that it has no ini for."""
    return _sections(_configs() / "default.ini")


def inis() -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """The built-in environments' and PufferLib's Ocean configs, read as `pufferl.load_config` does, by environment."""
    for name, call in BUILT_IN.items():
        module = call.partition(":")[0].split(".")
        yield name, _sections(_configs() / "default.ini", TRAINING.joinpath(*module[1:-1], f"{name}.ini"))
    for path in sorted((_configs() / "ocean").glob("*.ini")):
        sections = _sections(_configs() / "default.ini", path)
        for name in str(sections["base"]["env_name"]).split():
            yield name, sections


def _configs() -> Path:
    return Path(pufferlib.__file__).parent / "config"


def _sections(*paths: Path) -> dict[str, dict[str, Any]]:
    parser = configparser.ConfigParser()
    parser.read(paths)
    return {section: {key: _literal(value) for key, value in parser[section].items()} for section in parser.sections()}


def _literal(text: str) -> Any:
    if text in ("true", "false"):  # some of the inis write it like this
        return text == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def own_ini(env_name: str) -> Path:
    """The ini that PufferLib's commands read for an Ocean environment, relative to its `config` folder.

    Raises:
        Unusable: there is none.
    """
    for path in sorted((_configs() / "ocean").glob("*.ini")):
        if env_name in str(_sections(_configs() / "default.ini", path)["base"]["env_name"]).split():
            return path.relative_to(_configs())
    raise Unusable(f"PufferLib has no ini for {env_name}")


def own_names(config: Config, package: str) -> tuple[str, str | None]:
    """What PufferLib's commands call the policy and the LSTM that `make_policy` makes of a config.

    Args:
        config: `policy` and `rnn` count.
        package: PufferLib's package of the environment.

    Returns:
        `policy_name` and `rnn_name`, names of that package's; the second is None without an LSTM.
    """
    module, name = policy_module(package), str(config.policy["name"])
    if not hasattr(module, name):  # PufferLib's default has another name there
        general = getattr(pufferlib.models, name)
        name = next((own for own, value in vars(module).items() if value is general), name)
    if not config.rnn["enabled"]:
        return name, None
    wrapper = str(config.rnn.get("name") or DEFAULT_RNN)
    return name, wrapper if hasattr(module, wrapper) else DEFAULT_RNN


def own_defaults(env_name: str, base: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What environment, policy and LSTM take where an ini says nothing: `env`, `policy`, `rnn` to argument to default.

    Args:
        env_name: an Ocean environment's.
        base: `package`, `policy_name`, `rnn_name` of an ini.
    """
    module = policy_module(str(base["package"]))
    takers = {"env": pufferlib.ocean.environment.env_creator(env_name), "policy": getattr(module, base["policy_name"])}
    if base["rnn_name"] is not None:
        takers["rnn"] = getattr(module, base["rnn_name"])
    return {
        section: {key: parameter.default for key, parameter in inspect.signature(taker).parameters.items()}
        for section, taker in takers.items()
    }


def own_arguments(env_name: str, flags: Sequence[str] = (), configs: Path | None = None) -> dict[str, Any]:
    """What `puffer eval ENV FLAG…` works with, by PufferLib's own loader.

    Args:
        env_name: the environment.
        flags: as they would be typed.
        configs: a folder whose `config` is read in the place of PufferLib's.

    Raises:
        Unusable: PufferLib takes no such flag, or not this value of it.
    """
    pufferl = pufferlib.pufferl
    before, said = (pufferl.__file__, sys.argv), io.StringIO()
    pufferl.__file__ = str(configs / "pufferl.py") if configs else before[0]  # it looks beside its own file
    sys.argv = [sys.argv[0], *flags]
    try:
        with contextlib.redirect_stderr(said):
            arguments: dict[str, Any] = pufferl.load_config(env_name)
            return arguments
    except SystemExit as error:
        raise Unusable((said.getvalue().strip().splitlines() or ["PufferLib's parser ended"])[-1]) from error
    finally:
        pufferl.__file__, sys.argv = before


def own_policy(env_name: str, arguments: dict[str, Any]) -> torch.nn.Module:
    """The policy that `puffer eval` would play, by PufferLib's own functions.

    Args:
        env_name: the environment.
        arguments: from `own_arguments`; `load_model_path` names the weights.
    """
    arguments = arguments.copy()  # of its own kind: it makes up sections that are empty
    arguments["vec"] = {"backend": "Serial", "num_envs": 1}  # as its eval does
    vecenv = pufferlib.pufferl.load_env(env_name, arguments)
    try:
        policy: torch.nn.Module = pufferlib.pufferl.load_policy(arguments, vecenv)
        return policy
    finally:
        vecenv.close()
