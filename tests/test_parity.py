"""Every row against the same call in PyTorch, where PyTorch 2.13 is installed: pytest -m parity."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from calls import call, cotangents, differentiable, leaves, numpy, tensor
from op_table import TABLE
from rows import Row, apply, arrays_of, outputs

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def torch() -> Any:
    module = pytest.importorskip("torch", reason="parity needs torch==2.13.0")
    if not module.__version__.startswith("2.13."):
        pytest.skip(f"parity is defined against PyTorch 2.13, this is {module.__version__}")
    return module


def peer(row: Row, torch: Any) -> Callable[..., Any]:
    if callable(row.torch):
        return row.torch
    for place in (torch.nn.functional, torch):      # torch.kl_div and its like are other calls
        if row.torch is None and ":" not in row.name and hasattr(place, row.op):
            return getattr(place, row.op)
    pytest.skip("no such call in PyTorch")


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_value_and_gradient(row: Row, torch: Any) -> None:
    function = peer(row, torch)
    if row.ref is None:
        pytest.skip("random: no values to compare")
    for one in row.samples:
        arrays = arrays_of(row, one, row.dtypes[0])
        diff = differentiable(row, one) if row.diff is None or len(row.diff) else []
        xs = leaves([tensor(a) for a in arrays], diff)
        ours = call(row, one, xs)
        theirs_in = [torch.from_numpy(a.copy()).requires_grad_(i in diff) for i, a in enumerate(arrays)]
        theirs = outputs(apply(function, one, theirs_in))
        for a, b in zip(ours, theirs):
            np.testing.assert_allclose(numpy(a), b.detach().numpy(), rtol=1e-5, atol=1e-5, err_msg=f"{row.name}({one})")
        if not diff:
            continue
        vs = cotangents(ours)
        pairs = [(a, b, v) for a, b, v in zip(ours, theirs, vs) if v is not None]
        mine = pydl.autograd.grad([a for a, _, _ in pairs], [xs[i] for i in diff], [tensor(v) for _, _, v in pairs])
        other = torch.autograd.grad([b for _, b, _ in pairs], [theirs_in[i] for i in diff],
                                    [torch.from_numpy(v) for _, _, v in pairs])
        for i, a, b in zip(diff, mine, other):
            said = f"{row.name}({one}) gradient {i}"
            np.testing.assert_allclose(numpy(a), b.numpy(), rtol=1e-4, atol=1e-4, err_msg=said)
