"""Make docs/examples/pages/: each page of one workspace, as version 0.7.0 shows it and as this one does.

    .venv/bin/python -m docs.make_pages [--workspace DIR]

Without a workspace the code of 0.7.0 trains one for real, as for docs/make_reports.py. Each version serves a copy of it
on loopback, and Debian's Chromium looks at the first screen of every page. Nothing is edited by hand.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from docs.make_reports import ROOT, earlier, record
from lab.base import Workspace
from lab.store import Notebook, Proposals, ProposalState, Sessions

PAGES = ROOT / "docs" / "examples" / "pages"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
QUALITY = 70
"""Of WebP: text stays sharp, a picture takes some 60 KB."""
DRAWN = """[...document.querySelectorAll("figure.chart .plot")].every((plot) =>
    plot.getBoundingClientRect().top > innerHeight || !plot.clientHeight || plot.querySelector("canvas"))"""
"""Whether all charts on the first screen are there."""
CLI = "from {package} import main; main()"


@contextmanager
def served(code: Path, package: str, workspace: Path) -> Iterator[str]:
    """A workspace's page by some version of the code: its address."""
    command = [sys.executable, "-c", CLI.format(package=package), "--workspace", str(workspace), "web", "--port", "0"]
    env = {**os.environ, "PYTHONPATH": str(code)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=code, env=env) as server:
        assert server.stdout is not None  # noqa: S101 - for the type checker
        try:
            yield server.stdout.readline().split()[0].rstrip("/")
        finally:
            server.terminate()


def addresses(workspace: Path) -> dict[str, tuple[str, dict[str, int]]]:
    """What is looked at: a title, its path, and the size of the window."""
    place = Workspace(workspace)
    notebook = Notebook(place)
    reported = [run.run_id for run in notebook.runs() if notebook.paths(run.run_id).report.exists()]
    run, other = reported[-1], reported[0]
    staged = [one for one in Proposals(place).all() if one.state is ProposalState.STAGED]
    proposal = (staged or Proposals(place).all())[-1].proposal_id
    session = Sessions(place).named(None).session_id
    return {
        "Tonight": ("/", WIDE),
        "Tonight, on a phone": ("/", PHONE),
        "Runs": ("/runs", WIDE),
        "A run": (f"/runs/{run}", WIDE),
        "A run, on a phone": (f"/runs/{run}", PHONE),
        "Its transcript": (f"/runs/{run}/transcript", WIDE),
        "Two runs compared": (f"/compare?run={run}&run={other}", WIDE),
        "Proposals": ("/proposals", WIDE),
        "A proposal": (f"/proposals/{proposal}", WIDE),
        "A session": (f"/sessions/{session}", WIDE),
        "Search": ("/search", WIDE),
        "Lessons": ("/lessons", WIDE),
    }


def take(browser: Any, url: str, size: dict[str, int], target: Path) -> None:
    """The first screen of a page, its charts drawn."""
    page = browser.new_context(viewport=size).new_page()
    page.goto(url)
    page.wait_for_load_state("networkidle")
    for _ in range(100):  # a chart without data is never drawn; the page's CSP forbids `wait_for_function`
        if page.evaluate(DRAWN):
            break
        page.wait_for_timeout(200)
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.save(target, quality=QUALITY)
    page.context.close()


def main() -> None:
    """Write the pictures and their README."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, help="one that 0.7.0 has filled; else it is trained")
    given = parser.parse_args().workspace
    with tempfile.TemporaryDirectory() as folder, earlier() as code, sync_playwright() as playwright:
        source = given or Path(folder) / "recorded"
        if given is None:
            record(source)
        shutil.rmtree(PAGES, ignore_errors=True)
        PAGES.mkdir(parents=True)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        count = len(Notebook(Workspace(source)).runs())
        looked = addresses(shutil.copytree(source, Path(folder) / "read"))
        for version, where, package in (("before", code, "agent.cli"), ("after", ROOT, "cli.main")):
            copy = shutil.copytree(source, Path(folder) / version)
            with served(where, package, copy) as address:
                for number, (path, size) in enumerate(looked.values(), start=1):
                    take(browser, address + path, size, PAGES / f"{number:02}-{version}.webp")
        browser.close()
    rows = [
        f"## {title}\n\n| 0.7.0 | this version |\n|---|---|\n| ![{title} by 0.7.0]({number:02}-before.webp)"
        f" | ![{title} by this version]({number:02}-after.webp) |\n"
        for number, title in enumerate(looked, start=1)
    ]
    (PAGES / "README.md").write_text(
        "# The page, before and after\n\nThe first screen of each page of one workspace, which version 0.7.0 has"
        f" filled ({count} runs of puffer_cartpole): as that version shows it, and as this one does, in a window of"
        " 1,440 × 900, or of 360 × 740 for the phone. `python -m docs.make_pages` made them.\n\n" + "\n".join(rows)
    )


if __name__ == "__main__":
    main()
