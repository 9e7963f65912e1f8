"""What an analysis sends to a model after 10, 50 and 1,000 runs: `.venv/bin/python -m benchmarks.prompt`.

A run is analysed by the offline researcher, which asks what a model would ask, in workspaces of made-up runs. The
first request is the page that a model is handed with the schemas of the tools; `page` is the same without the sources,
which are bounded on their own (there are no notes and no log). A model that needs no more than the page answers once;
the last request holds the whole conversation of one that asks for everything. Tokens are those of SmolLM2's tokenizer
where `make llm` has installed it, else a fourth of the characters.
"""

import json
import random
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agent.analysis import Analyst
from agent.analysis.coaching import shortened
from agent.model import Budget, Message, OfflineResearcher, Reply
from benchmarks.common import small_model, tell
from benchmarks.ten_thousand import ENV, generate
from lab.base import Workspace
from lab.store import Lab, Notebook, RunRecord, RunState
from training import load_inventory

LOGGED = {
    "environment/perf": 1.0, "environment/episode_length": 200.0, "losses/entropy": 0.7, "losses/approx_kl": 0.02,
    "losses/explained_variance": 1.0, "losses/clipfrac": 0.2, "losses/value_loss": 10.0, "SPS": 2e5,
}  # fmt: skip
"""What a training logs, and about how large it is."""


class Counted(OfflineResearcher):
    """Notes how long each request is; by another name than the researcher's, it is handed what a model is."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.page = ""

    @property
    def name(self) -> str:
        """A model's."""
        return "counted"

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """As ever."""

        def wire(told: Sequence[Message]) -> str:
            return json.dumps({"messages": [m.wire() for m in told], "tools": list(tools)})

        self.requests.append(wire(messages))
        self.page = self.page or wire(shortened(messages, 1))
        return super().complete(messages, tools)


def trained(place: Workspace, run: RunRecord) -> None:
    """Give a made-up run the curves that a real one has, of each seed."""
    draw = random.Random(0)  # noqa: S311 - made-up curves
    for seed in run.seeds:
        paths = place.run(run.run_id).seed(seed)
        paths.dir.mkdir(parents=True, exist_ok=True)
        lines = [
            {"agent_steps": 33_333 * point, **{name: draw.uniform(0, high) for name, high in LOGGED.items()}}
            for point in range(1, 61)
        ]
        paths.metrics_live.write_text("".join(json.dumps(line) + "\n" for line in lines))


def tokenizer() -> tuple[str, Callable[[str], int]]:
    """Its name, and what counts a text's tokens."""
    weights = small_model()
    if weights is None:
        return "characters / 4", lambda text: len(text) // 4
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.n_ctx, parameters.port = 512, 0
    server = xllamacpp.Server(parameters)

    def count(text: str) -> int:
        body = json.dumps({"content": text}).encode()
        request = urllib.request.Request(f"{server.listening_address}/tokenize", body)  # noqa: S310 - the loopback
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return len(json.load(answer)["tokens"])

    return "SmolLM2's tokenizer", count


def main() -> None:
    """Print tokens per analysis for each number of runs, and the ratio of the largest to that at 50."""
    name, count = tokenizer()
    results = {}
    for runs in (10, 50, 1_000):
        with tempfile.TemporaryDirectory() as folder:
            place = Workspace(Path(folder))
            generate(place, runs)
            notebook, model = Notebook(place), Counted()
            subject = next(run for run in reversed(notebook.runs()) if run.state is RunState.FINISHED)
            for run in notebook.runs()[-20:]:
                trained(place, run)
            Analyst(Lab(notebook, load_inventory([ENV])), model).analyse(subject, Budget())
            sizes = [count(request) for request in model.requests]
            results[runs] = {
                "requests": len(sizes),
                "page": count(model.page),
                "first": sizes[0],
                "last": sizes[-1],
                "in_all": sum(sizes),
            }
    ratio = {part: round(results[1_000][part] / results[50][part], 3) for part in ("page", "first", "last", "in_all")}
    tell("tokens of an analysis", tokens=name, results=results, ratio_1000_to_50=ratio)


if __name__ == "__main__":
    sys.exit(main())
