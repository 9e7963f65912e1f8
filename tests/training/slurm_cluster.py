"""Slurm on this machine: a controller and three nodes of one CPU each, all on the loopback.

Of the partitions `main` is the usual one, and what is sent to `urgent` has the jobs of the other one queued again. The
third node sees nothing in the folder `hidden`. A folder of its own holds all that is written.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch")
NODES = ("n1", "n2", "n3")
COMES_UP = 600.0
"""Seconds that anything may take: others may be at work on this machine."""

CONF = """
ClusterName=autopilot
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket,cred_expire=10
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool-%n
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd-%n.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdTimeout=120
MessageTimeout=60
ReturnToService=2
KillWait=5
SlurmdParameters=config_overrides
{nodes}
PartitionName=main Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes=ALL PriorityTier=9 PreemptMode=OFF
"""


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def _such(which: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, IndexError):  # it has ended
            if which(process):
                found.append(process)
    return found


class LocalSlurm:
    """The cluster, as long as it is entered."""

    def __init__(self) -> None:
        absent = [name for name in DAEMONS if shutil.which(name) is None]
        if absent or os.geteuid() != 0:
            why = (
                f"no {', '.join(absent)}: apt-get install slurmctld slurmd slurm-client munge" if absent else "not root"
            )
            pytest.skip(f"Slurm can't be started here ({why})")
        self.place = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.place.chmod(0o755)
        self.hidden, self.conf = self.place / "hidden", self.place / "slurm.conf"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._before = os.environ.get("SLURM_CONF")

    def __enter__(self) -> "LocalSlurm":
        for folder in (self.hidden, self.place / "state", *(self.place / f"spool-{node}" for node in NODES)):
            folder.mkdir()
        ports = _free_ports(1 + len(NODES))
        host = socket.gethostname()
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=4000 State=UNKNOWN"
            for node, port in zip(NODES, ports[1:], strict=True)
        )
        self.conf.write_text(CONF.format(host=host, ports=ports, place=self.place, nodes=nodes))
        os.environ["SLURM_CONF"] = str(self.conf)
        key = self.place / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        own = {"key-file": key, "socket": self.place / "munge.socket"}
        more = {f"{what}-file": self.place / f"munge.{what}" for what in ("pid", "log", "seed")}
        flags = [f"--{name}={path}" for name, path in {**own, **more}.items()]
        try:
            self._start("munged", "munged", "--foreground", "--force", *flags)
            self._start("slurmctld", "slurmctld", "-D")
            for node in NODES:
                self._start_node(node)
            deadline = time.monotonic() + COMES_UP
            while self.tell("sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o", "%N").split() != list(NODES):
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.2)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in reversed(self._daemons.values()):
            daemon.terminate()
        for daemon in self._daemons.values():
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in [*self.processes(), *self._keepers()]:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self._before is None:
            os.environ.pop("SLURM_CONF", None)
        else:
            os.environ["SLURM_CONF"] = self._before
        shutil.rmtree(self.place, ignore_errors=True)

    def _start(self, name: str, *command: str) -> None:
        with (self.place / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def recover(self, node: str) -> None:
        """Switch a node that was lost on again."""
        self._start_node(node)
        deadline = time.monotonic() + COMES_UP
        while node not in self.tell("sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o", "%N").split():
            assert time.monotonic() < deadline, self.log()
            self.tell("scontrol", "update", f"nodename={node}", "state=resume")
            time.sleep(0.2)

    def _start_node(self, node: str) -> None:
        blind = 'mount -t tmpfs none "$0" && exec slurmd -D -N "$1"'
        if node == "n3":
            self._start(node, "unshare", "--mount", "sh", "-c", blind, str(self.hidden), node)
        else:
            self._start(node, "slurmd", "-D", "-N", node)

    def lose(self, node: str) -> None:
        """Kill what Slurm has on a node: its daemon and its jobs' keepers, not what they have started.

        Slurm is told, as it would tell itself after SlurmdTimeout, and begins the jobs again.
        """
        self._daemons[node].kill()
        self._daemons.pop(node).wait()
        for process in self._keepers(node):
            process.kill()
        self.tell("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")

    def preempt(self, number: int) -> None:
        """Once so many jobs have been submitted, have one that runs make way for something urgent."""
        deadline = time.monotonic() + COMES_UP
        while "Restarts=1" not in self.tell("scontrol", "show", "jobs"):  # one that was about to end anyway is not
            assert time.monotonic() < deadline, self.log()
            rows = [line.split() for line in self.tell("squeue", "-h", "-t", "all", "-o", "%i %T %M %N").splitlines()]
            # One that has just begun: another may have said what came of it, and is begun again for nothing.
            running = [row[3] for row in rows if len(row) == 4 and row[1:3] == ["RUNNING", "0:00"]]
            if len(rows) >= number and running:
                where = f"--nodelist={running[-1]}"
                self.tell("sbatch", "-W", "-p", "urgent", where, "-o", "/dev/null", "-D", "/", "--wrap=true")
            time.sleep(0.1)

    def tell(self, *command: str) -> str:
        """Say something to Slurm, and its answer; empty where it does not answer yet."""
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def processes(self, node: str | None = None) -> list[psutil.Process]:
        """What runs of this cluster's jobs, on one node or on all."""

        def works(process: psutil.Process) -> bool:
            around = process.environ()
            there = node is None or around.get("SLURMD_NODENAME") == node
            return there and around.get("SLURM_CONF") == str(self.conf) and "SLURM_JOB_ID" in around

        return _such(works)

    def _keepers(self, node: str = "*") -> list[psutil.Process]:
        """What keeps watch over jobs on nodes: it has no environment, and writes into its node's log."""
        logs = {str(path) for path in self.place.glob(f"slurmd-{node}.log")}

        def keeps(process: psutil.Process) -> bool:
            return process.cmdline()[0].startswith("slurmstepd: ") and bool(
                logs & {file.path for file in process.open_files()}
            )

        return _such(keeps)

    def log(self) -> str:
        """The ends of the daemons' logs."""
        logs = sorted([*self.place.glob("*.log"), *self.place.glob("*.out"), *self.place.glob("munge.log")])
        return "\n".join(f"{one.name}: {one.read_text(errors='replace')[-1500:]}" for one in logs)
