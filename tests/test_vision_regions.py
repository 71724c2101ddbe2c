"""Regions of interest, anchors and codes, by hand; PyTorch has none of them. Values at random are in op_rows."""
from __future__ import annotations

import math

import numpy as np
import pytest

import pydl
from pydl import vision
from pydl.vision import ops
from pydl.vision.anchors import AnchorGenerator, BoxCoder, Matcher, point_grid

RAMP = np.arange(8.0)[:, None] * 10 + np.arange(8.0)        # f(y, x) = 10 y + x: interpolation is exact
NAN = math.nan


def ramp(**how):
    return pydl.tensor(RAMP[None, None], dtype=pydl.float64, **how)


def test_roi_align_of_a_plane_is_the_value_at_the_bins_centres() -> None:
    rois = pydl.tensor([[0.0, 1.0, 2.0, 5.0, 4.0]], dtype=pydl.float64)
    centres = np.array([[10 * y + x for x in (2, 4)] for y in (2.5, 3.5)])
    for ratio in (-1, 1, 2, 5):
        np.testing.assert_allclose(ops.roi_align(ramp(), rois, 2, sampling_ratio=ratio).numpy()[0, 0], centres)
        np.testing.assert_allclose(ops.roi_align(ramp(), rois, 2, sampling_ratio=ratio, aligned=True).numpy()[0, 0], centres - 5.5)
        np.testing.assert_allclose(ops.roi_align(ramp(), [rois[:, 1:] * 4], (2, 2), 0.25, ratio).numpy()[0, 0], centres)


def test_roi_align_at_the_border_and_beyond() -> None:
    ones = pydl.ones(1, 1, 4, 4)
    def at(*box, **how):
        return ops.roi_align(ones, pydl.tensor([[0.0, *box]]), 1, sampling_ratio=1, **how).item()
    assert at(-1.5, 0, -0.5, 1) == 1            # the sample at -1 is still the edge
    assert at(-1.75, 0, -0.75, 1) == 0          # beyond a pixel outside there is nothing
    assert at(3.5, 0, 4.5, 1) == 1 and at(3.75, 0, 4.75, 1) == 0
    assert at(1, 1, 1, 1) == 1                  # not aligned: a pixel at least
    assert ops.roi_align(ones, pydl.tensor([[0.0, 1, 1, 1, 1]]), 1, aligned=True).item() == 0     # aligned: nothing in it, no sample
    assert ops.roi_align(ones, pydl.tensor([[0.0, -1e30, -1e30, 1e30, 1e30]]), 1).item() < 1e-6


def test_roi_pool_by_hand() -> None:
    rois = pydl.tensor([[0.0, 1.0, 2.0, 4.4, 5.4]], dtype=pydl.float64)       # pixels 1 .. 4 and 2 .. 5
    x = ramp(requires_grad=True)
    y = ops.roi_pool(x, rois, 2)
    assert y[0, 0].tolist() == [[32, 34], [52, 54]]
    y.sum().backward()
    assert sorted(map(tuple, np.argwhere(x.grad.numpy()[0, 0]).tolist())) == [(3, 2), (3, 4), (5, 2), (5, 4)]
    outside = ops.roi_pool(x, pydl.tensor([[0.0, 20, 20, 25, 25]], dtype=pydl.float64), 2)
    assert outside.tolist() == [[[[0, 0], [0, 0]]]]
    grad, = pydl.autograd.grad(outside.sum(), x)
    assert grad.abs().sum().item() == 0
    bad = RAMP.copy()
    bad[3, 3] = NAN
    assert math.isnan(ops.roi_pool(pydl.tensor(bad[None, None]), rois, 1).item())


def test_ps_roi_align_reads_a_channel_for_every_bin() -> None:
    x = pydl.stack([pydl.full((8, 8), float(c)) for c in range(8)]).unsqueeze(0)
    y = ops.ps_roi_align(x, pydl.tensor([[0.0, 1, 1, 5, 5]]), 2)
    assert y.tolist() == [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]


@pytest.mark.parametrize(("row", "text"), [
    ([0, 3, 0, 1, 1], "expected x1 <= x2 and y1 <= y2"), ([0, 0, NAN, 1, 1], "expected finite numbers"), ([1, 0, 0, 1, 1], "expected the number of one of 1 images"),
    ([-1, 0, 0, 1, 1], "expected the number of one of 1 images"), ([0.5, 0, 0, 1, 1], "expected the number of one of 1 images")])
@pytest.mark.parametrize("name", ["roi_align", "roi_pool", "ps_roi_align"])
def test_bad_regions_are_named(name: str, row: list, text: str) -> None:
    rois = pydl.tensor([[0, 0, 0, 1, 1], row], dtype=pydl.float64)
    with pytest.raises(ValueError, match=rf"{name}: {text}.*boxes\[1\]"):
        getattr(ops, name)(ramp(), rois, 1)


def test_lists_of_regions() -> None:
    x = pydl.cat([ramp(), ramp() + 100])
    boxes = [pydl.zeros(0, 4), pydl.tensor([[1, 1, 3, 3]])]
    assert ops.roi_align(x, boxes, 1).item() == 122
    assert ops.roi_align(x, [pydl.zeros(0, 4)] * 2, 3).shape == (0, 1, 3, 3)
    assert ops.roi_align(x[:0], [], 3).shape == (0, 1, 3, 3)
    with pytest.raises(ValueError, match=r"roi_align: expected boxes\[1\] \(N, 4\)"):
        ops.roi_align(x, [pydl.zeros(0, 4), pydl.zeros(1, 5)], 1)


def test_layers() -> None:
    rois = pydl.tensor([[0.0, 1.0, 2.0, 5.0, 4.0]], dtype=pydl.float64)
    np.testing.assert_array_equal(ops.RoIAlign(2, 1.0, 2)(ramp(), rois).numpy(), ops.roi_align(ramp(), rois, 2, 1.0, 2).numpy())
    np.testing.assert_array_equal(ops.RoIPool((2, 1), 0.5)(ramp(), rois).numpy(), ops.roi_pool(ramp(), rois, (2, 1), 0.5).numpy())
    assert ops.PSRoIAlign(1, 1.0, 2)(ramp(), rois).shape == (1, 1, 1, 1)
    assert repr(ops.RoIAlign((7, 7), 0.25, 2, True)) == "RoIAlign(output_size=(7, 7), spatial_scale=0.25, sampling_ratio=2, aligned=True)"


def test_a_pyramid_gives_each_box_its_level() -> None:
    maps = {"fine": pydl.full((2, 1, 64, 64), 4.0), "coarse": pydl.full((2, 1, 32, 32), 8.0), "other": pydl.zeros(2, 1, 1, 1)}
    boxes = [pydl.tensor([[0.0, 0, 200, 200], [0, 0, 20, 20]]), pydl.tensor([[0.0, 0, 100, 150], [0, 0, 111, 111]])]
    layer = ops.MultiScaleRoIAlign(["fine", "coarse"], 2, 2)
    # strides 4 and 8, levels 2 and 3; 4 + log2(200 / 224) is 3 (the coarsest there is), 4 + log2(20 / 224) is 0 (2), 122: 3, 111: 2
    assert layer(maps, boxes, [(256, 256), (256, 200)]).mean((1, 2, 3)).tolist() == [8, 4, 8, 4]
    assert ops.MultiScaleRoIAlign(["coarse"], 2, 2)(maps, boxes, [(256, 256)] * 2).mean((1, 2, 3)).tolist() == [8, 8, 8, 8]
    with pytest.raises(ValueError, match="MultiScaleRoIAlign: expected levels"):
        layer({}, boxes, [(256, 256)])


# ---- Anchors and codes

def test_anchors_by_hand() -> None:
    anchors = AnchorGenerator(((4, 8), (16,)), ((1.0, 4.0),))
    assert anchors.num_anchors_per_location() == [4, 2]
    assert anchors.cell_anchors[0].tolist() == [[-2, -2, 2, 2], [-4, -4, 4, 4], [-1, -4, 1, 4], [-2, -8, 2, 8]]
    found = anchors((32, 24), [(4, 3), (2, 2)])
    assert found.shape == (4 * 3 * 4 + 2 * 2 * 2, 4)
    assert found[4].tolist() == [6, -2, 10, 2]                      # one stride of 8 to the right
    assert found[12].tolist() == [-2, 6, 2, 10]                     # a row of 3 positions later, 8 down
    assert found[-1].tolist() == [12 - 4, 16 - 16, 12 + 4, 16 + 16]
    for how in (((),), ((8,), (1.0,), (2.0,)), ((0,),)):
        with pytest.raises(ValueError, match="AnchorGenerator"):
            AnchorGenerator(how[:1] if len(how) < 3 else (how[0],) * 3, (how[1], how[2]) if len(how) == 3 else ((1.0,),))
    with pytest.raises(ValueError, match="grid_sizes"):
        anchors((32, 24), [(4, 3), (0, 2)])


def test_points_by_hand() -> None:
    assert point_grid((2, 3), 8).tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]]
    assert point_grid((1, 2), (4, 2), 0.0).tolist() == [[0, 0], [2, 0]]
    assert point_grid((0, 2), 8).shape == (0, 2)
    with pytest.raises(ValueError, match="point_grid"):
        point_grid((2, 2), 0)


def test_codes_and_back() -> None:
    coder = BoxCoder()
    anchors, boxes = pydl.tensor([[0.0, 0, 10, 20]]), pydl.tensor([[2.0, 0, 12, 40]])
    np.testing.assert_allclose(coder.encode(boxes, anchors).numpy(), [[2, 5, 0, 5 * math.log(2)]], atol=1e-6)
    rng = np.random.default_rng(0)
    a, b = (pydl.tensor(np.concatenate([x[:, :2], x[:, :2] + 0.5 + x[:, 2:]], 1)) for x in rng.random((2, 7, 4)))
    np.testing.assert_allclose(coder.decode(coder.encode(b, a), a).numpy(), b.numpy(), rtol=1e-12)
    far = coder.decode(pydl.tensor([[0.0, 0, 1e9, 1e9]]), anchors)
    np.testing.assert_allclose(far.numpy(), [[5 - 312.5, 10 - 625, 5 + 312.5, 10 + 625]], rtol=1e-5)
    with pytest.raises(ValueError, match="BoxCoder: expected anchors with sides above 0"):
        coder.encode(boxes, pydl.tensor([[0.0, 0, 0, 20]]))
    with pytest.raises(ValueError, match="BoxCoder: expected codes"):
        coder.decode(pydl.zeros(2, 5), anchors)
    with pytest.raises(ValueError, match="four weights"):
        BoxCoder((1.0, 1.0, 0.0, 1.0))
    with pytest.raises(TypeError, match="BoxCoder"):
        coder.encode([1.0], anchors)


def test_matcher() -> None:
    matcher = Matcher(0.7, 0.3, allow_low_quality_matches=True)
    truth, anchors = pydl.tensor([[0.0, 0, 10, 10]]), pydl.tensor([[0.0, 0, 10, 9], [0, 0, 10, 5], [0, 0, 1, 1], [50, 50, 60, 60]])
    assert matcher(ops.box_iou(truth, anchors)).tolist() == [0, Matcher.BETWEEN_THRESHOLDS, Matcher.BELOW_LOW_THRESHOLD, -1]
    with pytest.raises(ValueError, match="Matcher"):
        Matcher(0.3, 0.7)


def test_the_package_is_lazy() -> None:
    assert {"anchors", "ops"} <= set(dir(vision))
    with pytest.raises(AttributeError, match="pydl.vision"):
        vision.nothing      # noqa: B018
