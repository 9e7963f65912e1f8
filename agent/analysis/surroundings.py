"""Where a model works: what the environment is, what may be changed, how the night stands.

The environment's docstring and source, and that of the user's own parts, are data from elsewhere: bounded, and quoted.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.base import AutopilotError, count_of, lasting, plain, short
from lab.search import Choice, Range, search_space
from lab.space import Code, Scale, derive, inert, metrics_of, space_of
from lab.store import SHOWN, Sessions, active_time, leading
from report import status_lines
from tools import ToolContext

DOC = 900
"""Characters of a docstring that are told."""
FAMILIAR = {
    "train.learning_rate", "train.ent_coef", "train.gamma", "train.gae_lambda", "train.clip_coef", "train.vf_clip_coef",
    "train.vf_coef", "train.max_grad_norm", "train.update_epochs", "train.optimizer", "train.adam_beta1",
    "train.adam_beta2", "train.adam_eps", "rnn.enabled",
}  # fmt: skip
"""Keys that every PPO has, whose meaning needs no words."""
SOURCE = 7_000
"""Characters of one source text that are told; of a longer one the parts that matter."""
SOURCES = 14_000
"""Of all of them together."""
FUNCTION = r"^[A-Za-z][\w *]*?\w*(?:{names})\w*\([^;{{]*\)\s*\{{.*?^\}}\n*"
LOOKS = re.compile(
    FUNCTION.format(names="render|client|close|alloc|free|main|demo") + r"|^#include[^\n]*\n|^const Color[^\n]*\n",
    re.MULTILINE | re.DOTALL,
)
"""The parts of a C source that have to do with looks and memory, not with learning."""
PARTS = re.compile(
    FUNCTION.format(names="step|observ|reward|log|reset")
    + r"|^struct Log \{.*?^\}[^\n]*|^#define [A-Z]\w*[ \t]+[^\n]+",
    re.MULTILINE | re.DOTALL,
)
"""Of a long one, those that say what is observed, rewarded and logged."""
PLAN = ("plan", "queue", "left", "incumbent", "leader")
"""How a session stands, as `status` has it, that the first message tells."""


def environment_of(context: ToolContext) -> dict[str, Any]:
    """What the environment is: its spaces, what its metrics mean, its docstring.

    Args:
        context: of the analysis.
    """
    run, known = context.subject, context.inventory.environment(context.subject.env_name)
    summary, declared = context.notebook.summary(run.run_id), metrics_of(run.env_name)
    names = leading(summary.metrics, run.goal.metric) if summary else {}
    meanings = {name: declared[name].meaning for name in list(names)[:SHOWN] if name in declared}
    config = context.notebook.config(run.run_id)
    width = config.policy.get("hidden_size")
    derived = derive(config, known.agents_per_env or 1)
    arguments = {key: value for key, value in run.task.env.items() if not isinstance(value, (dict, list))}
    return {
        "observations": known.observations,
        "actions": known.actions,
        "doc": plain(known.doc, DOC),
        "arguments": plain(", ".join(f"{key} = {short(value)}" for key, value in arguments.items()), 300),
        "metrics": {name: meaning for name, meaning in meanings.items() if meaning},
        "policy": f"{config.policy.get('name')}{f', {width} wide' if width else ''}"
        f"{', in an LSTM' if config.get('rnn.enabled') else ''}",
        "device": f"{config.train.get('device')}, {config.vec.get('backend')}",
        "batch": f"{derived.agents} agents × {config.train.get('bptt_horizon')} steps = {short(derived.batch_size)}, in"
        f" {derived.minibatches} minibatches an update",
    }


def sources_of(context: ToolContext) -> dict[str, str]:
    """The source of environment, policy, and the user's own parts that the run used, by what it is; bounded.

    Args:
        context: of the analysis.
    """
    known, run = context.inventory.environment(context.subject.env_name), context.subject
    code = dict(known.code)
    root = context.notebook.workspace.root
    for kind, variant in run.variants.items():
        module = variant.call.partition(":")[0]
        code[f"your {kind}"] = Code(path=str(root.joinpath(*module.split(".")).with_suffix(".py")))
    told, left = dict[str, str](), SOURCES
    for what, where in code.items():
        text = _text(where, min(SOURCE, left))
        if text:
            told[f"{what} ({Path(where.path).name})"] = text
            left -= len(text)
    return told


def _text(where: Code, most: int) -> str:
    """A source text, or the parts of it that matter; empty where it can't be read, or says too little in that room."""
    try:
        lines = Path(where.path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    text = plain("\n".join(lines[where.first - 1 : where.last]), 1_000_000).replace("```", "'''")
    if where.path.endswith(".h"):
        text = LOOKS.sub("", text)
        if len(text) > most:
            text = "\n".join(part.group().strip() for part in PARTS.finditer(text))
    return text if len(text) <= most else text[:most].rpartition("\n")[0] + "\n… (longer)"


def keys_of(context: ToolContext) -> dict[str, Any]:
    """What a proposal may change: each key with its value, where to look, its scale, its meaning.

    Args:
        context: of the analysis.

    Returns:
        `of` whose values they are; `rows` of the keys that a search moves; `others`, which only a proposal may.
    """
    run_id = context.incumbent or context.subject.run_id
    base, environment = context.notebook.config(run_id), context.inventory.environment(context.subject.env_name)
    space, parameters = search_space(environment, base), space_of(environment)
    if context.permits is not None:
        space = context.permits.narrowed(space, base)
    idle, rows = inert(base, context.inventory), []
    for one in space.dimensions:
        about = {"key": one.key.removeprefix("train."), "value": short(base.get(one.key))}
        doc = "" if one.key in FAMILIAR else parameters[one.key].doc.rstrip(".")
        doc = f"no effect {idle[one.key]}" if one.key in idle else doc
        rows.append({**about, **_look(one), "doc": doc})
    searched = {one.key for one in space.dimensions}
    others = [key for key, parameter in parameters.items() if parameter.proposable and key not in searched]
    if context.permits is not None:
        others = []
    return {
        "of": run_id,
        "rows": rows,
        "others": [f"{key} {short(base.get(key))}" if base.get(key) is not None else key for key in others],
    }


def _look(one: Range | Choice) -> dict[str, str]:
    """Where a search looks, and on which scale."""
    if isinstance(one, Choice):
        return {"look": " | ".join(map(short, one.values)), "scale": ""}
    ends = [short(round(end)) if one.whole else f"{end:.4g}" for end in (one.low, one.high)]
    return {"look": " to ".join(ends), "scale": "" if one.scale is Scale.LINEAR else one.scale.value}


def night_of(context: ToolContext) -> list[str]:
    """How the session stands and what a run takes, in lines; none of the first where no session asks.

    Args:
        context: of the analysis.
    """
    return [line for line in (*_session(context), *_pace(context)) if line]


def _session(context: ToolContext) -> Iterator[str]:
    if context.session is None:
        return
    try:
        record = Sessions(context.notebook.workspace).get(context.session)
    except AutopilotError:
        return
    told = dict(status_lines(context.notebook, context.proposals, record, record.spent.seconds))
    for label in PLAN[:3]:
        if text := told.get(label):
            yield f"{label}: {plain(text, 400)}"
    who = {"auto": "everything valid is approved", "manual": "a person approves", "policy": "rules approve"}
    yield f"approval: {who.get(record.approve, record.approve)}; your share of new configs: {record.model_share:g}"


def _pace(context: ToolContext) -> Iterator[str]:
    run, took = context.subject, active_time(context.subject)
    steps = context.notebook.config(run.run_id).train.get("total_timesteps")
    if took is not None:
        many = count_of(len(run.seeds), "replicate")
        yield f"this run took {lasting(took.total_seconds())}: {many} of {short(steps)} steps"
    if context.steps_left is not None:
        yield f"the time left is good for {short(context.steps_left)} steps of all replicates together"
