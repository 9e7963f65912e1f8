"""The environment's class, imported where PufferLib's link to its pictures does no harm."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def make(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`make(num_envs=…, …)`: boxes of drones."""
    monkeypatch.chdir(tmp_path)
    from training.drone.delivery import DroneDelivery

    return DroneDelivery
