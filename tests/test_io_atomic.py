"""Saving is all or nothing: whatever fails, and whenever the process is killed, a whole file is there, the old or the new one."""
from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pydl
from pydl import io, nn

SAVERS: dict[str, tuple[Callable[[Path, float], None], Callable[[Path], float]]] = {
    "save_file": (lambda path, v: io.save_file({"x": pydl.full((20_000,), v), "y": pydl.full((3,), v)}, path),
                  lambda path: value_of(io.load_file(path))),
    "save_npz": (lambda path, v: io.save_npz({"x": pydl.full((20_000,), v), "y": pydl.full((3,), v)}, path),
                 lambda path: value_of(io.load_npz(path))),
    "save_model": (lambda path, v: io.save_model(constant(v), path), lambda path: value_of(io.load_file(path))),
    "save_checkpoint": (lambda path, v: io.save_checkpoint(path, model=constant(v), extra=v),
                        lambda path: value_of({k: x for k, x in io.load_file(path).items() if k != "random.default"})),
}


def constant(value: float) -> nn.Module:
    model = nn.Linear(100, 200)
    for p in model.parameters():
        nn.init.constant_(p, value)
    return model


def value_of(tensors: dict[str, pydl.Tensor]) -> float:
    """The one value that all of them hold: a file of two saves at once would have two."""
    found = {x for tensor in tensors.values() for x in set(tensor.flatten().tolist())}
    assert len(found) == 1 and tensors, found
    return found.pop()


class Failing:
    """Lets calls through until the count is used up, then fails like a full disk."""

    def __init__(self, count: int) -> None:
        self.left = count

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*args, **named)
        return wrapped


@pytest.mark.parametrize("saver", SAVERS)
def test_every_system_call_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saver: str) -> None:
    """open, chmod, fsync, rename, fsync of the folder: one after the other."""
    save, load = SAVERS[saver]
    path = tmp_path / "f"
    save(path, 1.0)
    failures = 0
    for count in range(100):
        with monkeypatch.context() as patch:
            failing = Failing(count)
            for name in ("open", "fchmod", "fsync", "replace"):
                patch.setattr(os, name, failing.wrap(getattr(os, name)))
            try:
                save(path, 2.0)
            except OSError as error:
                assert error.errno == errno.ENOSPC
                failures += 1
            else:
                break
        # After the rename the new file stands, even if the folder could not be synced.
        assert load(path) == (1.0 if count < 4 else 2.0)
        assert os.listdir(tmp_path) == ["f"], "a temporary file was left"
    assert failures == 6 and load(path) == 2.0          # open, chmod, fsync, rename; open and fsync of the folder


FULL_DISK = """
import os, resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import test_io_atomic as t
save, load = t.SAVERS[sys.argv[1]]
path = Path(sys.argv[2])
save(path, 1.0)
size = path.stat().st_size
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
limits = sorted({*range(0, 1200, 7), *range(0, size, size // 40), size - 1})
for limit in limits:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        save(path, 2.0)
    except OSError:
        pass
    else:
        raise SystemExit(f"saved {size} bytes where {limit} are allowed")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load(path) == 1.0 and os.listdir(path.parent) == [path.name], limit
save(path, 2.0)
assert load(path) == 2.0
print(len(limits))
"""


@pytest.mark.parametrize("saver", SAVERS)
def test_a_disk_that_is_full_after_any_number_of_bytes(tmp_path: Path, saver: str) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, saver, str(tmp_path / "f"), str(Path(__file__).parent)],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and int(done.stdout) > 200, done.stderr + done.stdout


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import test_io_atomic as t
save, _ = t.SAVERS[sys.argv[1]]
save(Path(sys.argv[2]), 0.0)
print("ready", flush=True)
for i in range(1, 1 << 24):
    save(Path(sys.argv[2]), float(i))
"""


@pytest.mark.parametrize("saver", ["save_file", "save_checkpoint"])
def test_a_process_that_is_killed_leaves_a_whole_file(tmp_path: Path, saver: str) -> None:
    _, load = SAVERS[saver]
    path = tmp_path / "f"
    last = -1.0
    rng = random.Random(0)
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", KILLED, saver, str(path), str(Path(__file__).parent)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None and child.stdout.readline() == b"ready\n"
            for _ in range(20):                         # it is whole while it is being replaced, too
                assert load(path) >= 0
            time.sleep(rng.uniform(0, 0.02))
            child.send_signal(signal.SIGKILL)
        last = max(last, load(path))
    assert last > 1, "no child got as far as a second save"


def test_ctrl_c_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    io.save_file({"x": pydl.ones(3)}, path)

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        io.save_file({"x": pydl.zeros(3)}, path)
    monkeypatch.undo()
    assert io.load_file(path)["x"].tolist() == [1, 1, 1] and os.listdir(tmp_path) == ["f"]


def test_the_data_is_synced_before_the_name_and_the_folder_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut must not find the new name on old or missing data."""
    events: list[str] = []
    sizes: list[int] = []
    sync, rename = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        events.append("fsync " + os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))[:6])
        sizes.append(os.fstat(descriptor).st_size)
        sync(descriptor)

    def replace(source: str, target: str) -> None:
        assert os.path.dirname(source) == os.path.dirname(target), "rename is atomic within a file system only"
        events.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    io.save_file({"x": pydl.ones(20_000), "y": pydl.ones(3)}, tmp_path / "f")
    assert sizes[0] == (tmp_path / "f").stat().st_size, "synced before all of it was written"
    assert events == ["fsync .pydl-", "rename", f"fsync {tmp_path.name[:6]}"]


def test_saving_over_the_file_that_the_tensors_came_from(tmp_path: Path) -> None:
    """Nothing is mapped: what was loaded does not hang on the file."""
    path = tmp_path / "f"
    io.save_file({"x": pydl.ones(50_000)}, path)
    loaded = io.load_file(path)
    io.save_file({"x": loaded["x"] + 1}, path)
    os.truncate(path, 10)
    assert value_of(loaded) == 1
