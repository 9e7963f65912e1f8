"""The index says what the folders say, whatever happened to either; it can be thrown away at any time."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab.base.paths import Workspace
from lab.store.creation import create_run
from lab.store.index import Index
from lab.store.notebook import Notebook
from lab.store.records import RunState
from lab.store.tables import prepared
from tests.conftest import Cli, RunMaker


def test_it_has_what_the_folders_have(make_run: RunMaker, notebook: Notebook) -> None:
    first = make_run()
    second = make_run({"train.learning_rate": 0.01}, parent=first.run_id)
    failed = make_run({"train.gamma": 0.9}, parent=first.run_id, fault="crash")
    rows = {row.run_id: row for row in notebook.index.rows()}
    assert list(rows) == [first.run_id, second.run_id, failed.run_id]
    summary = notebook.summary(second.run_id)
    assert summary is not None
    perf = summary.metrics["perf"]
    assert (rows[second.run_id].score, rows[second.run_id].values, rows[second.run_id].n) == (perf.mean, perf.values, 2)
    assert (rows[failed.run_id].state, rows[failed.run_id].score) == ("failed", None)
    assert notebook.runs() == [notebook.run(name) for name in rows]
    assert {run: verdict.verdict for run, verdict in notebook.verdicts().items()}.keys() == {
        first.run_id,
        second.run_id,
    }


def test_every_change_of_a_folder_is_seen(make_run: RunMaker, notebook: Notebook, workspace: Workspace) -> None:
    run = make_run()
    other = Notebook(workspace)  # as another process would
    assert [r.run_id for r in other.runs()] == [run.run_id]
    queued = create_run(notebook, notebook.config(run.run_id), {}, preset="quick", objective="perf:max", arm="person")
    assert [r.run_id for r in other.runs()] == [run.run_id, queued.run_id]
    notebook.update(queued.run_id, state=RunState.RUNNING)
    assert other.runs()[-1].state is RunState.RUNNING
    notebook.fail(queued.run_id, RunState.KILLED, "made up")
    assert other.runs()[-1].reason == "made up"
    shutil.rmtree(workspace.run(queued.run_id).dir)
    assert [r.run_id for r in other.runs()] == [run.run_id]


def test_an_ended_run_that_somebody_changes_is_read_again(make_run: RunMaker, workspace: Workspace) -> None:
    run = make_run()
    notebook = Notebook(workspace)
    assert notebook.runs()[0].arm == "baseline"
    path = workspace.run(run.run_id).run
    record = {**json.loads(path.read_text()), "arm": "somebody"}
    path.with_suffix(".new").write_text(json.dumps(record))
    path.with_suffix(".new").rename(path)
    assert notebook.runs()[0].arm == "somebody"
    path.write_text("{")
    assert notebook.runs() == []
    assert run.run_id in notebook.damaged
    path.write_text(json.dumps(record))
    assert notebook.runs()[0].arm == "somebody"
    assert notebook.damaged == {}


@pytest.mark.parametrize("how", ["deleted", "no database", "other tables", "cut off"])
def test_an_index_that_is_gone_or_broken_is_made_again(make_run: RunMaker, workspace: Workspace, how: str) -> None:
    run = make_run()
    before = Index(workspace).rows()
    path = workspace.index
    for extra in ("-wal", "-shm"):
        path.with_name(path.name + extra).unlink(missing_ok=True)
    if how == "deleted":
        path.unlink()
    elif how == "no database":
        path.write_bytes(b"not a database at all" * 1000)
    elif how == "cut off":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.unlink()
        base = sqlite3.connect(path)
        base.execute("CREATE TABLE runs (something)")
        base.close()
    assert Index(workspace).rows() == before
    assert before[0].run_id == run.run_id


def test_pages_that_are_overwritten_cost_no_answer(make_run: RunMaker, workspace: Workspace) -> None:
    run = make_run()
    index = Index(workspace)
    before = index.rows()
    index.ask("PRAGMA wal_checkpoint(TRUNCATE)")
    for extra in ("-wal", "-shm"):
        path = workspace.index.with_name(workspace.index.name + extra)
        path.unlink(missing_ok=True)
    with workspace.index.open("r+b") as file:  # the header says a database, the pages say nothing
        file.seek(100)
        file.write(b"\xa5" * (workspace.index.stat().st_size - 100))
    assert Index(workspace).rows() == before
    assert before[0].run_id == run.run_id


def test_a_run_that_comes_while_another_process_looks_is_not_taken_for_a_gone_one(
    make_run: RunMaker, notebook: Notebook, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_run()
    reader, other = Index(workspace), Notebook(workspace)
    assert len(reader.rows()) == 1
    config, scandir, come = notebook.config(first.run_id), os.scandir, list[str]()

    def listing(path: Path) -> Any:
        found = scandir(path)  # what is there now; then somebody adds a run, and the index has it at once
        if not come:
            come.append("")
            names = list(found)
            come[0] = create_run(other, config, {}, preset="quick", objective="perf:max", arm="person").run_id
            assert len(other.runs()) == 2
            return contextlib.nullcontext(names)
        return found

    os.utime(workspace.runs)  # so that there is something to look for
    monkeypatch.setattr(os, "scandir", listing)
    assert [row.run_id for row in reader.rows()] == [first.run_id, *come]


def test_rebuilding_gives_the_same(make_run: RunMaker, workspace: Workspace, cli: Cli) -> None:
    first = make_run()
    make_run({"train.learning_rate": 0.02}, parent=first.run_id)
    (workspace.runs / "half-written").mkdir()
    before = Index(workspace).rows()
    done = cli("runs", "--rebuild", "--json")
    over = "passed over: half-written: run.json is missing"
    assert done.err == f"indexed 3 folders, 1 of them passed over\n{over}\n"
    assert [row["run_id"] for row in done.json()] == [row.run_id for row in before]
    assert Index(workspace).rows() == before
    assert Index(workspace).damaged() == {"half-written": "run.json is missing"}


def test_where_nothing_can_be_written_it_is_kept_in_memory(make_run: RunMaker, workspace: Workspace) -> None:
    run = make_run()
    for path in workspace.runs.glob("index.sqlite*"):
        path.unlink()
    code = f"""
        import os
        os.access = lambda path, mode, real=os.access: False if mode == os.W_OK else real(path, mode)
        from pathlib import Path
        from lab.store.notebook import Notebook
        from lab.base.paths import Workspace
        print([run.run_id for run in Notebook(Workspace(Path({str(workspace.root)!r}))).runs()])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"['{run.run_id}']"
    assert not workspace.index.exists()


def test_on_a_full_disk_it_is_kept_in_memory(
    make_run: RunMaker, workspace: Workspace, small_disk: Path, cli: Cli
) -> None:
    runs = [make_run().run_id for _ in range(2)]
    shutil.copytree(workspace.root, small_disk, dirs_exist_ok=True)
    there = Workspace(small_disk)
    assert len(Index(there).rows()) == 2
    for run in runs:  # what the index has of them is to be written anew
        there.run(run).run.write_text(there.run(run).run.read_text() + "\n")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 40_960))  # as much as it takes to be opened
    listed = cli("runs", at=small_disk)
    assert listed.code == 0, listed.err
    assert all(run in listed.out for run in runs)
    assert "index.sqlite: can't be written (database or disk is full)" in listed.out
    assert "make room" in listed.out
    assert cli("status", at=small_disk).code == 0
    filler.unlink()
    assert "make room" not in cli("runs", at=small_disk).out


def test_a_verdict_that_a_crash_cut_off_does_not_take_the_next_one_with_it(
    make_run: RunMaker, notebook: Notebook, workspace: Workspace
) -> None:
    first = make_run()
    whole = workspace.verdicts.read_text()
    for text in (whole + '{"run_id": "cut o', whole, whole + '{"run_id": "cut o'):
        workspace.verdicts.write_text(text)
        assert notebook.damaged == ({} if text == whole else {"verdicts.jsonl (its end)": "is half a line"})
    second = make_run({"train.learning_rate": 0.01}, parent=first.run_id)
    assert set(notebook.verdicts()) == {first.run_id, second.run_id}
    assert notebook.damaged == {"verdicts.jsonl": "has a line that is no verdict"}
    workspace.verdicts.write_text("")
    assert notebook.verdicts() == {}
    assert notebook.damaged == {}


def test_a_folder_with_a_name_of_nobodys_is_passed_over(make_run: RunMaker, workspace: Workspace) -> None:
    run = make_run()
    for name in ("a b", "é", "x" * 100, "..."):
        (workspace.runs / name).mkdir()
    (workspace.runs / "link").symlink_to("/")
    index = Index(workspace)
    assert [row.run_id for row in index.rows()] == [run.run_id]
    assert set(index.damaged()) <= {"link"}


WRITER = """
    import sys, time
    from pathlib import Path
    from lab.space.inventory import Inventory
    from lab.space.config import Config
    from lab.store.notebook import Notebook
    from lab.base.paths import Workspace
    from lab.store.creation import create_run
    from lab.store.records import RunState, Verdict
    from lab.base.schema import now
    from lab.base.files import append_line

    config = Config.model_validate_json(Path(sys.argv[2]).read_text())
    notebook, names, until = Notebook(Workspace(Path(sys.argv[1]))), [], time.monotonic() + float(sys.argv[3])
    while time.monotonic() < until:
        run = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="writer")
        notebook.update(run.run_id, state=RunState.RUNNING)
        notebook.fail(run.run_id, RunState.FAILED, "made up")
        line = Verdict(time=now(), run_id=run.run_id, against=None, verdict="first", metric="perf")
        append_line(notebook.workspace.verdicts, line.model_dump(mode="json"))
        names.append(run.run_id)
    print(*names)
"""
READER = """
    import sys, time
    from pathlib import Path
    from lab.store.notebook import Notebook
    from lab.base.paths import Workspace

    notebook, until, most = Notebook(Workspace(Path(sys.argv[1]))), time.monotonic() + float(sys.argv[2]), 0
    while time.monotonic() < until:
        rows = notebook.index.rows()
        assert len(rows) >= most, (len(rows), most)
        most = len(rows)
        assert not notebook.damaged, notebook.damaged
        notebook.verdicts()
        time.sleep(0.01)  # between two looks, as people look
    print(most)
"""


def together(workspace: Workspace, tmp_path: Path, config: str, *, writers: int, readers: int, seconds: float) -> None:
    """Writers and readers at once; nothing may be lost, no one may see an error."""
    (tmp_path / "config.json").write_text(config)
    start = lambda code, *more: subprocess.Popen(  # noqa: E731
        [sys.executable, "-c", textwrap.dedent(code), str(workspace.root), *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    writing = [start(WRITER, str(tmp_path / "config.json"), str(seconds)) for _ in range(writers)]
    reading = [start(READER, str(seconds)) for _ in range(readers)]
    ended = [(process, *process.communicate()) for process in (*writing, *reading)]
    assert [err for process, _, err in ended if process.returncode] == []
    written = {name for process, out, _ in ended[:writers] for name in out.split()}
    index = Index(workspace)
    assert {row.run_id for row in index.rows()} == written
    assert set(index.verdicts()) == written
    assert {row.state for row in index.rows()} == {"failed"}
    index.rebuild()
    assert {row.run_id for row in index.rows()} == written


@pytest.fixture
def written(workspace: Workspace, notebook: Notebook, make_run: RunMaker) -> str:
    """A config to write runs of, in a workspace that is empty again."""
    config = notebook.config(make_run().run_id).model_dump_json()
    shutil.rmtree(workspace.runs)
    workspace.create()
    return config


def test_writers_and_readers_at_once_lose_nothing(workspace: Workspace, tmp_path: Path, written: str) -> None:
    together(workspace, tmp_path, written, writers=2, readers=3, seconds=3)


@pytest.mark.slow
def test_two_writers_and_twenty_readers_at_once(workspace: Workspace, tmp_path: Path, written: str) -> None:
    together(workspace, tmp_path, written, writers=2, readers=20, seconds=20)


def test_a_page_is_answered_from_one_look_at_the_folders(make_run: RunMaker, workspace: Workspace) -> None:
    first, second = make_run(), make_run()
    index = Index(workspace)
    with index.steady():
        assert index.number_of(first.run_id) == 1
        shutil.rmtree(workspace.run(second.run_id).dir)
        assert (index.by_number(2), index.number_of(first.run_id)) == (second.run_id, 1)
        with index.steady():
            assert index.by_number(2) is None
        assert index.by_number(2) == second.run_id
    assert index.by_number(2) is None
    assert [row.run_id for row in index.rows()] == [first.run_id]


def test_several_that_come_to_a_new_index_at_once_all_get_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for at in range(60):
            path, begin = tmp_path / f"{at}.sqlite", threading.Barrier(8)

            def opened(path: Path = path, begin: threading.Barrier = begin) -> int:
                begin.wait()
                with contextlib.closing(prepared(sqlite3.connect(path, timeout=10, isolation_level=None))) as base:
                    return int(base.execute("SELECT count(*) FROM runs").fetchone()[0])

            assert [asked.result() for asked in [pool.submit(opened) for _ in range(8)]] == [0] * 8
