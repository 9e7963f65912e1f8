"""Four made-up runs of another system, as folders that `import` takes, and the record about the last of them."""

import json
from pathlib import Path
from typing import Any

from lab.base import Workspace
from lab.claims import Checked
from lab.store import Notebook, look, store
from report import check_report

A, B, C, D = (f"2032-07-14T{clock}00Z" for clock in ("0605", "0730", "0940", "1115"))
SHARED = {
    "device": "cuda", "bptt_horizon": 64, "batch_size": 24576, "minibatch_size": 8192, "max_minibatch_size": 24576,
    "seed": 21, "gae_lambda": 0.93, "clip_coef": 0.15, "vf_coef": 1.8, "optimizer": "muon", "anneal_lr": True,
}  # fmt: skip
TRAIN = {
    A: {"learning_rate": 0.006, "ent_coef": 0.01, "gamma": 0.97, "update_epochs": 1, "total_timesteps": 8_000_000},
    B: {"learning_rate": 0.006, "ent_coef": 0.03, "gamma": 0.97, "update_epochs": 1, "total_timesteps": 8_000_000},
    C: {"learning_rate": 0.0035, "ent_coef": 0.03, "gamma": 0.97, "update_epochs": 3, "total_timesteps": 16_000_000},
    D: {"learning_rate": 0.0035, "ent_coef": 0.015, "gamma": 0.985, "update_epochs": 3, "total_timesteps": 16_000_000},
}
MEASURED = {
    A: (0.112, 18.36, 0.1437, 154.7, 203118.4, 8_011_776, 326),
    B: (0.208, 25.91, 0.1175, 171.2, 198402.7, 8_011_776, 326),
    C: (0.347, 33.08, 0.1022, 188.9, 187655.1, 16_023_552, 652),
    D: (0.301, 30.44, 0.1093, 181.3, 189004.6, 16_023_552, 652),
}
NAMES = ("success_rate", "mean_reward", "collision_rate", "episode_length", "sps", "agent_steps", "epoch")
PARENTS = {B: A, C: B, D: C}


def write_runs(root: Path) -> Path:
    """The folders of the four runs."""
    for name in (A, B, C, D):
        folder = root / name
        folder.mkdir(parents=True)
        resumed = {"load_model_path": f"checkpoints/{B}/best.pt"} if name == C else {}
        config = {
            "env_name": "puffer_marsh", "train": {**SHARED, **TRAIN[name]}, "env": {"num_envs": 8, "num_agents": 3},
            "vec": {"num_workers": 4, "num_envs": 16}, **resumed,
            "autopilot": {"resume_mode": "continue" if resumed else "fresh"},
        }  # fmt: skip
        metadata = {"parent_run": PARENTS[name]} if name in PARENTS else {}
        about = {"run_id": name, "created_at": f"{name[:13]}:{name[13:15]}:00Z", "metadata": metadata}
        metrics = dict(zip(NAMES, MEASURED[name], strict=True))
        for file, content in (("config", config), ("run", about), ("trainer_summary", {"metrics": metrics})):
            (folder / f"{file}.json").write_text(json.dumps(content))
    return root


def imported(root: Path) -> Notebook:
    """A workspace with the four runs in it."""
    workspace = Workspace(root / "workspace")
    store(workspace, look(write_runs(root / "old")))
    return Notebook(workspace)


def statuses(notebook: Notebook, root: Path, case: dict[str, Any]) -> tuple[set[str], Checked]:
    """What the claims that hold a case's token come to, `none` where there is none, and all of them."""
    note = root / "note.md"
    note.write_text(case["text"], encoding="utf-8")
    checked = check_report(notebook, str(note), case.get("run", D))
    token = case["token"]
    hit = [claim.status for claim in checked.claims if token in claim.quote or claim.quote in token]
    return set(hit) or {"none"}, checked
