"""Make docs/examples/hour/ from a real session of an hour: its digest as produced, its plot, reports of candidates.

    .venv/bin/python docs/make_night.py [--hours 1]

Nothing is edited by hand; of the digest only the links to reports that are not kept are taken out.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HOUR = Path(__file__).resolve().parent / "examples" / "hour"
LINK = re.compile(r"\[report\]\(\.\./\.\./([^/)]+)/report\.md\)")


def main() -> None:
    """Run the session and keep what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", default="1")
    hours = parser.parse_args().hours
    command = ["start", "--env", "puffer_cartpole", "--hours", hours, "--model", "offline", "--approve", "auto",
               "--min-effect", "0.001"]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        autopilot = Path(sys.executable).with_name("autopilot")
        done = subprocess.run(
            [autopilot, "--workspace", folder, *command], stdout=subprocess.PIPE, text=True, check=True
        )
        runs = Path(folder) / "runs"
        (session,) = (runs / "sessions").iterdir()
        digest = (session / "digest.md").read_text()
        candidates = digest.partition("## Candidates for incumbent")[2].partition("\n## ")[0]
        kept = [name for name in dict.fromkeys(LINK.findall(digest)) if name in candidates]
        shutil.rmtree(HOUR, ignore_errors=True)
        HOUR.mkdir(parents=True)
        shutil.copytree(session / "plots", HOUR / "plots")
        for number, name in enumerate(kept, start=1):
            (HOUR / f"candidate-{number}.md").write_text(
                (runs / name / "report.md").read_text().replace("](plots/", f"](plots/candidate-{number}/")
            )
            shutil.copytree(runs / name / "plots", HOUR / "plots" / f"candidate-{number}")
        links = {name: f"[report](candidate-{number}.md)" for number, name in enumerate(kept, start=1)}
        (HOUR / "digest.md").write_text(LINK.sub(lambda found: links.get(found[1], "report"), digest))
        announced = done.stdout.partition(f"session {session.name} begins")[0].replace(folder, "~/nights").rstrip()
        (HOUR / "preflight.txt").write_text(f"$ autopilot {' '.join(command)}\n{announced}\n")


if __name__ == "__main__":
    main()
