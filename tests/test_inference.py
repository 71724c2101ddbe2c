"""InferenceSession: names, arrays, turns of threads, what it refuses."""
from __future__ import annotations

import threading

import numpy as np
import pytest

import pydl
from pydl import nn


def model() -> nn.Module:
    pydl.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 2)).eval()


def rows(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, left: pydl.Tensor, right: pydl.Tensor | None = None) -> dict[str, pydl.Tensor]:
        return {"sum": self.a(left) + (0 if right is None else self.b(right)), "left": left}


@pytest.mark.parametrize("n", [1, 4, 4, 100])
def test_gives_what_the_model_gives(n: int) -> None:
    net = model()
    session = pydl.InferenceSession(net)
    for seed in range(3):
        x = rows(n, seed)
        (y,) = session.run(None, {"input": x})
        np.testing.assert_array_equal(y, net(pydl.tensor(x)).detach().numpy())
        assert y.flags.owndata and y.flags.writeable
    assert [one.name for one in session.get_inputs()] == ["input"] and [one.name for one in session.get_outputs()] == ["output_0"]


def test_outputs_are_the_callers() -> None:
    session = pydl.InferenceSession(model())
    (first,) = session.run(None, {"input": rows(4)})
    kept = first.copy()
    session.run(None, {"input": rows(4, 1)})
    np.testing.assert_array_equal(first, kept)


def test_names_of_inputs_and_outputs() -> None:
    net = Two().eval()
    session = pydl.InferenceSession(net)
    x, y = rows(5), rows(5, 1)
    left, total = session.run(["left", "sum"], {"right": y, "left": x})
    np.testing.assert_array_equal(left, x)
    np.testing.assert_array_equal(total, (net.a(pydl.tensor(x)) + net.b(pydl.tensor(y))).detach().numpy())
    (alone,) = session.run(["sum"], {"left": pydl.tensor(x)})
    np.testing.assert_array_equal(alone, net.a(pydl.tensor(x)).detach().numpy())
    assert [one.name for one in session.get_outputs()] == ["sum", "left"]


def test_weights_are_read_where_they_are() -> None:
    net = model()
    session, x = pydl.InferenceSession(net), rows(4)
    session.run(None, {"input": x})
    with pydl.no_grad():
        net[0].weight.mul_(-1)
    (y,) = session.run(None, {"input": x})
    np.testing.assert_array_equal(y, net(pydl.tensor(x)).detach().numpy())


def test_arrays_of_any_layout() -> None:
    net = model()
    session = pydl.InferenceSession(net)
    x = rows(6)
    fixed = x.copy()
    fixed.flags.writeable = False
    for one in (x[::2], np.asfortranarray(x), x[:, ::-1][:, ::-1], fixed):
        (y,) = session.run(None, {"input": one})
        np.testing.assert_array_equal(y, net(pydl.tensor(np.ascontiguousarray(one))).detach().numpy())


def test_threads_take_turns() -> None:
    net = model()
    session, wrong = pydl.InferenceSession(net), []
    expected = {seed: net(pydl.tensor(rows(4, seed))).detach().numpy() for seed in range(4)}

    def work(seed: int) -> None:
        for _ in range(200):
            (y,) = session.run(None, {"input": rows(4, seed)})
            if not np.array_equal(y, expected[seed]):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_refusals() -> None:
    with pytest.raises(TypeError, match="expected a Module or a function, got int"):
        pydl.InferenceSession(3)    # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"call model.eval\(\) first"):
        pydl.InferenceSession(model().train())
    with pytest.raises(TypeError, match="without"):
        pydl.InferenceSession(lambda *xs: xs[0])
    session, x = pydl.InferenceSession(Two().eval()), rows(2)
    for feed, match in (({}, "expected the inputs left, right, got none"), ({"x": x}, "got 'x'"), ({"right": x}, "expected the inputs")):
        with pytest.raises(ValueError, match=match):
            session.run(None, feed)
    with pytest.raises(TypeError, match="input 'left': expected an array or a Tensor, got list"):
        session.run(None, {"left": [1.0]})
    with pytest.raises(ValueError, match="there is no output 'y'; there are sum, left"):
        session.run(["y"], {"left": x})
    with pytest.raises(TypeError, match="output 'output_0': expected a Tensor, got float"):
        pydl.InferenceSession(lambda x: 1.0).run(None, {"x": x})
    with pytest.raises(ValueError, match=r"got \(2, 2\) and \(2, 3\)"):
        session.run(None, {"left": rows(2)[:, :2]})
