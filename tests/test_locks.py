"""Lock files of devices lie where nobody else can lay anything."""

import os
import threading
import time
from pathlib import Path

import pytest

from mtkd.common import locks
from mtkd.common.errors import MtkdError
from mtkd.common.locks import free_devices


def hold() -> str:
    with free_devices(["0"]) as device:
        return device


def test_a_device_is_shared_by_as_many_as_its_name_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    places = ["0", "1", "0"]
    with free_devices(places) as one, free_devices(places) as two, free_devices(places) as three:
        assert [one, two, three] == places


def test_a_run_of_several_processes_has_as_many_devices_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(locks, "WAIT", 0.02)
    found: list[str] = []

    def take_two() -> None:
        with free_devices(["0", "1", "0", "1"][:3], 2) as devices:
            found.append(devices)

    waiting = threading.Thread(target=take_two)
    with free_devices(["0", "1"]) as first, free_devices(["0", "1"]) as second:
        waiting.start()
        time.sleep(0.2)
        assert (first, second, found) == ("0", "1", [])  # one place is free, and two are needed
    waiting.join(20)
    assert found == ["0,1"]


def test_device_locks_are_refused_where_others_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hold() == "0"
    folder = tmp_path / ".cache" / "mtkd"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(MtkdError, match="others can write"):
        hold()
    folder.chmod(0o700)
    (lock,) = folder.iterdir()
    lock.unlink()
    lock.symlink_to(tmp_path / "victim")
    with pytest.raises(MtkdError, match="expected a lock file"):
        hold()
    assert not (tmp_path / "victim").exists()
    lock.unlink()
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MtkdError, match="a link"):
        hold()
    folder.unlink()
    (tmp_path / "elsewhere").rename(folder)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(MtkdError, match="folder of your own"):
        hold()
