"""The page about the search space, from the table itself: `.venv/bin/python -m docs.make_space`."""

from pathlib import Path

from lab.space import PARAMETERS, Parameter

PAGE = Path(__file__).resolve().parent / "space.md"
HEAD = """# The search space

Made from the table in `lab/space/parameters.py` by `.venv/bin/python -m docs.make_space`: the same one that checks
every config, tells a model what it may change, and bounds what [the search](search.md) tries.
`autopilot doctor --space ENV` adds what an environment's own constructor takes (`env.…`, which define the task and are
for a person to set) and the variants that you declare. An environment's own `[sweep]` sections in PufferLib's ini say
where the search looks.

*Proposable*: a proposal may change it; everything else is for a person (`--set`). The search leaves some of these alone
([which](search.md#what-is-searched)): a model may propose another `vec.num_envs` or `env.num_envs`, which a person
approves, or `--approve auto`; no rule of `[policy]` lets it pass ([topology](approval.md#what-no-rule-can-allow)).
Narrow a range, freeze a key, or open one of the task's in `autopilot.toml`:

```toml
[space]
"train.learning_rate" = {low = 1e-4, high = 0.02}
"train.bptt_horizon" = {choices = [16, 32, 64]}
"train.gamma" = {frozen = true}
"env.continuous" = {open = true}        # never together with an objective that counts rewards
```

Nothing widens a range. Across keys: `batch_size` is derived, agents × `train.bptt_horizon`, and shown; a minibatch is
whole segments of `bptt_horizon` and at most the batch; above `max_minibatch_size` it is a multiple of it;
`vec.num_envs` is a multiple of `vec.num_workers` and of `vec.batch_size`; the training holds a batch; the batch fits
the machine's memory; a seed shares no environment seed with the final evaluation.

| key | type | range | scale | proposable | what it does |
|---|---|---|---|---|---|
"""


def row(parameter: Parameter) -> str:
    """One key."""
    proposable = "yes" if parameter.proposable else "no"
    ranged = parameter.range.replace("|", "or")
    cells = (f"`{parameter.key}`", parameter.kind.__name__, ranged, parameter.scale.value, proposable, parameter.doc)
    return f"| {' | '.join(cells)} |"


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(row(parameter) for parameter in PARAMETERS) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
