"""Make what the README shows from a real session: the terminal and the page as pictures, a report, the digest.

    .venv/bin/python docs/make_examples.py

It runs a session of thirty replicates in a temporary workspace on a pseudo-terminal (some minutes of real training),
then writes docs/examples/ (the first few reports and those of contenders) and what the README shows of one. Nothing is
edited by hand. The page is taken by Debian's Chromium. `OTHERS` are other scripts'.
"""

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyte
from rich.console import Console
from rich.text import Text

EXAMPLES = Path(__file__).resolve().parent / "examples"
OTHERS = {"hour", "drone", "drones", "films", "reports", "pages", "mlflow.png"}
"""What other scripts have made."""
COLUMNS, LINES = 118, 400
KEPT = 4
"""Reports that are shown beside those of contenders."""
COMMAND = [
    "start",
    "--env",
    "puffer_cartpole",
    "--preset",
    "quick",
    "--max-runs",
    "10",
    "--seeds",
    "3",
    "--set",
    "train.total_timesteps=600000",
    "--confirm",
    "none",
    "--model",
    "offline",
    "--approve",
    "auto",
]
README = EXAMPLES.parent.parent / "README.md"
BEGINS, ENDS = "<!-- from a report -->", "<!-- end -->"
PICTURE = re.compile(r"!\[([^]]*)\]\((plots/[^)]*/(\w+)\.png)\)")
NAMED = {"brown": "yellow", "brightblack": "bright_black"}


def record(workspace: Path) -> pyte.Screen:
    """Run the session; what its terminal shows at the end, and a moment of the progress bar above it."""
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    autopilot = Path(sys.executable).with_name("autopilot")
    command = [str(autopilot), "--workspace", str(workspace), *COMMAND]
    process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment)
    os.close(child)
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    while True:
        try:
            data = os.read(parent, 65536)
        except OSError:
            break
        stream.feed(data)
    if process.wait():
        sys.exit("the session failed:\n" + "\n".join(screen.display))
    return screen


def draw(screen: pyte.Screen, target: Path) -> None:
    """A terminal's screen as SVG."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115, PTH123
    console.print(Text(f"$ autopilot {' '.join(COMMAND)}", style="bold"))
    last = max(index for index, line in enumerate(screen.display) if line.strip())
    for index in range(last + 1):
        text = Text()
        for column in range(COLUMNS):
            cell = screen.buffer[index][column]
            style = " ".join(
                filter(None, ("bold" if cell.bold else "", "italic" if cell.italics else "", _color(cell.fg)))
            )
            text.append(cell.data, style=style or None)
        text.rstrip()
        console.print(text, soft_wrap=True)
    svg = console.export_svg(title="autopilot")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # fonts from elsewhere: the reader's own will do
    target.write_text(re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL))


def _color(name: str) -> str:
    if name == "default":
        return ""
    return f"#{name}" if len(name) == 6 and not name.isalpha() else NAMED.get(name, name)


def photograph(workspace: Path) -> None:
    """The page in a browser: tonight, the last run, the last proposal; a run on a phone in the dark."""
    from playwright.sync_api import sync_playwright

    command = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(workspace), "web", "--port", "0"]
    last = max((workspace / "runs").glob("*/report.md")).parent.name
    waiting = max((workspace / "proposals").glob("2*.json"))
    shots = {"tonight": "/", "run": f"/runs/{last}", "proposal": f"/proposals/{waiting.stem}", "runs": "/runs",
             "search": "/search"}  # fmt: skip
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as playwright,
    ):
        assert server.stdout is not None  # noqa: S101 - for the type checker
        try:
            address = server.stdout.readline().split()[0].rstrip("/")
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for name, path in shots.items():
                _take(browser, address + path, f"page-{name}", {"width": 1100, "height": 860})
            _take(browser, address + shots["run"], "page-phone", {"width": 390, "height": 780}, color_scheme="dark")
            browser.close()
        finally:
            server.terminate()


def _take(browser: Any, url: str, name: str, size: dict[str, int], **more: Any) -> None:
    page = browser.new_context(viewport=size, **more).new_page()
    page.goto(url)
    if page.locator(".chart").count():
        page.locator(".chart").first.scroll_into_view_if_needed()  # it is drawn when it comes into sight
        page.locator(".chart canvas").first.wait_for()
        page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=EXAMPLES / f"{name}.png")


def show() -> None:
    """Put a part of a report into the README: the last one with a clear verdict."""
    reports = sorted(EXAMPLES.glob("report-*.md"))
    clear = [page for page in reports if re.search(r"\*\*Verdict: (better|worse)\*\*", page.read_text())]
    page = (clear or reports)[-1]
    text = page.read_text().partition("\n---\n")[0]
    parts = {name: body.strip() for name, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.M | re.S)}
    title, head = re.findall(r"\A# ([^\n]*)\n\n(.*?)\n\n", text, re.S)[0]
    metrics, observations = parts["Key metrics"], parts["Observations"]
    pictures = {name: f"![{what}](docs/examples/{path})" for what, path, name in PICTURE.findall(text)}
    shown = [
        f"**{title}**", head, "\n".join(metrics.splitlines()[:6]),
        *(f"Predicted when it was proposed: {one}" for one in re.findall(r"^- (.*it came to.*)$", metrics, re.M)[:1]),
        pictures.get("learning_curves", ""), "\n".join(observations.splitlines()[:4]), "**Theory.** " + parts["Theory"],
    ]  # fmt: skip
    quoted = "\n>\n".join("\n".join(f"> {line}" for line in part.splitlines()) for part in shown if part)
    readme = README.read_text()
    start, end = readme.index(BEGINS) + len(BEGINS), readme.index(ENDS)
    intro = (
        f"What it writes about a run, as produced ([the whole report](docs/examples/{page.name}),"
        " [the session's digest](docs/examples/digest.md)):"
    )
    README.write_text(f"{readme[:start]}\n\n{intro}\n\n{quoted}\n\n{readme[end:]}")


def main() -> None:
    """Write docs/examples/."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        screen = record(workspace)
        for old in [path for path in EXAMPLES.iterdir() if path.name not in OTHERS]:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        (EXAMPLES / "plots").mkdir(parents=True)
        draw(screen, EXAMPLES / "terminal.svg")
        (session,) = (workspace / "runs" / "sessions").iterdir()
        digest = (session / "digest.md").read_text()
        reports = sorted((workspace / "runs").glob("*/report.md"))
        confirmations = workspace / "runs" / "confirmations.jsonl"
        named = confirmations.read_text() if confirmations.exists() else ""
        shown = [report for at, report in enumerate(reports) if at < KEPT or report.parent.name in named]
        for number, report in enumerate(shown, start=1):
            name = f"report-{number}"
            (EXAMPLES / f"{name}.md").write_text(report.read_text().replace("](plots/", f"](plots/{name}/"))
            shutil.copytree(report.parent / "plots", EXAMPLES / "plots" / name)
            digest = digest.replace(f"../../{report.parent.name}/report.md", f"{name}.md")
        digest = re.sub(r"\[report\]\(\.\./\.\./[^)]*\)", "report", digest)
        (EXAMPLES / "digest.md").write_text(digest)
        shutil.copy(session / "plots" / "best_so_far.png", EXAMPLES / "plots")
        photograph(workspace)
    show()


if __name__ == "__main__":
    main()
