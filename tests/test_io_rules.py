"""Reading a file runs nothing, imports nothing and opens nothing else."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import pydl
from pydl import io, nn, optim

AUDITED = """
import json, sys
import pydl
from pydl import io, nn, optim
folder = sys.argv[1]
model = nn.Linear(2, 2)
optimizer = optim.Adam(model.parameters())

def everything():
    io.load_file(folder + "/m.safetensors")
    io.load_model(model, folder + "/m.safetensors")
    io.load_checkpoint(folder + "/c.safetensors", model=model, optimizer=optimizer)
    io.load_npz(folder + "/a.npz")
    for name, load in (("bad.safetensors", io.load_file), ("bad.npz", io.load_npz)):
        try:
            load(f"{folder}/{name}")
        except ValueError:
            pass
        else:
            raise SystemExit(name)

everything()                # the first time, Python itself imports codecs and the like
events = []
watching = True

def hook(event, args):
    if watching and event.split(".")[0] in ("import", "exec", "compile", "open", "subprocess", "os", "socket", "pickle", "ctypes", "marshal"):
        events.append((event, str(args[0])))

sys.addaudithook(hook)
everything()
watching = False
print(json.dumps(events))
"""


def test_loading_only_opens_the_file(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    optimizer = optim.Adam(model.parameters())
    model(pydl.ones(1, 2)).sum().backward()
    optimizer.step()
    io.save_model(model, tmp_path / "m.safetensors")
    io.save_checkpoint(tmp_path / "c.safetensors", model=model, optimizer=optimizer)
    io.save_npz({"x": pydl.ones(3)}, tmp_path / "a.npz")
    (tmp_path / "bad.safetensors").write_bytes((2).to_bytes(8, "little") + b"[]")
    np.savez(tmp_path / "bad.npz", x=np.array([print], dtype=object))
    done = subprocess.run([sys.executable, "-c", AUDITED, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True)
    events = json.loads(done.stdout)
    opened = {Path(name).name for event, name in events if event == "open"}
    assert opened == {"m.safetensors", "c.safetensors", "a.npz", "bad.safetensors", "bad.npz"}
    others = {tuple(event) for event in events if event[0] != "open"}
    assert all(event == "compile" for event, _ in others), others      # NumPy reads its own header by ast.literal_eval
