"""How fast `drone_delivery` steps by itself, on one core: `.venv/bin/python -m benchmarks.drones`.

1,024 drones with random actions, whose episodes end often, and with none, whose episodes are long.
"""

import json
import os
import sys
import tempfile
import time
from typing import Any

SHAPES = ((128, 8), (4, 8), (1024, 1))
"""Boxes and drones in each: the quick preset's, the smallest that is of use, drones that never meet."""
ROUNDS, STEPS = 9, 300


def speeds(env: Any, actions: Any) -> list[float]:
    """Agent steps per second of the processor, which other work on the machine takes no share of, slowest first.

    Args:
        env: the environment.
        actions: for all its agents, one set after the other.
    """
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for step in range(STEPS):
            env.step(actions[step % len(actions)])
        found.append(STEPS * env.num_agents / (time.process_time() - began))
    return sorted(found)


def main() -> None:
    """Print medians and the fastest rounds."""
    os.chdir(tempfile.mkdtemp())  # PufferLib leaves a link where it is imported
    import numpy as np

    from training.drone.delivery import DroneDelivery

    found = {}
    for boxes, drones in SHAPES:
        env = DroneDelivery(boxes, drones, seed=1)
        draw = np.random.default_rng(1)
        for kind, size in (("random actions", 1.0), ("none", 0.0)):
            actions = (size * draw.uniform(-1, 1, (64, env.num_agents, 3))).astype(np.float32)
            speeds(env, actions[:1])
            rounds = speeds(env, actions)
            found[f"{boxes}x{drones}, {kind}"] = {"median": round(rounds[ROUNDS // 2]), "fastest": round(rounds[-1])}
    sys.stdout.write(json.dumps({"agent_steps_per_second": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
