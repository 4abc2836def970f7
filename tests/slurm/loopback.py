"""A Slurm cluster of one node on this machine's loopback, and the recipe smoke on it.

    python tests/slurm/loopback.py [FOLDER]

As root on Debian, where `apt-get install slurm-wlm munge` and `pip install 'mtkd[lab,slurm]'` have
been done; nothing of the system's own set-up is read or changed. A job is cancelled, the node is
drained and resumed, and what comes out is compared with a run without Slurm byte by byte.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

import mtkd

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
PATIENCE = 1800.0  # seconds for anything to happen
CONF = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={ctld}
SlurmdPort={slurmd}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
SchedulerParameters=batch_sched_delay=1,sched_interval=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=loopback Nodes={host} Default=YES MaxTime=60 State=UP
"""
SHIPPED = Path(mtkd.__file__).parent / "app" / "slurm" / "config.yaml"
# Without accounting there is no sacct, by which the plugin would ask after jobs.
OURS: dict[str, Any] = {
    "default-resources": {"slurm_partition": "loopback", "runtime": 30},
    "set-resources": {"run": {"mem_mb": 2000, "gpu": 0}},
    "slurm-no-account": True,
    "slurm-status-command": "squeue",
    "slurm-init-seconds-before-status-checks": 2,
    "seconds-between-status-checks": 2,
}


def lacking() -> str:
    """Why Slurm cannot run here; empty where it can."""
    if os.geteuid() != 0:
        return "Slurm's daemons want to be started by root"
    if missing := [name for name in COMMANDS if shutil.which(name) is None]:
        return f"no {', '.join(missing)}; on Debian: apt-get install slurm-wlm munge"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "Snakemake's plugin is not installed: pip install 'mtkd[slurm]'"
    return ""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start the three daemons, all files in `folder`; gives the environment of their commands."""
    host, (ctld, slurmd) = socket.gethostname().partition(".")[0], free_ports(2)
    for name in ("state", "spool", "profile", "bin"):
        (folder / name).mkdir(parents=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 500
    told = {"host": host, "folder": folder, "ctld": ctld, "slurmd": slurmd, "memory": memory}
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(**told, cpus=os.cpu_count()))
    profile = yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) | OURS
    (folder / "profile" / "config.yaml").write_text(yaml.safe_dump(profile))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    # The plugin takes Slurm's variables from its jobs, which on a real cluster need none.
    wrapper = folder / "bin" / "srun"
    wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={conf} exec {shutil.which("srun")} "$@"\n')
    wrapper.chmod(0o755)
    search = f"{wrapper.parent}:{os.environ['PATH']}"
    environment = os.environ | {"SLURM_CONF": str(conf), "PATH": search}
    munged = ["munged", "--foreground", "--force", f"--key-file={key}"]
    munged += [f"--{name}-file={folder}/munged.{name}" for name in ("pid", "seed", "log")]
    munged += [f"--socket={folder}/munge.socket"]
    daemons = []
    try:
        for command in (munged, ["slurmctld", "-D"], ["slurmd", "-D", "-N", host]):
            with (folder / f"{command[0]}.out").open("w") as output:
                daemons.append(
                    subprocess.Popen(command, env=environment, stdout=output, stderr=output)
                )
            time.sleep(1)
        wait_for("an idle node", lambda: "idle" in ask(environment, "sinfo", "-ho", "%T"))
        yield environment | {"SLURM_NODE": host}
    finally:
        ask(environment, "scancel", "--user=root")
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                daemon.kill()


def ask(environment: Mapping[str, str], *command: str) -> str:
    """What one of Slurm's commands prints."""
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60
    ).stdout


def wait_for(what: str, happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.5)


@contextmanager
def reproduce(
    folder: Path, environment: Mapping[str, str], *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """`mtkd reproduce` of the recipe smoke into a folder, its output in a file beside it."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-P", "-m", "mtkd", "reproduce", "--recipe", "smoke", "--jobs", "2"]
    with (folder / "output").open("a") as output:
        process = subprocess.Popen(
            [*command, *options],
            env=environment | {"MTKD_RESULTS": str(folder)},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def differences(one: Path, two: Path) -> list[str]:
    """Tables, scores and predictions of smoke that are not the same bytes, or not in both."""
    found = []
    for pattern in ("smoke/tables/*", "smoke/scores.csv", "smoke/predictions/**/*.safetensors"):
        names = {path.relative_to(top) for top in (one, two) for path in top.glob(pattern)}
        assert names, pattern
        for name in sorted(names):
            files = [top / name for top in (one, two)]
            if not all(f.is_file() for f in files) or len({f.read_bytes() for f in files}) > 1:
                found.append(str(name))
    return found


def campaign(folder: Path, tell: Callable[[str], None] = print) -> list[str]:
    """The whole story; returns what differs from a run without Slurm."""
    began = time.monotonic()

    def told(what: str) -> None:
        tell(f"{time.monotonic() - began:6.0f} s: {what}")

    results = folder / "slurm"
    records = results / "smoke" / "runs"
    with cluster(folder) as environment:
        environment |= {"SNAKEMAKE_PROFILE": str(folder / "profile")}
        told("the cluster is up")
        with reproduce(results, environment, "--executor", "slurm") as first:
            jobs = ("squeue", "-ho", "%i", "--states=RUNNING")
            wait_for(
                "a job beside a finished run",
                lambda: (
                    first.poll() is not None
                    or (list(records.glob("*/record.json")) and ask(environment, *jobs))
                ),
            )
            victim = ask(environment, *jobs).split()[0]
            ask(environment, "scancel", victim)
            told(f"job {victim} is cancelled")
            status = first.wait(PATIENCE)
        kept = len(list(records.glob("*/record.json")))
        told(f"reproduce ended with status {status}, {kept} runs are done")
        assert status != 0 and kept, "a cancelled job is an error, and finished runs stay"
        said = (results / "output").read_text().splitlines()
        assert any(f"job '{victim}'" in line and "CANCELLED" in line for line in said), said

        node = ("scontrol", "update", f"nodename={environment['SLURM_NODE']}")
        ask(environment, *node, "state=drain", "reason=test")
        with reproduce(results, environment, "--executor", "slurm") as second:
            waiting = ("squeue", "-ho", "%i", "--states=PENDING")
            wait_for("jobs that wait for the node", lambda: ask(environment, *waiting))
            time.sleep(5)
            assert not ask(environment, *jobs), "a drained node starts no job"
            ask(environment, *node, "state=resume")
            told("the node was drained, a job waited, the node is resumed")
            status = second.wait(PATIENCE)
        told(f"reproduce ended with status {status}")
        assert status == 0, (results / "output").read_text()
    with reproduce(folder / "local", os.environ) as local:
        status = local.wait(PATIENCE)
    told(f"without Slurm: status {status}")
    assert status == 0, (folder / "local" / "output").read_text()
    return differences(results, folder / "local")


if __name__ == "__main__":
    if reason := lacking():
        sys.exit(reason)
    place = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="slurm-")).resolve()
    different = campaign(place)
    print(f"{place}: {len(different)} files differ from the run without Slurm", *different)
    sys.exit(bool(different))
