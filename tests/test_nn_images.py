"""Layers that resize, pad and rearrange images, and what their ops promise beyond the rows; against PyTorch where it is installed (-m parity)."""
from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import nn
from pydl.nn import functional as F

rng = np.random.default_rng(0)

# layer -> shape in, shape out, repr
LAYERS = {
    "Upsample(scale_factor=2)": ((1, 2, 3), (1, 2, 6), "Upsample(scale_factor=2.0, mode='nearest')"),
    "Upsample(size=(4, 5), mode='bilinear')": ((1, 2, 3, 3), (1, 2, 4, 5), "Upsample(size=(4, 5), mode='bilinear')"),
    "UpsamplingNearest2d(scale_factor=(2, 1.5))": ((1, 2, 3, 2), (1, 2, 6, 3), "UpsamplingNearest2d(scale_factor=(2.0, 1.5), mode='nearest')"),
    "UpsamplingBilinear2d(size=6)": ((1, 2, 3, 2), (1, 2, 6, 6), "UpsamplingBilinear2d(size=6, mode='bilinear')"),
    "ConstantPad1d((1, 2), 0.5)": ((2, 3), (2, 6), "ConstantPad1d(padding=(1, 2), value=0.5)"),
    "ConstantPad2d(1, 2)": ((2, 3), (4, 5), "ConstantPad2d(padding=(1, 1, 1, 1), value=2)"),
    "ConstantPad3d(-1, 2.0)": ((1, 3, 3, 3), (1, 1, 1, 1), "ConstantPad3d(padding=(-1, -1, -1, -1, -1, -1), value=2.0)"),
    "ZeroPad1d(1)": ((2, 3), (2, 5), "ZeroPad1d((1, 1))"),
    "ZeroPad2d((1, 0, 2, 0))": ((2, 3), (4, 4), "ZeroPad2d((1, 0, 2, 0))"),
    "ZeroPad3d(1)": ((2, 3, 4), (4, 5, 6), "ZeroPad3d((1, 1, 1, 1, 1, 1))"),
    "ReflectionPad1d(2)": ((2, 3), (2, 7), "ReflectionPad1d((2, 2))"),
    "ReflectionPad2d(1)": ((1, 2, 2, 3), (1, 2, 4, 5), "ReflectionPad2d((1, 1, 1, 1))"),
    "ReflectionPad3d(1)": ((1, 2, 2, 3), (1, 4, 4, 5), "ReflectionPad3d((1, 1, 1, 1, 1, 1))"),
    "ReplicationPad1d(3)": ((2, 3), (2, 9), "ReplicationPad1d((3, 3))"),
    "ReplicationPad2d((0, 1, 0, 1))": ((2, 2, 3), (2, 3, 4), "ReplicationPad2d((0, 1, 0, 1))"),
    "ReplicationPad3d(1)": ((1, 2, 2, 3), (1, 4, 4, 5), "ReplicationPad3d((1, 1, 1, 1, 1, 1))"),
    "CircularPad1d(3)": ((2, 3), (2, 9), "CircularPad1d((3, 3))"),
    "CircularPad2d(1)": ((2, 2, 3), (2, 4, 5), "CircularPad2d((1, 1, 1, 1))"),
    "CircularPad3d(1)": ((1, 2, 2, 3), (1, 4, 4, 5), "CircularPad3d((1, 1, 1, 1, 1, 1))"),
    "PixelShuffle(2)": ((1, 8, 2, 3), (1, 2, 4, 6), "PixelShuffle(upscale_factor=2)"),
    "PixelUnshuffle(3)": ((2, 3, 6), (18, 1, 2), "PixelUnshuffle(downscale_factor=3)"),
    "ChannelShuffle(2)": ((1, 4, 3), (1, 4, 3), "ChannelShuffle(groups=2)"),
    "Unfold((2, 3))": ((1, 2, 4, 4), (1, 12, 6), "Unfold(kernel_size=(2, 3), dilation=1, padding=0, stride=1)"),
    "Fold(4, 2, stride=2)": ((1, 8, 4), (1, 2, 4, 4), "Fold(output_size=4, kernel_size=2, dilation=1, padding=0, stride=2)"),
}


@pytest.mark.parametrize("text", LAYERS)
def test_layers(text: str) -> None:
    shape, out, said = LAYERS[text]
    layer = eval(f"nn.{text}", {"nn": nn})
    x = pydl.tensor(rng.standard_normal(shape), requires_grad=True)
    assert layer(x).shape == out and repr(layer) == said and not layer.state_dict()
    assert pydl.testing.gradcheck(layer, (x,))


@pytest.mark.parametrize(("make", "shape"), [(lambda: nn.ReflectionPad2d((1, 2)), None), (lambda: nn.ZeroPad1d(1.5), None), (lambda: nn.CircularPad1d(1), (3,)),
                                             (lambda: nn.Upsample(), (1, 1, 3)), (lambda: nn.PixelShuffle(2), (1, 3, 2, 2))])
def test_refusals(make: Any, shape: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        make()(pydl.zeros(shape))


def test_a_value_that_no_tap_reaches_does_not_matter() -> None:
    """0 * inf never enters: the taps are those of the formula."""
    x = np.zeros((1, 1, 4, 5), np.float32)
    x[0, 0, 0, 0], x[0, 0, 3, 4] = np.inf, np.nan
    for mode in ("nearest", "nearest-exact", "area"):
        y = F.interpolate(pydl.tensor(x), scale_factor=2, mode=mode).numpy()
        assert np.isinf(y).sum() == 4 and np.isnan(y).sum() == 4
    y = F.interpolate(pydl.tensor(x), size=(4, 9), mode="bilinear").numpy()
    assert np.isfinite(y[0, 0, 1:3]).all()


def test_grids_of_no_numbers() -> None:
    x = pydl.tensor(np.arange(1, 13.0).reshape(1, 1, 3, 4), requires_grad=True)
    places = [(np.nan, 0), (0, np.nan), (np.inf, 0), (-np.inf, 0), (1e300, 0), (0, -np.inf)]
    grid = pydl.tensor(np.array(places).reshape(1, 1, -1, 2), requires_grad=True)
    for mode, outside in itertools.product(("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")):
        y = F.grid_sample(x, grid, mode, outside, False)
        y.sum().backward()
        if mode == "nearest" and outside == "zeros":
            assert not y.any()
        elif mode != "bicubic" and outside != "zeros":
            assert np.isfinite(y.detach().numpy()).all()
        else:
            assert np.isnan(y.detach().numpy()).sum() == 5
    np.testing.assert_array_equal(F.grid_sample(x, grid, "bilinear", "border", False).detach().numpy().ravel(), [5, 2.5, 8, 5, 8, 2.5])


def test_without_align_corners_there_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="align_corners"):
        grid = F.affine_grid(pydl.ones(1, 2, 3), (1, 1, 2, 2))
    with pytest.warns(UserWarning, match="align_corners"):
        F.grid_sample(pydl.ones(1, 1, 2, 2), grid)


def test_many_dimensions_and_axes_apart() -> None:
    x = rng.standard_normal((2, 1, 2, 1, 2, 1, 2)).astype(np.float32)
    pads = (1, 0) * 7
    np.testing.assert_array_equal(F.pad(pydl.tensor(x), pads, value=3).numpy(), np.pad(x, [(1, 0)] * 7, constant_values=3))


def test_shuffles_of_nothing() -> None:
    assert F.pixel_shuffle(pydl.zeros(0, 4, 3, 3), 2).shape == (0, 1, 6, 6) and F.pixel_unshuffle(pydl.zeros(0, 1, 2, 2), 2).shape == (0, 4, 1, 1)


@pytest.fixture(scope="module")
def torch() -> Any:
    module = pytest.importorskip("torch", reason="parity needs torch==2.13.0")
    if not module.__version__.startswith("2.13."):
        pytest.skip(f"parity is defined against PyTorch 2.13, this is {module.__version__}")
    return module


PAIRS = [(5, 9), (32, 64), (33, 100), (100, 33), (7, 7), (1, 5), (5, 1), (999, 777), (17, 1023), (2, 500), (18, 57)]
SCALES = [(5, 2.0), (7, 1.7), (33, 0.3), (100, 3.3), (31, 0.77), (999, 1.1), (5, 2.1), (9, 1.05)]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "linear", "bilinear", "bilinear smooth", "bicubic", "bicubic smooth", "lanczos smooth", "area"])
def test_taps_are_those_of_pytorch(torch: Any, mode: str, dtype: str) -> None:
    """To a few ulp of the values, whatever the sizes and scales; random values, so that a wrong neighbour shows."""
    name, smooth = mode.split()[0], "smooth" in mode
    for (n, how), align in itertools.product([*[(n, ("size", m)) for n, m in PAIRS], *[(n, ("scale", s)) for n, s in SCALES]], (False, True)):
        if align and (name.startswith("nearest") or name in ("area", "lanczos")):
            continue
        if smooth and how == ("size", 1):       # PyTorch takes an intermediate image of one column for one that is laid out otherwise
            continue
        plane = name in ("bilinear", "bicubic", "lanczos")
        x = rng.standard_normal((1, 2, 3, n) if plane else (1, 2, n)).astype(dtype)
        given = {"size": (2, how[1]) if plane else how[1]} if how[0] == "size" else {"scale_factor": (1.0, how[1]) if plane else how[1]}
        options = given | {"mode": name, "antialias": smooth} | ({} if name.startswith("nearest") or name == "area" else {"align_corners": align})
        want = torch.nn.functional.interpolate(torch.from_numpy(x), **options).numpy()
        got = F.interpolate(pydl.tensor(x), **options).numpy()
        assert got.shape == want.shape
        assert np.abs(got - want).max() <= 8 * np.finfo(dtype).eps * np.abs(x).max(), f"{mode} of {n} by {how}, align_corners {align}"


@pytest.mark.parity
def test_nearest_of_two_and_three_axes(torch: Any) -> None:
    for (n, s), mode, dims in itertools.product([*SCALES, (4, 2.2), (6, 1.1)], ("nearest", "nearest-exact"), (2, 3)):
        x = np.arange(float(n)).reshape((1,) * (dims + 1) + (n,)).repeat(2, 2)
        scales = (1.0,) * (dims - 1) + (s,)
        want = torch.nn.functional.interpolate(torch.from_numpy(x), scale_factor=scales, mode=mode).numpy()
        np.testing.assert_array_equal(F.interpolate(pydl.tensor(x), scale_factor=scales, mode=mode).numpy(), want)
        if dims == 2:
            whole = F.interpolate(pydl.tensor(x.astype(np.int64)), scale_factor=scales, mode=mode).numpy()
            np.testing.assert_array_equal(whole, want)


@pytest.mark.parity
def test_layers_are_those_of_pytorch(torch: Any) -> None:
    for text, (shape, _, said) in LAYERS.items():
        x = rng.standard_normal(shape)
        theirs = eval(f"nn.{text}", {"nn": torch.nn})
        np.testing.assert_allclose(eval(f"nn.{text}", {"nn": nn})(pydl.tensor(x)).numpy(), theirs(torch.from_numpy(x)).numpy(), atol=1e-12)
        assert repr(theirs) == said
