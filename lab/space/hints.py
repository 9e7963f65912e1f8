"""What somebody may have meant by a name that is none: keys of the config, and environments."""

import difflib
import re
from collections.abc import Collection, Iterable

MEANT = {
    "lr": "train.learning_rate",
    "step_size": "train.learning_rate",
    "entropy": "train.ent_coef",
    "entropy_coef": "train.ent_coef",
    "discount": "train.gamma",
    "lambda": "train.gae_lambda",
    "gae": "train.gae_lambda",
    "clip": "train.clip_coef",
    "clip_range": "train.clip_coef",
    "clip_eps": "train.clip_coef",
    "value_coef": "train.vf_coef",
    "grad_clip": "train.max_grad_norm",
    "n_epochs": "train.update_epochs",
    "epochs": "train.update_epochs",
    "n_steps": "train.bptt_horizon",
    "num_steps": "train.bptt_horizon",
    "horizon": "train.bptt_horizon",
    "rollout": "train.bptt_horizon",
    "batch_size": "train.minibatch_size",
    "batch": "train.minibatch_size",
    "steps": "train.total_timesteps",
    "timesteps": "train.total_timesteps",
    "max_steps": "train.total_timesteps",
    "gpu": "train.device",
    "n_envs": "vec.num_envs",
    "envs": "vec.num_envs",
    "workers": "vec.num_workers",
    "n_workers": "vec.num_workers",
    "hidden": "policy.hidden_size",
    "width": "policy.hidden_size",
    "lstm": "rnn.enabled",
    "recurrent": "rnn.enabled",
    "seeds": "autopilot.seeds",
    "replicates": "autopilot.seeds",
}
"""What others call a key, by the last part of it."""


def closest_keys(key: str, known: Collection[str]) -> str:
    """The keys that somebody may have meant by one that is none, or where to find them.

    Args:
        key: what was written.
        known: the keys of a space.
    """
    name = key.rsplit(".", 1)[-1]
    by_name = {candidate.rsplit(".", 1)[-1]: candidate for candidate in known}
    meant = MEANT.get(name.lower(), "")
    close = [meant] if meant in known else []
    close += [] if close else difflib.get_close_matches(key, known, n=2, cutoff=0.6)
    close += [] if close else [by_name[match] for match in difflib.get_close_matches(name, by_name, n=2, cutoff=0.6)]
    return " or ".join(dict.fromkeys(close)) or "see 'autopilot doctor --space'"


def closest_environments(name: str, known: Collection[str], few: int = 3) -> list[str]:
    """The environments that somebody may have meant: of the same name in another version first.

    Args:
        name: what was written.
        known: names of environments.
        few: how many, at most.
    """
    kin = [one for one in known if _kin(one) == _kin(name)]
    newest = sorted(kin, key=lambda one: [int(digits) for digits in re.findall(r"\d+", one)], reverse=True)
    whole = difflib.get_close_matches(name, sorted(known), n=few, cutoff=0.85)  # one letter is wrong
    bare = {_kin(one): one for one in sorted(known)}
    close = [bare[match] for match in difflib.get_close_matches(_kin(name), bare, n=few, cutoff=0.6)]
    return list(dict.fromkeys([*newest, *whole, *close]))[:few]


def _kin(name: str) -> str:
    """A name without what makes it Gymnasium's or PufferLib's, and without its version."""
    return re.sub(r"-v\d+$", "", name.rpartition(":")[2]).removeprefix("puffer_").replace("-", "").lower()


def is_misspelt(name: str, known: Iterable[str]) -> bool:
    """Whether a name is spelt almost like one that is known: alike to four fifths, one letter longer or shorter."""
    close = difflib.get_close_matches(name, known, 1, cutoff=0.8)
    return bool(close) and abs(len(close[0]) - len(name)) <= 1
