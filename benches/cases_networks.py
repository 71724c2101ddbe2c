"""Whole convolutional networks: training steps, and inference against PyTorch and ONNX Runtime.

"(best peer)" is PyTorch's best setting: channels_last and fused optimizers in training; in inference, whichever is faster of the
frozen and optimised TorchScript module and the module itself, in both layouts.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import peers_onnx
from cases import Thunk, add, functional, is_torch, put, values
from measure import faster
from networks import lenet, resnet18, resnet20, vgg

Network = Callable[[Any], Any]


def training_step(network: Network, shape: tuple[int, ...], best: bool, captured: bool) -> Callable[[Any], Thunk]:
    """zero_grad, forward, cross-entropy, backward and a step of SGD with momentum."""
    def build(library: Any) -> Thunk:
        library.manual_seed(0)
        model, torch = network(library), is_torch(library)
        x, t = put(library, values(*shape)), put(library, np.random.default_rng(0).integers(0, 10, shape[0]))
        if best and torch:
            model, x = model.to(memory_format=library.channels_last), x.contiguous(memory_format=library.channels_last)
        more = {"fused": True} if best and torch else {}
        optimizer = library.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, **more)
        loss = functional(library).cross_entropy

        def step() -> None:
            optimizer.zero_grad()
            loss(model(x), t).backward()
            optimizer.step()

        return library.capture(step) if captured and not torch else step

    return build


def torch_ways(torch: Any, model: Any, x: Any) -> dict[str, Thunk]:
    """The module and the frozen TorchScript module, in both layouts."""
    def run(f: Any, image: Any) -> Thunk:
        def thunk() -> None:
            with torch.inference_mode():
                f(image)

        return thunk

    ways = {}
    for layout in ("contiguous_format", "channels_last"):
        image = x.contiguous(memory_format=getattr(torch, layout))
        module = model.to(memory_format=getattr(torch, layout))
        script = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(module, image)))
        ways |= {layout: run(module, image), f"frozen {layout}": run(script, image)}
        for _ in range(3):
            ways[f"frozen {layout}"]()
    return ways


def inference(network: Network, shape: tuple[int, ...], best: bool) -> Callable[[Any], Thunk]:
    """Without gradients; pydl's batch norms are folded and its forward is captured."""
    def build(library: Any) -> Thunk:
        library.manual_seed(0)
        model, x = network(library).eval(), put(library, values(*shape))
        if is_torch(library):
            ways = torch_ways(library, model, x)
            return faster(ways) if best else ways["contiguous_format"]
        run = library.capture(library.nn.utils.fuse(model, x).forward)

        def captured() -> None:
            run(x)

        return captured

    return build


def step_case(name: str, network: Network, shape: tuple[int, ...], bar: float, captured: bool) -> None:
    how = ", captured" if captured else ""
    add(f"{name} step batch {shape[0]}{how}", training_step(network, shape, False, captured), bar)
    add(f"{name} step batch {shape[0]}{how} (best peer)", training_step(network, shape, True, captured), 1.0)


def inference_case(name: str, network: Network, shape: tuple[int, ...], onnxruntime: float) -> None:
    size = "x".join(map(str, shape[2:]))
    add(f"{name} {size} inference batch {shape[0]}, captured", inference(network, shape, False), 2.0, bars={"onnxruntime": onnxruntime},
        onnxruntime=lambda: peers_onnx.forward(network, shape))
    add(f"{name} {size} inference batch {shape[0]}, captured (best peer)", inference(network, shape, True), 1.0)


for captured in (False, True):
    step_case("LeNet", lenet, (64, 1, 28, 28), 2.5 if captured else 1.0, captured)
    step_case("VGG-11", vgg, (64, 3, 32, 32), 1.6, captured)
    step_case("ResNet-20", resnet20, (32, 3, 32, 32), 1.6, captured)
inference_case("LeNet", lenet, (1, 1, 28, 28), 1.5)
inference_case("ResNet-20", resnet20, (1, 3, 32, 32), 1.0)
inference_case("ResNet-20", resnet20, (64, 3, 32, 32), 1.0)
inference_case("ResNet-18", resnet18, (1, 3, 224, 224), 1.0)
