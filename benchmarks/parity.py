"""A training through the runner against a bare PuffeRL loop: `.venv/bin/python -m benchmarks.parity [PAIRS]`.

The same config, seed and threads, the dashboard off on both sides, each training in a process of its own, in turn.
What is compared is steps per second of the training loop; on our side it includes the live record, the events and the
check for a request to stop. The bare loop is PufferLib's own, with nothing of ours in its process.
"""

import json
import os
import subprocess
import sys
import tempfile

from benchmarks.common import cartpole, median, tell, train, workspace
from lab.store import Notebook
from training import THREADS, ProcessRunner

BARE = """
import json, sys, time
given = json.loads(sys.argv[1]); sys.argv = sys.argv[:1]
import torch
import pufferlib.vector, pufferlib.ocean, pufferlib.ocean.torch
from pufferlib import pufferl

pufferl.PuffeRL.print_dashboard = lambda *_, **__: None
torch.set_num_threads(given["threads"]); torch.manual_seed(given["seed"])
vecenv = pufferlib.vector.make(pufferlib.ocean.env_creator("puffer_cartpole"), env_kwargs=given["env"],
                               backend="Serial", num_envs=1)
policy = pufferlib.ocean.torch.Policy(vecenv.driver_env, **given["policy"])
if given["rnn"]:
    policy = pufferlib.ocean.torch.Recurrent(vecenv.driver_env, policy, input_size=policy.hidden_size,
                                             hidden_size=policy.hidden_size)
trainer = pufferl.PuffeRL({**given["train"], "batch_size": "auto", "env": "puffer_cartpole", "device": "cpu",
                           "seed": given["seed"], "use_rnn": given["rnn"], "data_dir": given["dir"]}, vecenv, policy)
began = time.perf_counter()
while trainer.global_step < given["train"]["total_timesteps"]:
    trainer.evaluate()
    trainer.train()
sps = trainer.global_step / (time.perf_counter() - began)
sys.stdout.write(json.dumps(sps)); sys.stdout.flush()
import os; os._exit(0)
"""


def main() -> None:
    """Print the ratio ours / bare over pairs."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    ours, bare = [], []
    with workspace() as place, tempfile.TemporaryDirectory() as folder:
        runner, notebook = ProcessRunner(), Notebook(place)
        inventory, config = cartpole(train__total_timesteps=2_000_000, autopilot__seeds=1, train__seed=1)
        given = {"threads": 1, "seed": 1, "env": config.env, "train": config.train, "rnn": False, "dir": folder,
                 "policy": {key: value for key, value in config.policy.items() if key != "name"}}  # fmt: skip
        runner.warm()
        train(notebook, runner, inventory, config)  # both sides start with everything in the disk's cache
        for pair in range(pairs):
            for side in ("ours", "bare") if pair % 2 else ("bare", "ours"):
                if side == "ours":
                    (result,) = notebook.results(train(notebook, runner, inventory, config))
                    ours.append(result.metrics["sps"])
                else:
                    bare.append(_bare(given, folder))
        runner.close()
    tell(
        "steps per second through the runner against a bare PuffeRL loop, puffer_cartpole quick, one thread",
        pairs=pairs,
        ratio=median([a / b for a, b in zip(ours, bare, strict=True)]),
        ours_sps=median(ours, 0),
        bare_sps=median(bare, 0),
    )


def _bare(given: dict[str, object], folder: str) -> float:
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    done = subprocess.run([sys.executable, "-c", BARE, json.dumps(given)], cwd=folder, env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
