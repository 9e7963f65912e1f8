"""Make docs/examples/NAME/ from a real night: its digest as produced, its pictures, reports of contenders.

    .venv/bin/python docs/make_night.py hour|drones [--workspace DIR --log FILE]

With `--workspace` the night has been run there before, by the command of `NIGHTS`, and FILE has what it printed.
Nothing is edited by hand; of the digest only the links to reports that are not kept are taken out.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent / "examples"
NIGHTS = {
    "hour": "start --env puffer_cartpole --hours 1 --model offline --approve auto",
    "drones": "start --env drone_delivery --seeds 3 --max-runs 20 --approve auto --confirm none"
    " --set train.total_timesteps=2000000",
}
LINK = re.compile(r"\[report\]\(\.\./\.\./([^/)]+)/report\.md\)")


def run(workspace: Path, command: str) -> str:
    """Run a night: what it printed."""
    autopilot = Path(sys.executable).with_name("autopilot")
    whole = [autopilot, "--workspace", workspace, *command.split()]
    return subprocess.run(whole, stdout=subprocess.PIPE, text=True, check=True).stdout


def keep(workspace: Path, printed: str, command: str, target: Path) -> None:
    """Copy what is shown of the latest night of a workspace."""
    runs = workspace / "runs"
    session = max((runs / "sessions").glob("2*"))
    digest = (session / "digest.md").read_text()
    contenders = digest.partition("## Contenders")[2].partition("\n## ")[0]
    kept = [name for name in dict.fromkeys(LINK.findall(digest)) if name in contenders]
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(session / "plots", target / "plots")
    for number, name in enumerate(kept, start=1):
        report = (runs / name / "report.md").read_text()
        (target / f"contender-{number}.md").write_text(report.replace("](plots/", f"](plots/contender-{number}/"))
        shutil.copytree(runs / name / "plots", target / "plots" / f"contender-{number}")
    links = {name: f"[report](contender-{number}.md)" for number, name in enumerate(kept, start=1)}
    (target / "digest.md").write_text(LINK.sub(lambda found: links.get(found[1], "report"), digest))
    announced = printed.partition(f"session {session.name} begins")[0].replace(str(workspace), "~/nights").rstrip()
    (target / "preflight.txt").write_text(f"$ autopilot {command}\n{announced}\n")


def main() -> None:
    """Run a night, or take one that was run, and keep what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("night", choices=list(NIGHTS))
    parser.add_argument("--workspace", type=Path, help="where it has been run")
    parser.add_argument("--log", type=Path, help="what it printed then")
    given = parser.parse_args()
    command = NIGHTS[given.night]
    with tempfile.TemporaryDirectory() as folder:
        workspace = given.workspace or Path(folder)
        printed = given.log.read_text() if given.log else run(workspace, command)
        keep(workspace, printed, command, EXAMPLES / given.night)


if __name__ == "__main__":
    main()
