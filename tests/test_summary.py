"""pydl.summary: what it counts, and that the model is what it was."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pydl
from pydl import nn


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))


def test_rows_and_totals() -> None:
    found = pydl.summary(mlp(), (16, 8))
    assert [(row.name, row.kind, row.depth) for row in found.rows] == \
        [("", "Sequential", 0), ("0", "Linear", 1), ("1", "ReLU", 1), ("2", "Linear", 1)]
    assert [row.output_shape for row in found.rows] == [(16, 2), (16, 4), (16, 4), (16, 2)]
    assert [row.params for row in found.rows] == [46, 36, 0, 10]
    assert [row.macs for row in found.rows] == [16 * (32 + 8), 16 * 32, 0, 16 * 8]
    assert [row.flops for row in found.rows] == [2 * 16 * 40 + 64, 2 * 16 * 32, 64, 2 * 16 * 8]
    assert [row.output_bytes for row in found.rows] == [128, 256, 256, 128]
    assert (found.total_params, found.trainable_params, found.frozen_params, found.total_macs) == (46, 46, 0, 640)
    assert found.param_bytes == 4 * 46 and found.input_bytes == 4 * 16 * 8 and found.activation_bytes == 256 + 256 + 128
    assert found.total_bytes == found.param_bytes + found.input_bytes + found.activation_bytes


def test_convolutions() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, stride=2, groups=8), nn.ConvTranspose2d(8, 4, 4, 2, groups=2))
    found = pydl.summary(model, (2, 3, 9, 8))
    assert [row.macs for row in found.rows[1:]] == [2 * 8 * 72 * 27, 0, 2 * 8 * 12 * 9, 2 * 8 * 12 * 2 * 16]
    assert [row.params for row in found.rows[1:]] == [224, 16, 80, 260] and found.rows[-1].output_shape == (2, 4, 10, 8)


def test_the_table() -> None:
    text = str(pydl.summary(mlp(), (16, 8)))
    assert "0: Linear" in text and "(16, 4)" in text and "parameters 46: 46 trainable, 0 frozen" in text
    deep = nn.Sequential(nn.Sequential(nn.Sequential(nn.Linear(2, 2))))
    assert "Linear" not in str(pydl.summary(deep, (1, 2), depth=2)) and "Linear" in str(pydl.summary(deep, (1, 2), depth=None))
    assert len(pydl.summary(deep, (1, 2), depth=0).rows) == 4


def test_frozen_parameters() -> None:
    model = mlp()
    model[0].requires_grad_(False)
    found = pydl.summary(model, (1, 8))
    assert (found.trainable_params, found.frozen_params) == (10, 36) and "36 frozen" in str(found)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside, self.outside = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.outside.weight = self.inside.weight

    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        return self.outside(self.inside(x))


def test_shared_parameters_count_once() -> None:
    found = pydl.summary(nn.Sequential(Tied()), (2, 4))
    assert found.total_params == 16 and found.total_macs == 2 * 2 * 16
    assert [(row.name, row.params, row.shared_params) for row in found.rows] == \
        [("", 16, 0), ("0", 16, 0), ("0.inside", 16, 0), ("0.outside", 16, 16)]
    assert "* shared" in str(found)


class Odd(nn.Module):
    """Functional code, a module called twice, one not called, and outputs in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.never = nn.Linear(4, 4, bias=False), nn.Linear(100, 100)
        self.weight = nn.Parameter(pydl.ones(4, 3))

    def forward(self, x: pydl.Tensor, *, scale: pydl.Tensor | None = None) -> dict[str, Any]:
        y = self.twice(self.twice(x)) @ self.weight
        return {"y": y if scale is None else y * scale, "both": (x, [y])}


def test_functional_code_and_modules_called_twice() -> None:
    found = pydl.summary(Odd(), (5, 4))
    whole, twice, never = found.rows
    assert twice.calls == 2 and twice.macs == 2 * 5 * 16 and twice.output_bytes == 2 * 4 * 20
    assert whole.macs == twice.macs + 5 * 12
    assert whole.output_shape == {"y": (5, 3), "both": [(5, 4), [(5, 3)]]}
    assert never.calls == 0 and never.output_shape is None and never.params == 10100
    assert "(5, 4) x2" in str(found) and "{y: (5, 3), both: [(5, 4), [(5, 3)]]}" in str(found)


def test_kinds_of_inputs() -> None:
    model = Odd()
    x = pydl.ones(5, 4)
    for inputs in ((5, 4), [5, 4], [(5, 4)], x, [x], {"x": (5, 4)}, {"x": x, "scale": (3,)}):
        assert pydl.summary(model, inputs).rows[0].output_shape["y"] == (5, 3)
    nothing = pydl.summary(model)
    assert nothing.total_macs == 0 and nothing.rows[0].output_shape is None and nothing.total_params == 16 + 10100 + 12


class Looks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(pydl.ones(10, 3).double())
        self.seen: list[Any] = []

    def forward(self, *inputs: pydl.Tensor) -> pydl.Tensor:
        self.seen = [(x.dtype, tuple(x.shape)) for x in inputs]
        return self.weight[inputs[0]]


def test_types() -> None:
    model = Looks()
    pydl.summary(model, [(2, 5), (3,), ()], dtypes=[pydl.int64, pydl.float32, pydl.bool])
    assert model.seen == [(pydl.int64, (2, 5)), (pydl.float32, (3,)), (pydl.bool, ())]
    pydl.summary(model, (4,), dtypes=pydl.int32)
    assert model.seen == [(pydl.int32, (4,))]
    odd = Odd().double()
    assert pydl.summary(odd, (5, 4)).input_bytes == 8 * 20      # as the parameters


class Counts(nn.Module):
    """Changes its buffers whenever it runs, draws random numbers, and replaces a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", pydl.zeros(2))
        self.register_buffer("other", pydl.zeros(1))
        self.layer = nn.Linear(3, 3)

    def forward(self, x: pydl.Tensor, fail: bool = False) -> pydl.Tensor:
        self.count.add_(1)
        self.other = pydl.ones(1)
        y = self.layer(x) + pydl.rand(3)
        if x.shape[0] == 13:
            raise OverflowError("thirteen")
        assert not self.training and not pydl.is_grad_enabled()
        return y


@pytest.mark.parametrize("rows", [2, 13])
def test_everything_is_as_it_was(rows: int) -> None:
    model = Counts()
    model.layer.eval()
    seen = []
    handle = model.layer.register_forward_hook(lambda *args: seen.append(1))
    other = model.other
    pydl.manual_seed(3)
    expected = pydl.rand(4)
    pydl.manual_seed(3)
    if rows == 13:
        with pytest.raises(OverflowError, match="thirteen") as caught:
            pydl.summary(model, (rows, 3))
        assert "Counts" in caught.value.__notes__[0]
    else:
        pydl.summary(model, (rows, 3))
    assert pydl.equal(pydl.rand(4), expected)
    assert model.training and not model.layer.training and pydl.is_grad_enabled()
    assert model.count.tolist() == [0, 0] and model.other is other
    assert "_hooks" not in model.__dict__ and len(model.layer._hooks.of("forward")) == 1 and not model.layer._hooks.of("forward_pre")
    assert seen == [1]
    handle.remove()
    assert pydl._core.trace.count() == 0


def test_a_graph_that_waits_is_not_disturbed() -> None:
    model = nn.Sequential(nn.Linear(3, 3))
    model.register_buffer("scale", pydl.ones(3))
    x = pydl.ones(2, 3).requires_grad_()
    y = (model(x) * model.scale).sum()
    pydl.summary(model, (2, 3))
    y.backward()
    assert x.grad is not None and all(p.grad is not None for p in model.parameters())


def test_lazy_modules_stay_lazy() -> None:
    model = nn.Sequential(nn.LazyLinear(5), nn.ReLU())
    found = pydl.summary(model, (2, 7))
    assert found.rows[1].kind == "Linear" and found.total_params == 40 and found.total_macs == 2 * 35
    assert type(model[0]) is nn.LazyLinear and model[0].has_uninitialized_params()
    assert pydl.summary(model).total_params == 0


def test_dropout_does_not_drop() -> None:
    class Sees(nn.Module):
        def forward(self, x: pydl.Tensor) -> pydl.Tensor:
            assert np.all(x.numpy() == 1)
            return x

    pydl.summary(nn.Sequential(nn.Dropout(0.9), Sees()), pydl.ones(50, 3))


def test_inside_a_profile() -> None:
    with pydl.profile() as prof:
        pydl.ones(4, 4) @ pydl.ones(4, 4)
        assert pydl.summary(mlp(), (16, 8)).total_macs == 640
    assert sum(event.kernel == "gemm" for event in prof.events) == 3


@pytest.mark.parametrize(("arguments", "named", "error", "match"), [
    ((3, (1,)), {}, TypeError, "summary: model: expected a Module, got int"),
    ((mlp(), "x"), {}, TypeError, "summary: inputs: expected a shape, a Tensor, or a list or dict of them, got str"),
    ((mlp(), [(2, 8), "x"]), {}, TypeError, "expected a shape or a Tensor, got str"),
    ((mlp(), (-2, 8)), {}, ValueError, r"expected sizes of at least 0, got \(-2, 8\)"),
    ((mlp(), (2, 8)), {"dtypes": [pydl.float32] * 2}, ValueError, "dtypes: expected 1, one for each input, got 2"),
    ((mlp(), (2, 8)), {"dtypes": float}, TypeError, "dtypes: expected pydl dtypes, got type"),
    ((mlp(), (2, 8)), {"depth": -1}, ValueError, "depth: expected None or at least 0, got -1"),
    ((mlp(), (2, 9)), {}, ValueError, "linear"),
])
def test_refusals(arguments: tuple, named: dict, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        pydl.summary(*arguments, **named)


def test_a_module_that_catches_an_error_of_another() -> None:
    class Fails(nn.Module):
        def forward(self, x: pydl.Tensor) -> pydl.Tensor:
            raise OverflowError

    class Catches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fails, self.layer = Fails(), nn.Linear(3, 5)

        def forward(self, x: pydl.Tensor) -> pydl.Tensor:
            try:
                return self.fails(x)
            except OverflowError:
                return self.layer(x)

    found = pydl.summary(nn.Sequential(Catches(), nn.Linear(5, 2)), (4, 3))
    assert [(row.kind, row.output_shape, row.macs) for row in found.rows] == [
        ("Sequential", (4, 2), 100), ("Catches", (4, 5), 60), ("Fails", None, 0), ("Linear", (4, 5), 60), ("Linear", (4, 2), 40)]
