"""Lines that are whole or not there, and owners that nobody who looks can disturb: with real limits and processes."""

import errno
import multiprocessing
import resource
import subprocess
import sys
import textwrap
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest

from lab.base.errors import Busy
from lab.base.files import append_line, owned, owner_of, read_lines

spawn = multiprocessing.get_context("spawn")


@pytest.mark.parametrize("room", [0, 1, 25])
def test_a_line_that_finds_no_room_is_raised_and_taken_back(tmp_path: Path, room: int) -> None:
    path = tmp_path / "verdicts.jsonl"
    append_line(path, {"n": 0})
    before = path.read_bytes()
    code = f"""
        import resource
        from pathlib import Path
        from lab.base.files import append_line
        resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + room}, resource.RLIM_INFINITY))
        try:
            append_line(Path({str(path)!r}), {{"n": 1, "text": "x" * 40}})
        except OSError as error:
            raise SystemExit(error.errno)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert (done.returncode, path.read_bytes()) == (errno.EFBIG, before)
    append_line(path, {"n": 2})
    assert list(read_lines(path)) == [{"n": 0}, {"n": 2}]


def _append(path: Path, who: int, room: int, barrier: Barrier) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    barrier.wait()
    for number in range(300):
        try:
            append_line(path, {"who": who, "n": number, "text": "x" * 60})
        except OSError as error:
            assert error.errno == errno.EFBIG
            return


def test_what_is_taken_back_is_nobody_elses(tmp_path: Path) -> None:
    path, barrier = tmp_path / "events.jsonl", spawn.Barrier(2)
    short = spawn.Process(target=_append, args=(path, 1, 20_000, barrier))
    short.start()
    _append(path, 2, resource.RLIM_INFINITY, barrier)
    short.join()
    assert short.exitcode == 0
    mine = [line["n"] for line in read_lines(path) if line["who"] == 2]
    assert mine == list(range(300))
    assert path.read_bytes().count(b"\n") == len(list(read_lines(path)))


def _look(path: Path, over: Event, looking: Event) -> None:
    while not over.is_set():
        for _ in range(100):
            owner_of(path)
        looking.set()


def test_whoever_looks_does_not_disturb_an_owner(tmp_path: Path) -> None:
    path, over, looking = tmp_path / ".owner", spawn.Event(), spawn.Event()
    looker = spawn.Process(target=_look, args=(path, over, looking))
    looker.start()
    looking.wait()
    try:
        for number in range(2000):
            with owned(path, str(number), Busy):
                assert owner_of(path) == str(number)
            assert owner_of(path) is None  # although somebody else looks too
    finally:
        over.set()
        looker.join()


def _contend(path: Path, barrier: Barrier, won: Path) -> None:
    wins = 0
    for _ in range(300):
        barrier.wait()
        try:
            with owned(path, "mine", Busy):
                barrier.wait()  # held until the other one has had its answer
                wins += 1
        except Busy:
            barrier.wait()
    won.write_text(str(wins))


def test_of_two_who_want_to_own_exactly_one_does(tmp_path: Path) -> None:
    barrier = spawn.Barrier(2)
    won = [tmp_path / "first", tmp_path / "second"]
    both = [spawn.Process(target=_contend, args=(tmp_path / ".owner", barrier, one)) for one in won]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert sum(int(one.read_text()) for one in won) == 300


def test_an_owner_that_is_killed_owns_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".owner"
    code = f"""
        import os
        from pathlib import Path
        from lab.base.errors import Busy
        from lab.base.files import owned
        with owned(Path({str(path)!r}), "gone", Busy):
            print(flush=True)
            input()
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert owner_of(path) == "gone"
        with pytest.raises(Busy, match="gone"), owned(path, "me", Busy):
            pass
        process.kill()
        process.wait()
        assert owner_of(path) is None
        with owned(path, "me", Busy):
            assert owner_of(path) == "me"
