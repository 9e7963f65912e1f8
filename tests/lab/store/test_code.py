"""The user's repository in a run's record, by real git repositories."""

import subprocess
from pathlib import Path

import pytest

from lab.store.code import KEPT, code_state
from lab.store.notebook import Notebook
from lab.store.records import RunRecord
from tests.conftest import RunMaker


@pytest.fixture
def repository(workspace_root: Path) -> Path:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *identity, *arguments], cwd=workspace_root, check=True, capture_output=True)

    git("init", "-q")
    (workspace_root / "mine.py").write_text("x = 1\n")
    (workspace_root / ".gitignore").write_text("runs/\nproposals/\n")
    git("add", ".")
    git("commit", "-qm", "first")
    return workspace_root


@pytest.fixture
def workspace_root(notebook: Notebook) -> Path:
    return notebook.workspace.root


def test_a_clean_repository_is_its_commit(repository: Path) -> None:
    state, changed = code_state(repository)
    assert state is not None
    assert (len(state.commit), state.dirty, changed) == (40, None, b"")


def test_what_is_not_committed_is_kept_with_the_run(repository: Path, notebook: Notebook, make_run: RunMaker) -> None:
    (repository / "mine.py").write_text("x = 2\n")
    run: RunRecord = make_run()
    assert run.code is not None
    assert run.code.dirty is not None
    assert b"+x = 2" in notebook.paths(run.run_id).code_diff.read_bytes()


def test_a_large_difference_is_cut_and_still_told_apart(repository: Path) -> None:
    (repository / "mine.py").write_text("y" * (2 * KEPT))
    one, changed = code_state(repository)
    (repository / "mine.py").write_text("y" * (2 * KEPT) + "z")
    two, _ = code_state(repository)
    assert len(changed) == KEPT
    assert one is not None
    assert two is not None
    assert one.dirty != two.dirty


def test_no_repository_no_commit_no_git(
    workspace_root: Path, notebook: Notebook, make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_state(workspace_root) == (None, b"")
    assert make_run().code is None
    subprocess.run(["git", "init", "-q"], cwd=workspace_root, check=True)
    assert code_state(workspace_root) == (None, b"")
    monkeypatch.setenv("PATH", "/nowhere")
    assert code_state(workspace_root) == (None, b"")


def test_reading_it_runs_nothing_of_the_repositorys(repository: Path) -> None:
    owned = repository / "owned"
    for name in ("core.fsmonitor", "diff.external", "core.pager"):
        subprocess.run(["git", "config", name, f"touch '{owned}'"], cwd=repository, check=True)
    (repository / "mine.py").write_text("x = 3\n")
    state, _ = code_state(repository)
    assert state is not None
    assert not owned.exists()
