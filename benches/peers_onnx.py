"""Inference of one example for ONNX Runtime: the network as a graph of Gemm and activation nodes, made here.

ONNX Runtime gets what serves it best: all optimizations, threads that spin between runs, and session.run or run_with_iobinding
(memory bound once), whichever is faster.
"""
from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from measure import Thunk, faster, shared

case = shared("case")
NODES = {"ReLU": "Relu", "Tanh": "Tanh"}


def graph_of(model: Any, inputs: int) -> bytes:
    """A Sequential of linear layers and activations as an ONNX model, x (1, inputs) -> y (1, outputs)."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, at, outputs = [], [], "x", inputs
    for i, layer in enumerate(model):
        after = "y" if i == len(model) - 1 else f"h{i}"
        kind = type(layer).__name__
        if kind == "Linear":
            outputs = layer.out_features
            weights += [numpy_helper.from_array(p.detach().numpy(), f"{name}{i}") for name, p in layer.named_parameters()]
            nodes.append(helper.make_node("Gemm", [at, f"weight{i}", f"bias{i}"], [after], transB=1))
        else:
            nodes.append(helper.make_node(NODES[kind], [at], [after]))
        at = after
    graph = helper.make_graph(nodes, "model", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, inputs])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, outputs])], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def forward(model_of: Callable[[Any], Any], inputs: int) -> Thunk:
    """The run of case.captured_forward(..., model_of, inputs), with pydl's number of threads."""
    import onnxruntime as ort
    pydl = importlib.import_module("pydl")

    model, x = model_of(pydl).eval(), case.values(1, inputs)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = pydl.get_num_threads(), 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    session = ort.InferenceSession(graph_of(model, inputs), options, providers=["CPUExecutionProvider"])
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
        if not np.allclose(found, expected, rtol=1e-4, atol=1e-5):
            raise ValueError(f"ONNX Runtime computes something else: {found}, pydl {expected}")
    return faster({"session.run": lambda: session.run(names, feed), "io_binding": bound})
