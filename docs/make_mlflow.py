"""Make docs/examples/mlflow.png: a night as MLflow's page shows it, from a real server that it was mirrored to.

    python -m venv /tmp/mlflow && /tmp/mlflow/bin/pip install mlflow==3.17.2
    .venv/bin/python docs/make_mlflow.py /tmp/mlflow/bin/mlflow

The full package has the page and is no dependency of ours. A session trains for real in a temporary workspace while
the server, on loopback, takes it in; Debian's Chromium takes the picture.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

PICTURE = Path(__file__).resolve().parent / "examples" / "mlflow.png"
NIGHT = ("--env", "puffer_cartpole", "--preset", "quick", "--max-runs", "4", "--seeds", "2", "--confirm", "none",
         "--set", "train.total_timesteps=600000", "--model", "offline", "--approve", "auto")  # fmt: skip
EXPERIMENT = "autopilot/puffer_cartpole"
HIDDEN, SHOWN = (
    ("Dataset", "Source", "Models"),
    ("score", "train.learning_rate", "autopilot.verdict", "autopilot.changed"),
)
SIZE = {"width": 1380, "height": 700}


@contextmanager
def server(program: str, folder: Path) -> Iterator[str]:
    """MLflow's server on a free port of this machine, with its files in a folder; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    places = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": ""}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([*command, *places], stdout=log, stderr=log, env=environment, start_new_session=True)
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 300
    try:
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit((folder / "server.log").read_text())
            time.sleep(1)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").is_success
    except httpx.HTTPError:
        return False


def train(workspace: Path, address: str) -> None:
    """A session, mirrored; a call afterwards finds everything there."""
    autopilot = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(workspace)]
    subprocess.run([*autopilot, "start", *NIGHT, "--mlflow", address], check=True, stdout=subprocess.DEVNULL)
    again = [*autopilot, "mirror", "--to", "mlflow", "--mlflow", address]
    told = subprocess.run(again, check=True, capture_output=True, text=True).stdout
    sys.stdout.write(told)
    if not told.startswith("0 runs copied"):
        sys.exit("the session was not mirrored as a whole")


def photograph(address: str) -> None:
    """The runs of the night in a browser."""
    from playwright.sync_api import sync_playwright

    found = httpx.get(f"{address}/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": EXPERIMENT})
    number = found.json()["experiment"]["experiment_id"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(viewport=SIZE).new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{address}/#/experiments/{number}/runs?workflowType=machine_learning")
        page.get_by_text("matching runs").wait_for()
        page.get_by_role("button", name="Close").click()  # its assistant
        _open(page, "session", "#1 ")
        _choose(page)
        _open(page, "#1 ", "seed")
        page.mouse.move(0, 0)
        page.screenshot(path=PICTURE)
        browser.close()


def _row(page: Any, text: str) -> Any:
    return page.locator(".ag-row", has_text=text).first


def _open(page: Any, text: str, inside: str) -> None:
    """Unfold a row; a click may only close what was open above it."""
    from playwright.sync_api import TimeoutError as TooLate

    _row(page, text).wait_for()
    for _ in range(5):
        _row(page, text).locator("[col-id*=attributes] [role=img]").first.click()
        try:
            _row(page, inside).wait_for(timeout=10_000)
        except TooLate:
            continue
        return
    sys.exit(f"the row {text!r} does not unfold")


def _choose(page: Any) -> None:
    """Columns that say what the night came to."""
    page.get_by_role("button", name="Columns").click()
    for name in (*HIDDEN, *SHOWN):
        page.get_by_placeholder("Search columns").fill(name)
        page.get_by_text(name, exact=True).last.click(timeout=5000)
    page.keyboard.press("Escape")


def main() -> None:
    """Train, mirror, photograph."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "workspace").mkdir()
        with server(sys.argv[1], place) as address:
            train(place / "workspace", address)
            photograph(address)


if __name__ == "__main__":
    main()
