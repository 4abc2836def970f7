"""Faults at random on the recipe `smoke`: nothing may be lost, and no number may change in silence.

    python benchmarks/faults.py --kills 100 --corruptions 1000 --seed 0

After one undisturbed run, processes of others are killed (-9) at random moments, their disk is
filled where a small one can be mounted, and files of finished and of interrupted folders are
damaged at random. Each time the same command continues, in the end to its end. Then scores, tables,
predictions and models must be, byte for byte, those of the undisturbed run: else the exit status is
1. Linux alone; about three minutes a hundred kills' worth of `smoke` on two cores.

What became of a fault: `healed`, made again by the same command; `named`, told in a line, and
healed once the file that it names was removed; `unread`, nothing rests on the file (a log say).
What must not be: `lost`, `altered`, `unexplained` (an error that names no damaged file, or a
call stack), `left` (processes that live on), `beside` (a second `reproduce` has run in the folder).
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from mtkd.common.errors import MtkdError
from mtkd.common.files import digest_of
from mtkd.data.digests import digest_once
from mtkd.experiments.plans import expand, upto
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.records import parse_record
from mtkd.experiments.stored import stored_model

KILLS = ("everything", "mtkd", "Snakemake", "fork server", "runner", "kernel")
FINE = ("healed", "named", "unread")
WRONG = ("lost", "altered", "unexplained", "left", "beside")
PATIENCE = 10.0  # seconds for processes to end after what they worked for
ROOM = 256 * 2**20  # bytes of the small disk, unless it is filled


class Folder:
    """A folder of results, and the command that continues it."""

    def __init__(self, place: Path, command: list[str]) -> None:
        self.place, self.command, self.output = place, command, place.with_suffix(".txt")
        self.process: subprocess.Popen[bytes] | None = None
        place.mkdir(exist_ok=True)

    @property
    def results(self) -> Path:
        return self.place / "smoke"

    @property
    def said(self) -> str:
        """What the command has printed."""
        return self.output.read_text(errors="replace")

    def start(self) -> subprocess.Popen[bytes]:
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                self.command,
                env=os.environ | {"MTKD_RESULTS": str(self.place)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self.process

    def run(self) -> int:
        return self.start().wait()

    def at_work(self) -> list[psutil.Process]:
        """All processes that work for the folder."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("MTKD_RESULTS") == str(self.place):
                    found.append(process)
        return found

    def victims(self, kind: str) -> list[psutil.Process]:
        """The processes of a kind that are there now."""
        if kind == "everything":
            return self.at_work()
        found = []
        for process in self.at_work():
            with suppress(psutil.Error):
                if kind == what_is(process, self.process):
                    found.append(process)
        return found

    def end_all(self) -> None:
        """Kill -9 all that works for the folder, what is begun in the meantime too."""
        while everything := self.at_work():
            for one in everything:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            if self.process:
                self.process.poll()

    def is_left(self) -> bool:
        """Whether processes live on, some seconds after the command has ended."""
        deadline = time.monotonic() + PATIENCE
        while self.at_work():
            if time.monotonic() > deadline:
                return True
            time.sleep(0.2)
        return False


def what_is(process: psutil.Process, head: subprocess.Popen[bytes] | None) -> str:
    """The kind of a process; a fork has its server's command line."""
    words = process.cmdline()
    if head and process.pid == head.pid:
        return "mtkd"
    if "snakemake" in words and "--snakefile" in words:
        return "Snakemake"
    if any(Path(file.path).name == "lock" for file in process.open_files()):
        return "runner"  # of the run whose lock it holds
    if any(one.status == psutil.CONN_LISTEN for one in process.net_connections("tcp")):
        return "kernel"
    if head and words and "import serve" in words[-1] and process.ppid() == head.pid:
        return "fork server"
    return "other"


class Campaign:
    """The faults so far, and what became of them."""

    def __init__(self, arguments: argparse.Namespace, work: Path) -> None:
        self.random, self.work = random.Random(arguments.seed), work
        self.told: dict[str, Counter[str]] = defaultdict(Counter)
        self.until, self.pause = arguments.until, arguments.pause
        python = [sys.executable, "-P", "-m", "mtkd.app.cli"]
        self.command = [*python, "reproduce", "--recipe", "smoke", "--jobs", str(arguments.jobs)]
        self.command += ["--until", self.until] if self.until else []
        sound = Folder(arguments.undisturbed or work / "sound", self.command)
        if sound.run():
            raise SystemExit(f"the undisturbed run has failed:\n{sound.said}")
        self.sound, self.expected = sound.results, self.digests(sound.results)

    def digests(self, results: Path) -> dict[str, str]:
        """Digests of all that must not change, by name."""
        runs = [run.run_id for run in upto(expand(load_recipe("smoke")), self.until)]
        patterns = [f"{kind}/{run}/**/*" for kind in ("predictions", "models") for run in runs]
        patterns += [] if self.until else ["scores.csv", "tables/*"]
        found = [path for pattern in patterns for path in results.glob(pattern) if path.is_file()]
        return {str(path.relative_to(results)): digest_of(path) for path in found}

    def differences(self, results: Path) -> dict[str, str]:
        """What is wrong with a finished folder: "lost" or "altered", by name."""
        found = self.digests(results)
        return {
            name: "altered" if name in found else "lost"
            for name in self.expected.keys() | found.keys()
            if found.get(name) != self.expected.get(name)
        }

    def tell(self, kind: str, outcome: str, why: str = "") -> None:
        self.told[kind][outcome] += 1
        if outcome in WRONG:
            print(f"{kind}: {outcome}: {why}", flush=True)

    # ------------------------------------------------------------------ kills and a full disk

    def kill(self, count: int) -> Path:
        """Kill `count` times, and fill the disk; returns an interrupted folder to go on from."""
        with small_disk(self.work / "killed") as mounted:
            folder, open_faults = Folder(self.work / "killed", self.command), list[str]()
            kinds = [*KILLS, *(["full disk"] if mounted else [])]
            interrupted = self.work / "interrupted"
            for number in range(count):
                if number % len(kinds) == 0:
                    self.random.shuffle(kinds)
                kind = kinds[number % len(kinds)]
                self.strike(folder, kind, open_faults)
                open_faults.append(kind)
                print(f"{number + 1} of {count}: {kind}", flush=True)
                if not folder.at_work() and list(folder.results.glob("runs/*/parts/*.json")):
                    shutil.rmtree(interrupted, ignore_errors=True)
                    shutil.copytree(folder.place, interrupted)
            self.finish(folder, open_faults)
            if not interrupted.is_dir():
                shutil.rmtree(folder.results, ignore_errors=True)
                process = folder.start()
                while not list(folder.results.glob("runs/*/parts/*.json")):
                    if process.poll() is not None:
                        raise SystemExit(f"no run was seen at work:\n{folder.said}")
                    time.sleep(0.05)
                folder.end_all()
                shutil.copytree(folder.place, interrupted)
        return interrupted

    def strike(self, folder: Folder, kind: str, open_faults: list[str]) -> None:
        """One fault at a random moment; what is finished or has stopped is begun again."""
        clean = False  # whether the command has met no other fault
        while True:
            if folder.process is None or folder.process.poll() is not None:
                self.look_back(folder, open_faults)
                folder.start()
                clean = True
            time.sleep(self.random.uniform(0, self.pause))
            if kind == "full disk":
                if folder.results.is_dir():
                    return self.fill(folder, clean)
            elif found := folder.victims(kind):
                break
        if kind == "everything":
            folder.end_all()
            return
        with suppress(psutil.NoSuchProcess):
            self.random.choice(found).kill()
        if kind == "mtkd":
            self.try_beside(folder)

    def look_back(self, folder: Folder, open_faults: list[str]) -> None:
        """After the command has ended: has it left anything, and was all as it must be?"""
        if folder.process is None:
            return
        latest = open_faults[-1] if open_faults else "none"
        if folder.process.returncode != -signal.SIGKILL and folder.is_left():
            self.tell(latest, "left", str(folder.at_work()))
            folder.end_all()
        if "Traceback" in folder.said:
            self.tell(latest, "unexplained", folder.said)
        if folder.process.returncode == 0:
            wrong = self.differences(folder.results)
            for kind in open_faults:
                self.tell(kind, next(iter(wrong.values()), "healed"), str(wrong))
            open_faults.clear()
            shutil.rmtree(folder.results)

    def finish(self, folder: Folder, open_faults: list[str]) -> None:
        """Let the last faults heal."""
        if folder.process and folder.process.wait() != 0:
            self.look_back(folder, open_faults)
            if folder.run():
                self.tell(open_faults[-1] if open_faults else "none", "unexplained", folder.said)
        self.look_back(folder, open_faults)

    def try_beside(self, folder: Folder) -> None:
        """While its processes live on without it, no second command may begin."""
        second, alive = Folder(folder.place, self.command), folder.at_work()
        second.output = folder.output.with_suffix(".second.txt")
        process = second.start()
        while (status := process.poll()) is None and "runs are done" not in second.said:
            time.sleep(0.1)
        if status is None and set(alive) & set(folder.at_work()):
            self.tell("mtkd", "beside", second.said)
        if status and "another `mtkd reproduce`" not in second.said:
            self.tell("mtkd", "unexplained", second.said)
        folder.end_all()

    def fill(self, folder: Folder, clean: bool) -> None:
        """Leave some kilobytes on the disk until the command ends; then there is room again."""
        used = shutil.disk_usage(folder.place).used
        resize(folder.place, used + self.random.randrange(2**12, 2**18))
        assert folder.process
        said = ("No space left on device", "of the disk are free")
        if folder.process.wait() and clean and not any(words in folder.said for words in said):
            self.tell("full disk", "unexplained", folder.said)
        resize(folder.place, ROOM)

    # ----------------------------------------------------------------------- damaged files

    def corrupt(self, base: Path, count: int) -> None:
        """Damage `count` files of a copy of a results folder at once, and go on."""
        folder = Folder(self.work / "damaged", self.command)
        shutil.rmtree(folder.place)
        shutil.copytree(base, folder.results)
        damaged = self.damage(folder.results, count)
        outcome: dict[str, str] = {}
        while folder.run():
            named = [name for name in damaged if name in folder.said and name not in outcome]
            if not named or "Traceback" in folder.said:
                for name in damaged.keys() - outcome.keys():
                    self.tell(kind_of(name), "unexplained", f"{name}: {folder.said}")
                return
            for name in named:  # as the line says
                outcome[name] = "named"
                (folder.results / name).unlink(missing_ok=True)
        wrong = self.differences(folder.results)
        for name, content in damaged.items():
            path = folder.results / name
            same = path.is_file() and path.read_bytes() == content
            if name in wrong and named_when_used(folder.results, name):
                del wrong[name]
                outcome[name] = "named"
            fine = outcome.get(name, "unread" if same else "healed")
            self.tell(kind_of(name), wrong.pop(name, fine), name)
        for name, what in wrong.items():
            self.tell(kind_of(name), what, f"{name}, after damage to {sorted(damaged)}")

    def damage(self, results: Path, count: int) -> dict[str, bytes]:
        """Damage files, every kind of file as often; returns what they hold now."""
        kinds = defaultdict(list)
        for path in sorted(results.rglob("*")):
            if path.is_file():
                kinds[kind_of(str(path.relative_to(results)))].append(path)
        damaged: dict[str, bytes] = {}
        while len(damaged) < count:
            same = kinds[self.random.choice(list(kinds))]
            path = self.random.choice(same)
            found, content = path.stat(), path.read_bytes()
            if (name := str(path.relative_to(results))) in damaged:
                continue
            path.write_bytes(damaged.setdefault(name, self.worse(content, same)))
            if self.random.random() < 0.5:  # a disk that rots changes no dates
                os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        return damaged

    def worse(self, content: bytes, others: list[Path]) -> bytes:
        """A file's content with some bytes flipped, cut short, emptied, or another file's."""
        how = self.random.choice(["flip", "cut", "empty", "replace"])
        if how == "replace" and (new := self.random.choice(others).read_bytes()) != content:
            return new
        if how == "empty" and content:
            return b""
        if how == "cut" and content:
            return content[: self.random.randrange(len(content))]
        new = bytearray(content or b"?")
        for place in self.random.sample(range(len(new)), min(len(new), self.random.randint(1, 8))):
            new[place] ^= self.random.randint(1, 255)
        return bytes(new)


def kind_of(name: str) -> str:
    """The kind of a file of a results folder."""
    first, *more = Path(name).parts
    if first != "runs":
        return first
    return more[1] if len(more) > 2 else more[-1]


def named_when_used(results: Path, name: str) -> bool:
    """Whether a model is refused when it is read: `reproduce` does not read those it has."""
    if kind_of(name) != "models":
        return False
    for remembered in (parse_record, digest_once):  # as a new process would find the files
        remembered.cache_clear()
    folder = Path(name).parent
    try:
        stored_model(results, folder.name)
    except MtkdError as error:
        return f"{folder}/" in str(error)  # of several damaged files it names the first
    return False


@contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """A disk of its own at `place`, where that is allowed here."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(place)]
    mounted = not (os.getuid() or subprocess.run(mount, capture_output=True).returncode)
    if not mounted:
        print("full disk: not tried, since nothing can be mounted here", flush=True)
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def resize(place: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)


def show(told: dict[str, Counter[str]]) -> None:
    """The table."""
    print(f"\n{'fault':<14}{'number':>7}" + "".join(f"{name:>12}" for name in FINE + WRONG))
    total = sum(told.values(), Counter())
    for kind, found in (*sorted(told.items()), ("all", total)):
        cells = "".join(f"{found[name]:>12}" for name in FINE + WRONG)
        print(f"{kind:<14}{sum(found.values()):>7}{cells}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--corruptions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--at-once", type=int, default=10, help="files damaged at a time")
    parser.add_argument("--pause", type=float, default=20, help="longest pause before a kill, s")
    parser.add_argument("--until", help="stop after a stage, so without tables; wants kills")
    parser.add_argument("--undisturbed", type=Path, help="MTKD_RESULTS of an undisturbed run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as work:
        campaign = Campaign(arguments, Path(work))
        # Files of other stages would be read by nobody.
        bases = [] if arguments.until else [campaign.sound, campaign.sound]
        if arguments.kills:
            bases.append(campaign.kill(arguments.kills) / "smoke")
        for number, first in enumerate(range(0, arguments.corruptions, arguments.at_once)):
            count = min(arguments.at_once, arguments.corruptions - first)
            campaign.corrupt(bases[number % len(bases)], count)
            print(f"{first + count} of {arguments.corruptions} files damaged", flush=True)
    show(campaign.told)
    return int(any(found[name] for found in campaign.told.values() for name in WRONG))


if __name__ == "__main__":
    sys.exit(main())
