"""Resolve the dependencies again and rewrite both lock files (`make lock`).

torch and what only its CUDA build needs are left out, and so is PufferLib: README.md in this folder says how those
are installed, and by which pin.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTE = "# Written by 'make lock' from pyproject.toml and install/requirements.in. torch, pufferlib: install/README.md\n"
BY_VERSION_ALONE = re.compile(r"(torch|triton|nvidia-(?!ml-py)|cuda-)")


def resolve(bin_dir: Path, source: Path) -> str:
    """What pip-compile makes of a requirements file: a pinned, hashed list."""
    target = source.with_suffix(".lock")
    options = ["--strip-extras", "--generate-hashes", "--allow-unsafe", "--no-header", "--no-annotate"]
    no_hosts = ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"]
    command = [
        str(bin_dir / "pip-compile"),
        "-q",
        *options,
        *no_hosts,
        "--output-file",
        str(target),
        str(source),
    ]
    subprocess.run(command, check=True, cwd=source.parent)
    return target.read_text()


def blocks(lock: str) -> list[str]:
    """The lock's requirements: a name at the start of a line, hashes below it."""
    return re.split(r"^(?=[A-Za-z0-9])", re.sub(r"^#.*\n", "", lock, flags=re.MULTILINE), flags=re.MULTILINE)


def without_torch(lock: str) -> str:
    """The requirements that are locked by content."""
    return "".join(
        sorted(block.rstrip() + "\n" for block in blocks(lock) if block.strip() and not BY_VERSION_ALONE.match(block))
    )


def only(lock: str, names: list[str]) -> str:
    """The blocks of these packages: what they ask for beyond themselves is not needed here."""
    return "".join(block.rstrip() + "\n" for block in blocks(lock) if block.partition("==")[0] in names)


def main() -> None:
    """Write requirements.lock, requirements-dev.lock and requirements-llm.lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ours = [name for name in project["dependencies"] if not name.startswith("pufferlib")]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        venv.create(work / "venv", with_pip=True)
        subprocess.run([str(work / "venv/bin/pip"), "install", "-q", "pip-tools"], check=True)
        run, dev = work / "run.in", work / "dev.in"
        run.write_text("\n".join(ours) + "\n" + (ROOT / "install/requirements.in").read_text())
        locked = without_torch(resolve(work / "venv/bin", run))
        (work / "locked.txt").write_text(locked)
        dev.write_text("\n".join([*project["optional-dependencies"]["dev"], "-c locked.txt"]) + "\n")
        locked_dev = without_torch(resolve(work / "venv/bin", dev))
        llm = work / "llm.in"
        llm.write_text("\n".join(local_llm := project["optional-dependencies"]["local-llm"]) + "\n")
        locked_llm = only(resolve(work / "venv/bin", llm), local_llm)
    (ROOT / "requirements.lock").write_text(NOTE + locked)
    (ROOT / "requirements-dev.lock").write_text(NOTE + locked_dev)
    (ROOT / "requirements-llm.lock").write_text(NOTE + locked_llm)


if __name__ == "__main__":
    sys.exit(main())
