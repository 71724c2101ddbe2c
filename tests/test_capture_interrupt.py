"""Ctrl-C while captured steps run: each is done wholly or not at all, and the next goes on from there."""
from __future__ import annotations

import _thread
import random
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

import pydl
from capturing import batches, training, twins
from training_runs import bits

HITS = 40


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def run_until_interrupted(call: Callable[[], object], seconds: float) -> None:
    timer = threading.Timer(seconds, _thread.interrupt_main)
    try:
        timer.start()
        while True:
            call()
    except KeyboardInterrupt:
        pass
    timer.join()


@pytest.mark.parametrize(("model", "optimizer"), [("dropout", "Adam"), ("batch norm", "RMSprop"), ("dropout", "SGD momentum")])
def test_replays(model: str, optimizer: str) -> None:
    """After every interrupt all is as after some step of the run without capture: parameters, buffers, state and random numbers.

    RMSprop's hyperparameters are read by Python code before each replay, where an interrupt may hit.
    """
    data, delays = batches(1)[0], random.Random(0)
    (one, opt, eager), (two, other, step) = twins(model, optimizer)
    captured, numbers = pydl.capture(step), pydl.get_rng_state()
    captured(*data)
    for _ in range(HITS):
        run_until_interrupted(lambda: captured(*data), delays.uniform(1e-4, 2e-3))
        after = bits(two, other)
        pydl.set_rng_state(numbers)
        catch_up(one, opt, after, lambda: eager(*data))
        numbers = pydl.get_rng_state()
    assert [len(plans) for plans in captured.plans.values()] == [1]
    found = captured(*data).item()
    pydl.set_rng_state(numbers)
    assert found == eager(*data).item() and bits(one, opt) == bits(two, other)


def catch_up(model: Any, optimizer: Any, after: str, step: Callable[[], object]) -> None:
    """Steps until everything is as it should be."""
    for _ in range(5000):
        if bits(model, optimizer) == after:
            return
        step()
    pytest.fail("this is the state after no whole number of steps")


def test_recordings() -> None:
    """The same where the call that is interrupted may be one that records."""
    data, delays = batches(1)[0], random.Random(1)
    (one, opt, eager), (two, other, step) = twins("mlp", "Adam")
    captured = pydl.capture(step)

    def call() -> None:
        captured.reset()
        captured(*data)

    for _ in range(HITS):
        run_until_interrupted(call, delays.uniform(1e-3, 8e-3))
        catch_up(one, opt, bits(two, other), lambda: eager(*data))
    for _ in range(3):
        assert captured(*data).item() == eager(*data).item()
    assert bits(one, opt) == bits(two, other)


def test_python_code_before_and_after_a_replay() -> None:
    """All that there is: what reads the hyperparameters, before anything has happened, and the type of the result, afterwards."""
    on: list[str] = []

    class Watched(pydl.optim.RMSprop):
        def layout(self, group: Any) -> Any:
            if "before" in on:
                raise KeyboardInterrupt
            return super().layout(group)

    class Pair(NamedTuple):
        loss: pydl.Tensor
        again: pydl.Tensor

    class Result(Pair):
        def __new__(cls, *values: Any) -> Any:
            if "after" in on:
                raise KeyboardInterrupt
            return super().__new__(cls, *values)

    data = batches(1)[0]
    (one, _, _), (two, _, _) = twins("batch norm", "SGD")
    opt, other = (Watched(model.parameters(), lr=0.01) for model in (one, two))
    eager, step = training(one, opt), training(two, other)
    captured = pydl.capture(lambda *given: Result(step(*given), given[0]))
    for _ in range(3):
        captured(*data)
        eager(*data)
    for where, steps in (("before", 0), ("after", 1)):
        on.append(where)
        with pytest.raises(KeyboardInterrupt):
            captured(*data)
        on.clear()
        for _ in range(steps):
            eager(*data)
        assert bits(one, opt) == bits(two, other), where
        assert captured(*data).loss.item() == eager(*data).item() and bits(one, opt) == bits(two, other)
    assert [len(plans) for plans in captured.plans.values()] == [1]
