"""Inference for ONNX Runtime: the network as PyTorch exports it, with pydl's weights.

ONNX Runtime gets what serves it best: all optimizations, threads that spin between runs, and session.run or run_with_iobinding
(memory bound once), whichever is faster.
"""
from __future__ import annotations

import importlib
import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from measure import Thunk, faster, shared

case = shared("case")


def graph_of(model_of: Callable[[Any], Any], weights: dict[str, Any], x: np.ndarray) -> bytes:
    """The network with these weights as an ONNX model, x -> y, with the shape of x."""
    import torch

    model = model_of(torch).eval()
    model.load_state_dict({name: torch.tensor(value.numpy()) for name, value in weights.items()})
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)     # the exporter that needs onnx alone
        torch.onnx.export(model, (torch.from_numpy(x),), file, dynamo=False, input_names=["x"], output_names=["y"])
    return file.getvalue()


def forward(model_of: Callable[[Any], Any], shape: tuple[int, ...]) -> Thunk:
    """The run of the network on case.values(*shape), with pydl's number of threads."""
    import onnxruntime as ort
    pydl = importlib.import_module("pydl")

    model, x = model_of(pydl).eval(), case.values(*shape)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = pydl.get_num_threads(), 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    session = ort.InferenceSession(graph_of(model_of, model.state_dict(), x), options, providers=["CPUExecutionProvider"])
    names, feed = ["y"], {"x": x}
    expected = model(pydl.from_numpy(x)).detach().numpy()
    result = np.zeros_like(expected)
    binding = session.io_binding()
    x_value, y_value = ort.OrtValue.ortvalue_from_numpy(x), ort.OrtValue.ortvalue_from_numpy(result)
    binding.bind_ortvalue_input("x", x_value)
    binding.bind_ortvalue_output("y", y_value)

    def bound() -> None:
        session.run_with_iobinding(binding)

    bound()
    for found in (session.run(names, feed)[0], y_value.numpy()):
        if not np.allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()):
            raise ValueError(f"ONNX Runtime computes something else: {found}, pydl {expected}")
    return faster({"session.run": lambda: session.run(names, feed), "io_binding": bound})
