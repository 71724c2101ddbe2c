"""The calls whose instructions instructions.py counts; it runs main() under callgrind, which writes its counts down at every mark.

A call is prepared for n times, run n times between two marks, then prepared and run 2n times: the difference, divided by n,
is free of what a loop begins and ends with.
"""
from __future__ import annotations

import gc
import json
import operator
import os
import platform
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat, starmap
from typing import Any

import pydl
from measure import Thunk, shared
from pydl import nn
from pydl.nn import functional as F

case = shared("case")
mark = os.getppid       # nobody else calls it: callgrind is told to write at this function
LOOPS, WARM = 100, 200


@dataclass
class Call:
    name: str
    prepare: Callable[[int], Thunk]     # n -> what runs the call n times
    parts: int = 1                      # equal parts of a call, of which one is counted


def tensor(*shape: int, seed: int = 0, grad: bool = False) -> Any:
    return case.put(pydl, case.values(*shape, seed=seed)).requires_grad_(grad)


def repeated(f: Callable[..., Any], *arguments: Any) -> Callable[[int], Thunk]:
    """f(*arguments) again and again; the loop is in C and costs little."""
    def prepare(n: int) -> Thunk:
        return lambda: deque(starmap(f, repeat(arguments, n)), maxlen=0) and None

    return prepare


class Empty(nn.Module):
    def forward(self, x: Any) -> Any:
        return x


def backward_of_chain(n: int) -> Thunk:
    """n graphs of 20 additions each, which run() goes back through and frees."""
    x, c, g = tensor(8, 8, grad=True), tensor(8, 8, seed=1), tensor(8, 8, seed=2)
    graphs = []
    for _ in range(n):
        y = x
        for _ in range(20):
            y = y + c
        graphs.append(y)
    del y

    def run() -> None:
        while graphs:
            graphs.pop().backward(g)
            x.grad = None

    return run


def optimizer(kind: str, **settings: Any) -> Any:
    """Over six small parameters with gradients."""
    params = [tensor(16, 16, seed=i, grad=True) for i in range(6)]
    for i, p in enumerate(params):
        p.grad = tensor(16, 16, seed=i + 1)
    return getattr(pydl.optim, kind)(params, lr=1e-3, **settings)


CALLS = [
    Call("add 8x8, recorded", repeated(operator.add, tensor(8, 8, grad=True), tensor(8, 8, seed=1))),
    Call("add 8x8", repeated(operator.add, tensor(8, 8), tensor(8, 8, seed=1))),
    Call("Linear 16->16, one row, recorded", repeated(nn.Linear(16, 16), tensor(1, 16))),
    Call("module without hooks", repeated(Empty(), tensor(1))),
    Call("relu 8x8, recorded", repeated(pydl.relu, tensor(8, 8, grad=True))),
    Call("backward of 20 adds, a node", backward_of_chain, parts=20),
    Call("cross_entropy 64x10, recorded", repeated(F.cross_entropy, tensor(64, 10, grad=True), pydl.arange(64) % 10)),
    Call("SGD step, 6 parameters", repeated(optimizer("SGD", momentum=0.9).step)),
    Call("Adam step, 6 parameters", repeated(optimizer("Adam").step)),
    Call("zero_grad, 6 parameters", repeated(optimizer("SGD").zero_grad)),      # what it frees, it frees in the warm-up
    Call("XOR step, captured", repeated(case.captured_step("", case.xor, "SGD", 4, 2, 1).build(pydl))),
]


def main(only: str) -> None:
    """Prints a line a call: its name, and by what the difference of its two counts is to be divided."""
    print(json.dumps({"python": platform.python_version(), "machine": platform.machine(), "isa": pydl.current_isa()}))
    pydl.set_num_threads(1)
    gc.disable()
    for call in CALLS:
        if re.search(only, call.name):
            for n in (WARM, LOOPS, 2 * LOOPS):
                run = call.prepare(n)
                mark()
                run()
                mark()
                del run
            print(json.dumps([call.name, call.parts * LOOPS]), flush=True)
