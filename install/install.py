"""Create or update `.venv`: everything autopilot needs, from the package index alone.

Standard library only: this runs before anything is installed. It is idempotent (a stamp in `.venv` records what
was installed from what) and safe to interrupt (the stamp is written last). README.md in this folder explains each step.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
SHIM = ROOT / "install" / "shim"
PYTHON = VENV / "bin" / "python"
TORCH = "torch==2.13.0"
PUFFERLIB = "pufferlib==3.0.0 --hash=sha256:7df3a3e3f5f894d78d2a1f5374097890aec01473183e748abefe4f3faa10eaa9\n"


def digest(*parts: bytes) -> str:
    """A short name for a set of inputs."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def say(text: str) -> None:
    """Tell the user what takes the time."""
    print(f"[install] {text}", flush=True)


def pip(*args: str, **env: str) -> None:
    """Run pip in `.venv`, quietly; its errors go to the user as they are."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *args]
    if subprocess.run(command, env={**os.environ, **env}, cwd=ROOT, check=False).returncode:
        sys.exit(f"[install] failed: pip {' '.join(args)}")


def require_toolchain() -> None:
    """Stop with the remedy before a long install that could not end well.

    Raises:
        SystemExit: the Python, its headers or a compiler is missing.
    """
    if sys.version_info[:2] != (3, 11):
        sys.exit(f"[install] Python 3.11 is needed, this is {platform.python_version()}: make PYTHON=python3.11 ...")
    import sysconfig

    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        sys.exit("[install] Python.h is missing: install Python's headers (Debian: python3.11-dev)")
    for compiler in (("cc", "gcc", "clang"), ("c++", "g++", "clang++")):
        if not any(shutil.which(name) for name in compiler):
            sys.exit(f"[install] no compiler found ({', '.join(compiler)}): install one (Debian: build-essential)")


def build_pufferlib() -> Path:
    """The PufferLib wheel for this torch and Python, built once per machine."""
    torch = subprocess.check_output([str(PYTHON), "-c", "import torch; print(torch.__version__)"], text=True)
    key = digest(torch.encode(), sys.version.encode(), (SHIM / "sitecustomize.py").read_bytes(), PUFFERLIB.encode())
    cache = Path(os.environ.get("AUTOPILOT_CACHE") or Path.home() / ".cache" / "autopilot") / "wheels" / key
    if not any(cache.glob("pufferlib-*.whl")):
        say(f"building PufferLib 3.0.0 against torch {torch.strip()} (one to two minutes, once per machine)")
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache.parent) as work:
            pinned = Path(work, "pufferlib.txt")
            pinned.write_text(PUFFERLIB)
            pip(
                "wheel", "-qq", "--no-cache-dir", "--no-build-isolation", "--no-deps", "--require-hashes",
                "-r", str(pinned), "-w", work,
                PYTHONPATH=str(SHIM),
            )  # fmt: skip
            cache.mkdir(exist_ok=True)
            for wheel in Path(work).glob("*.whl"):
                wheel.replace(cache / wheel.name)  # same file system: no half-written wheel is ever found here
    return next(cache.glob("pufferlib-*.whl"))


def install(*more: str) -> None:
    """Bring `.venv` up to date; returns at once when it already is.

    Args:
        more: `dev` for what the tests need, `llm` for a language model on this machine.
    """
    locks = [ROOT / "requirements.lock", *(ROOT / f"requirements-{name}.lock" for name in more)]
    inputs = [*locks, ROOT / "pyproject.toml", SHIM / "sitecustomize.py", Path(__file__)]
    wanted = digest(str(ROOT).encode(), *(path.read_bytes() for path in inputs))
    stamp = VENV / f".installed-{'-'.join(more) or 'run'}"
    if stamp.exists() and stamp.read_text() == wanted and PYTHON.exists():
        return
    require_toolchain()
    if not PYTHON.exists():
        say("creating .venv")
        venv.create(VENV, with_pip=True, clear=VENV.exists())
    say("installing the locked packages")
    for lock in locks:
        pip("install", "-qq", "--no-deps", "--require-hashes", "-r", str(lock))
    say(f"installing {TORCH}")
    pip("install", "-qq", TORCH)
    pip("install", "-qq", "--no-deps", "--force-reinstall", str(build_pufferlib()))
    pip("install", "-qq", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    subprocess.run([str(PYTHON), "-c", "import matplotlib.font_manager"], check=True)  # its font cache: seconds, once
    stamp.write_text(wanted)
    say(f"done: {VENV / 'bin' / 'autopilot'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Create or update .venv.")
    parser.add_argument("--dev", action="store_true", help="also what the tests need")
    parser.add_argument("--llm", action="store_true", help="also a small language model that runs on this machine")
    wanted = parser.parse_args()
    install(*[name for name in ("dev", "llm") if getattr(wanted, name)])
