"""The layout and the import rules of docs/design.md, read from the source."""

import ast
import itertools
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from lab.base.threads import SCIPY

ROOT = Path(__file__).resolve().parent.parent
LAYERS = (
    ("lab.base",), ("lab.space",), ("lab.store",), ("lab.judge",), ("lab.search", "lab.claims"), ("training",),
    ("report",), ("mirror",), ("tools",), ("agent.model",), ("agent.analysis", "agent.approval", "agent.notify"),
    ("agent.session",), ("review",), ("bridge",), ("cli",),
)  # fmt: skip
"""Each may import those before it. The last one is the command line, which nothing imports."""
RANK = {package: rank for rank, packages in enumerate(LAYERS) for package in packages}
TRAINING_LIBRARIES = {"torch", "pufferlib", "heavyball"}
ADAPTER = {str(path.relative_to(ROOT)) for path in (ROOT / "training" / "adapter").glob("*.py")}
CHILD_PROCESSES = {
    "lab/search/arms/proposer.py",
    "training/checkpoints.py",
    "training/envs.py",
    "training/exporting.py",
    "training/evaluation.py",
    "training/gpus.py",
    "training/build.py",
    "training/drone/delivery.py",
    "training/measure.py",
    "training/playing.py",
    "training/replicate.py",
    "training/sources.py",
    "training/training_log.py",
} | ADAPTER


def modules() -> list[Path]:
    tops = dict.fromkeys(package.split(".")[0] for package in RANK)
    return [path for top in tops for path in sorted((ROOT / top).rglob("*.py"))]


def package_of(name: str) -> str | None:
    """The package of ours that a dotted name lies in, or is; None for what is not ours."""
    first, _, rest = name.partition(".")
    return next((known for known in (f"{first}.{rest.split('.')[0]}", first) if known in RANK), None)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    package = package_of(dotted(path))
    ours = {package_of(name) for name in _all_imports(path)} - {None, package}
    if package is None:  # the docstring of a package that has only packages in it
        assert ours == set()
        return
    assert {name for name in ours if name and RANK[name] >= RANK[package]} == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not lazily either, nor for their types alone."""
    names = {dotted(path).removesuffix(".__init__"): path for path in modules()}
    needed = {name: {found for found in _all_imports(path) if found in names} for name, path in names.items()}
    needed = {name: {found for found in of if not name.startswith(f"{found}.")} for name, of in needed.items()}
    TopologicalSorter(needed).prepare()


def importing(library: str) -> set[str]:
    found = {path for path in modules() if library in {name.split(".")[0] for name in imports(path)}}
    return {str(path.relative_to(ROOT)) for path in found}


def test_one_package_trains_with_pufferlib_and_only_child_processes_import_torch() -> None:
    built_in = {"training/drone/delivery.py"}  # which extends PufferLib's class
    sweeping = {"lab/search/arms/proposer.py"}
    assert importing("pufferlib") - ADAPTER == sweeping | built_in
    assert CHILD_PROCESSES - ADAPTER - built_in <= importing("torch") <= CHILD_PROCESSES - built_in
    assert importing("heavyball") == set()


def test_only_child_processes_import_what_imports_torch() -> None:
    names = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in CHILD_PROCESSES}
    found = {str(path.relative_to(ROOT)) for path in modules() if names & set(_all_imports(path))}
    assert found <= CHILD_PROCESSES | {"training/worker.py", "lab/search/arms/apart.py"}


def _all_imports(path: Path) -> Iterator[str]:
    """Also what `from training import adapter` brings."""
    yield from imports(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_nothing_imports_the_command_line() -> None:
    others = [path for path in modules() if package_of(dotted(path)) != "cli"]
    assert [path for path in others if "cli" in {package_of(name) for name in _all_imports(path)}] == []


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


IMPORTABLE = [path for path in modules() if str(path.relative_to(ROOT)) not in CHILD_PROCESSES]


def test_importing_a_module_loads_no_torch() -> None:
    names = [dotted(path) for path in IMPORTABLE if path.name != "__init__.py"]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"    assert not {TRAINING_LIBRARIES!r} & set(sys.modules), name\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_every_process_imports_begins_without_scipy() -> None:
    """A second of each command and of each worker, which a night starts by the hundred."""
    code = "import sys, training.worker, report, tools, agent.session.launch; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_all_of_scipy_is_there_before_a_second_thread_begins() -> None:
    """Two threads that import it at once get half of it; it is imported lazily all over the place."""
    used = set[str]()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("scipy"):
                whole = f"{node.module}.{node.names[0].name}"
                used.add(whole if whole in SCIPY else node.module)
            elif isinstance(node, ast.Import):
                used |= {name.name for name in node.names if name.name.startswith("scipy")}
    assert used <= set(SCIPY), used
    code = (
        "import sys, threading\nfrom lab.base.threads import before_threads, SCIPY\nbefore_threads()\n"
        "wrong, together = [], threading.Barrier(len(SCIPY))\n"
        "def begin(name):\n    together.wait()\n    try:\n        __import__(name)\n"
        "    except BaseException as error:\n        wrong.append(error)\n"
        "threads = [threading.Thread(target=begin, args=(name,)) for name in SCIPY]\n"
        "[one.start() for one in threads]\n[one.join() for one in threads]\nprint(wrong)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_begins_with_little() -> None:
    """`autopilot --help` answers at once: what a command needs is imported when it is called."""
    heavy = ("numpy", "lab.store", "lab.judge", "report", "training")
    code = f"import sys, cli.main; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def drawn() -> set[str]:
    """The folders of the tree in docs/design.md, such as `lab` and `lab/store`."""
    tree = (ROOT / "docs" / "design.md").read_text().partition("## Layout\n\n```\n")[2].partition("```")[0]
    above, found = "", set()
    for line in tree.splitlines():
        names = [name.strip("/") for name in itertools.takewhile(lambda word: word.endswith("/"), line.split())]
        assert names, line
        if line.startswith(" "):
            found |= {f"{above}/{name}" for name in names}
        else:
            above = names[0]
            found |= set(names)
    return found


def test_the_tree_is_the_one_in_the_design() -> None:
    tops = {package.split(".")[0] for package in RANK}
    folders = {"/".join(path.split("/")[:-1][:2]) for path in tracked() if "/" in path}
    there = {folder for folder in folders if folder.split("/")[0] in tops} | {f.split("/")[0] for f in folders}
    assert drawn() == there - {".ci"} | {"presets", "exports"}
    assert [path for path in tracked() if path.startswith("prompts/") and not path.endswith(".j2")] == []


def test_the_design_names_every_module() -> None:
    table = (ROOT / "docs" / "design.md").read_text().partition("### The modules")[2].partition("\n## ")[0]
    names = {path: path.name for path in modules() if path.name != "__init__.py"}
    assert [str(path) for path, name in names.items() if f"`{name}`" not in table and f"/{name}`" not in table] == []


def test_no_module_is_too_long_to_read() -> None:
    long = {str(path.relative_to(ROOT)) for path in modules() if len(path.read_text().splitlines()) > 350}
    assert long == set()


def test_every_public_function_and_class_says_what_it_is_for() -> None:
    silent = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if named and not ast.get_docstring(node) and not _is_nested(node, path):
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert silent == []


def _is_nested(node: ast.AST, path: Path) -> bool:
    """Functions inside functions, and methods of private classes, are nobody's interface."""
    for outer in ast.walk(ast.parse(path.read_text())):
        private_class = isinstance(outer, ast.ClassDef) and outer.name.startswith("_")
        if (isinstance(outer, ast.FunctionDef) or private_class) and any(
            getattr(inner, "lineno", None) == node.lineno for inner in ast.walk(outer) if inner is not outer
        ):
            return True
    return False
