"""The demos end to end, as a user runs them."""

import importlib.util
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from pydl import nn
from pydl.demos.activations import CURVES, OF_SEVERAL
from pydl.demos.digits import half_pixel_shifts
from pydl.demos.regress import PENALTIES, ridge
from pydl.training.progress import Line

MNIST = os.path.isdir(os.path.join(os.environ.get("PYDL_DATA", ""), "mnist"))
HIDE = "import sys\nfor name in {!r}: sys.modules[name] = None\nimport runpy\nsys.argv = ['pydl'] + {!r}\n" \
       "runpy.run_module('pydl', run_name='__main__')"


def demo(folder, *arguments, hide=(), environment=None):
    """Runs `pydl demo ...` in `folder`, as if the modules `hide` were not installed."""
    return subprocess.run([sys.executable, "-c", HIDE.format(tuple(hide), ["demo", *arguments])], cwd=folder,
                          capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_digits(tmp_path):
    done = demo(tmp_path, "digits", "--json", "--out", "made/here")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["demo"] == "digits" and result["seed"] == 0
    assert result["figures"]["test accuracy"]["value"] >= 98 and result["figures"]["test accuracy"]["unit"] == "%"
    assert result["figures"]["train seconds"]["value"] > 0 and result["figures"]["examples/s"]["value"] > 0
    assert "training" in done.stderr
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "made/here/digits.png").read_bytes().startswith(b"\x89PNG")
    else:
        assert "pydl-cpu[plots]" in result["notes"][0]


def test_digits_without_the_extras(tmp_path):
    done = demo(tmp_path, "digits", "--seed", "1", "--threads", "1", hide=["matplotlib", "matplotlib.figure", "tqdm", "tqdm.auto"])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert 'pip install "pydl-cpu[plots]"' in lines[0]
    assert re.fullmatch(r"test accuracy \d+\.\d\d %", lines[-3]) and float(lines[-3].split()[2]) >= 98
    assert re.fullmatch(r"train seconds \d+\.\d\d s", lines[-2])
    assert re.fullmatch(r"examples/s \d+", lines[-1])
    assert "training 100 %" in done.stderr
    assert not list(tmp_path.iterdir())


def test_digits_do_not_depend_on_the_threads(tmp_path):
    figures = [json.loads(demo(tmp_path, "digits", "--json", "--threads", threads, hide=["matplotlib"]).stdout)["figures"]
               for threads in "12"]
    assert figures[0]["test accuracy"] == figures[1]["test accuracy"]


def test_activations(tmp_path):
    done = demo(tmp_path, "activations", "--json", "--seed", "3", "--out", "made")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    errors = {name: figure for name, figure in result["figures"].items() if name.startswith("error of ")}
    assert len(errors) == result["figures"]["functions checked"]["value"] == 28
    assert all(figure["unit"] == "1e-12" and figure["value"] < 1000 for figure in errors.values())
    assert result["figures"]["largest error"]["value"] == max(figure["value"] for figure in errors.values()) > 0
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "made/activations.png").read_bytes().startswith(b"\x89PNG")


def test_activations_are_those_of_nn():
    """Every activation of torch.nn is in the picture or among those of several numbers."""
    shown = {curve.name.split()[0] for curve in CURVES} | set(OF_SEVERAL)
    classes = {name.lower() for name in dir(nn) if getattr(nn, name).__class__ is type and getattr(nn, name).__module__ == "pydl.nn.activations"}
    assert {name.replace("_", "") for name in shown} == classes - {"softmax2d"}


def test_activations_without_matplotlib(tmp_path):
    done = demo(tmp_path, "activations", hide=["matplotlib", "matplotlib.figure", "tqdm", "tqdm.auto"])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert 'pip install "pydl-cpu[plots]"' in lines[0] and lines[-2] == "functions checked 28"
    assert re.fullmatch(r"largest error \d+\.\d\d 1e-12", lines[-1]) and "checking 100 %" in done.stderr
    assert not list(tmp_path.iterdir())


def test_mnist_without_data(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "PYDL_DATA"}
    done = demo(tmp_path, "mnist", environment=environment)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "PYDL_DATA" in done.stderr and not done.stdout
    assert "--data" in done.stderr and "https://" in done.stderr
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\0")
    done = demo(tmp_path, "mnist", environment={**environment, "PYDL_DATA": str(tmp_path)})
    assert done.returncode == 1 and "train-images-idx3-ubyte" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(not MNIST, reason="no MNIST: set PYDL_DATA to the folder that holds mnist/")
def test_mnist(tmp_path):
    done = demo(tmp_path, "mnist", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["figures"]["test accuracy"]["value"] >= 98


def test_regress(tmp_path):
    pytest.importorskip("sklearn")
    done = demo(tmp_path, "regress", "--json", "--seed", "3")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    figures = {name: figure["value"] for name, figure in result["figures"].items()}
    assert figures["network R2"] >= figures["ridge regression R2"] - 0.02 and figures["ridge regression R2"] == 0.363
    assert figures["network error (RMSE)"] == pytest.approx(56.4, abs=1) and figures["cross-validated network R2"] > 0.5
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "regress.png").read_bytes().startswith(b"\x89PNG")


def test_regress_without_its_extra(tmp_path):
    done = demo(tmp_path, "regress", hide=["sklearn", "sklearn.datasets"])
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and not done.stdout
    assert 'pip install "pydl-cpu[sklearn]"' in done.stderr


def test_ridge_leaves_one_out():
    """The penalty is the one whose left-out errors, each from a fit of its own, are smallest."""
    stream = np.random.RandomState(0)
    x, y = stream.normal(size=(30, 4)) + 2, stream.normal(size=30) + 5
    y += 0.5 * x[:, 0]

    def fit(x, y, penalty):
        inputs, mean = x - x.mean(0), y.mean()
        weights = np.linalg.solve(inputs.T @ inputs + penalty * np.eye(4), inputs.T @ (y - mean))
        return lambda new: mean + (new - x.mean(0)) @ weights
    errors = [np.mean([(fit(np.delete(x, i, 0), np.delete(y, i), penalty)(x[i]) - y[i]) ** 2 for i in range(30)]) for penalty in PENALTIES]
    best = PENALTIES[int(np.argmin(errors))]
    assert PENALTIES[0] < best < PENALTIES[-1]
    new = stream.normal(size=(5, 4))
    np.testing.assert_allclose(ridge((x, y), new), fit(x, y, best)(new), rtol=1e-10)


def test_xor(tmp_path):
    done = demo(tmp_path, "xor", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    values = [figure["value"] for figure in result["figures"].values()]
    assert list(result["figures"]) == ["steps", "0 xor 0 =", "0 xor 1 =", "1 xor 0 =", "1 xor 1 ="] and 1 <= values[0] <= 200
    assert np.abs(np.array(values[1:]) - [0, 1, 1, 0]).max() <= 0.1
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "xor.png").read_bytes().startswith(b"\x89PNG")
    again = demo(tmp_path, "xor", "--json", "--seed", "7", "--threads", "1", "--out", "there", hide=["matplotlib", "matplotlib.figure"])
    assert again.returncode == 0 and "pydl-cpu[plots]" in json.loads(again.stdout)["notes"][0]


def test_half_pixel_shifts():
    image = np.zeros((1, 8, 8), np.float32)
    image[0, 0, 3] = 1
    moved = half_pixel_shifts(image)
    assert moved.shape == (5, 8, 8) and np.array_equal(moved[0], image[0])
    assert moved[1].sum() == 0.5 and moved[2][1, 3] == 0.5 and moved[3][0, 2] == 0.5 and moved[4][0, 4] == 0.5


def test_own_progress_line(capsys):
    line = Line("training", 4)
    line.update(2)
    line.show(line.start + 1)
    line.update(2)
    line.close()
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "training 50 %, 2 of 4, 1.0 s left" and shown[1].startswith("training 100 %, 4 of 4, 0.0 s left")
