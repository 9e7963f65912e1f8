"""What the probe finds against PufferLib's own ini: `.venv/bin/python -m benchmarks.probe`.

`autopilot probe` as a user calls it, for puffer_cartpole with its LSTM and puffer_drone without, each with the
comparison of scores at equal steps. The ini runs as PufferLib would run it: alone, on every core.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.common import tell, workspace
from lab.base import Workspace
from lab.space import Objective

CASES = {
    "puffer_cartpole with its LSTM": ("puffer_cartpole", ["rnn.enabled=true", "train.total_timesteps=1_000_000"]),
    "puffer_drone without": ("puffer_drone", ["rnn.enabled=false", "train.total_timesteps=8_000_000"]),
}


def probe(place: Workspace, env: str, settings: list[str]) -> dict[str, Any]:
    """One probe, as JSON."""
    command = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(place.root), "probe", "--json",
               "--env", env, *(part for setting in settings for part in ("--set", setting))]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print both."""
    results = {}
    with workspace() as place:
        for name, (env, settings) in CASES.items():
            found = probe(place, env, settings)
            best, ini = found["best"], found["ini"]
            results[name] = {
                "ini_sps": round(ini["sps"]), "ini": ini["overrides"], "probed_sps": round(best["sps"]),
                "probed": best["overrides"], "at_once": best["at_once"], "ratio": round(best["sps"] / ini["sps"], 2),
                "topologies_tried": len(found["tried"]), "score_at_equal_steps": found["verdict"],
                "scores": _scores(place, found["runs"]),
            }  # fmt: skip
    tell("autopilot probe against PufferLib's own ini", results=results)


def _scores(place: Workspace, runs: list[str]) -> dict[str, Any]:
    found = {}
    for name, run in zip(("start", "probed"), runs, strict=True):
        summary = json.loads(place.run(run).summary.read_text())
        record = json.loads(place.run(run).run.read_text())
        metric = Objective.of(record["objective"], record["env_name"]).metric
        found[name] = {
            "metric": metric,
            **{key: summary["metrics"][metric][key] for key in ("mean", "low", "high", "n")},
        }
    return found


if __name__ == "__main__":
    main()
