"""Programs that run out of memory, in a process of their own: python tests/memorywork.py FOLDER PROGRAM.

Each is run with ever more address space, until it passes. Before that, every run must raise MemoryError and nothing else, leave
no tensor behind, and change nothing that it was given; afterwards the whole program gives the same bits as before.
"""
from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import pydl
from pydl import io, nn, optim

N = 1_000_000                   # numbers a tensor: each allocation is one of the system's
STEP = 2 << 20                  # bytes more each time; eight times that where many tensors are needed at once
F = nn.functional


def leaf(*shape: int, seed: int = 0) -> pydl.Tensor:
    return pydl.from_numpy(np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype(np.float32)).clone().requires_grad_(True)


def forward() -> tuple[list[pydl.Tensor], Callable[[], Any]]:
    x, w = leaf(1000, 1000), leaf(1000, 500, seed=1)
    return [x, w], lambda: F.log_softmax(F.gelu(x @ w).mul(2).t().contiguous(), 1).sum(0)


def backward() -> tuple[list[pydl.Tensor], Callable[[], Any]]:
    x, w = leaf(1000, 1000), leaf(1000, 500, seed=1)
    labels = pydl.arange(1000).remainder(500)

    def run() -> Any:
        loss = F.cross_entropy(F.relu(x @ w).exp().log(), labels) + x.square().mean()
        return pydl.autograd.grad(loss, [x, w])
    return [x, w], run


def accumulation() -> tuple[list[pydl.Tensor], Callable[[], Any]]:
    x = leaf(N)

    def run() -> Any:
        x.grad = None
        (x * x).sum().backward()
        (x.exp() * x).sum().backward()
        return x.grad
    return [x], run


def arranging() -> tuple[list[pydl.Tensor], Callable[[], Any]]:
    x, at = leaf(1000, 1000).detach(), pydl.arange(999, -1, -1)

    def run() -> Any:
        y = pydl.cat([x.sort(1)[0], x.cumsum(0), x.t()[at], x.topk(400)[0].repeat(1, 5)[:, :1000], x.flip(0)], 0)
        return y[y > 1.0], pydl.where(y > 1, y, 0.0).std(), y.double().gather(1, at.expand(5000, 1000)).nonzero()
    return [x], run


def in_place() -> tuple[list[pydl.Tensor], Callable[[], Any]]:
    x = leaf(N).detach()

    def run() -> Any:
        y = x.clone()
        y += 1
        y.mul_(x).exp_()
        y[::2] = x[::2]
        y.reshape(1000, 1000).t().copy_(y.reshape(1000, 1000))
        return y
    return [x], run


def numbers() -> tuple[list[pydl.Tensor], Callable[[], Any]]:
    x = leaf(N).detach()

    def run() -> Any:
        pydl.manual_seed(0)
        noise = pydl.randn(1000, 1000) + pydl.linspace(0, 1, 1000)
        return F.dropout(noise, 0.3).reshape(-1) + x, pydl.tensor(x.numpy()).double(), pydl.randperm(N)
    return [x], run


def training(kind: Callable[..., Any]) -> Callable[[], tuple[list[pydl.Tensor], Callable[[], Any]]]:
    """A step is all or nothing: where it fails, parameters and state are as they were."""

    def program() -> tuple[list[pydl.Tensor], Callable[[], Any]]:
        x, w = leaf(1000, 700), leaf(700, 700, seed=1)
        first = [p.detach().clone() for p in (x, w)]

        def run() -> Any:
            with pydl.no_grad():
                for p, was in zip((x, w), first):
                    p.copy_(was)
                    p.grad = None
            optimizer = kind([x, w])
            for _ in range(3):
                optimizer.zero_grad()
                (x @ w).square().mean().backward()
                before = [hash_of(p) for p in (x, w)]
                try:
                    optimizer.step()
                except MemoryError:
                    assert before == [hash_of(p) for p in (x, w)], "half a step"
                    raise
            return x.detach().clone(), w.detach().clone()
        return [], run
    return program


def loading(folder: str) -> Callable[[], tuple[list[pydl.Tensor], Callable[[], Any]]]:
    def program() -> tuple[list[pydl.Tensor], Callable[[], Any]]:
        model = nn.Sequential(nn.Linear(1000, 1000), nn.Linear(1000, 500))
        values = {name: leaf(*p.shape, seed=i).detach() for i, (name, p) in enumerate(model.named_parameters())}
        io.save_file(values, f"{folder}/w.safetensors")
        io.save_npz(values, f"{folder}/w.npz")

        def run() -> Any:
            loaded = io.load_file(f"{folder}/w.safetensors")
            again = io.load_npz(f"{folder}/w.npz")
            before = [hash_of(p) for p in model.parameters()]
            try:
                io.load_model(model, f"{folder}/w.safetensors")
            except MemoryError:
                assert before == [hash_of(p) for p in model.parameters()], "half a model"
                raise
            io.save_file(loaded, f"{folder}/copy.safetensors")
            return list(loaded.values()), list(again.values())
        return list(values.values()), run
    return program


def programs(folder: str) -> dict[str, Callable[[], tuple[list[pydl.Tensor], Callable[[], Any]]]]:
    steps = {"sgd": lambda ps: optim.SGD(ps, 0.1, momentum=0.9), "adam": lambda ps: optim.Adam(ps, amsgrad=True), "adamw": optim.AdamW}
    plain = (forward, backward, accumulation, arranging, in_place, numbers)
    return {one.__name__: one for one in plain} | {name: training(kind) for name, kind in steps.items()} | {"loading": loading(folder)}


def hash_of(values: Any) -> Any:
    if isinstance(values, (list, tuple)):
        return tuple(map(hash_of, values))
    return hash(memoryview(values.detach().contiguous().numpy()).tobytes())


def address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def main(folder: str, name: str) -> None:
    given, run = programs(folder)[name]()
    wanted, before = hash_of(run()), hash_of(given)
    gc.collect()
    pydl.empty_cache()
    allocated = pydl.memory_stats()["allocated"]
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    failures, room = 0, 0
    while True:
        resource.setrlimit(resource.RLIMIT_AS, (address_space() + room, hard))
        try:
            run()
        except MemoryError:
            failures += 1
        else:
            break
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        gc.collect()
        assert hash_of(given) == before, f"changed what it was given, {room} bytes before its need"
        kept = pydl.memory_stats()["allocated"] - allocated
        assert abs(kept) < (1 << 20) or name in ("accumulation", "sgd", "adam", "adamw"), f"{kept} bytes are left behind"
        room += STEP * (8 if name == "arranging" else 1)
    assert hash_of(run()) == wanted, "afterwards, the program gives other bits"
    print(name, failures, "failures")


if __name__ == "__main__":
    main(*sys.argv[1:])
