"""What an analysis sends to a model after 10, 50 and 1,000 runs: `.venv/bin/python -m benchmarks.prompt`.

A run is analysed by the offline researcher, which asks what a model would ask, in workspaces of made-up runs. The
first request is what the prompt is made of; the last one holds the whole conversation. Tokens are those of SmolLM2's
tokenizer where `make llm` has installed it, else a fourth of the characters.
"""

import json
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agent.analysis import Analyst
from agent.model import Budget, Message, OfflineResearcher, Reply
from benchmarks.common import small_model, tell
from benchmarks.ten_thousand import ENV, generate
from lab.base import Workspace
from lab.store import Lab, Notebook, RunState
from training import load_inventory


class Counted(OfflineResearcher):
    """Notes how long each request is."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """As ever."""
        self.requests.append(json.dumps({"messages": [m.wire() for m in messages], "tools": list(tools)}))
        return super().complete(messages, tools)


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
            place.run(subject.run_id).seed(subject.seeds[0]).dir.mkdir(parents=True)
            Analyst(Lab(notebook, load_inventory([ENV])), model).analyse(subject, Budget())
            sizes = [count(request) for request in model.requests]
            results[runs] = {"requests": len(sizes), "first": sizes[0], "last": sizes[-1], "in_all": sum(sizes)}
    ratio = {part: round(results[1_000][part] / results[50][part], 3) for part in ("first", "last", "in_all")}
    tell("tokens of an analysis", tokens=name, results=results, ratio_1000_to_50=ratio)


if __name__ == "__main__":
    sys.exit(main())
