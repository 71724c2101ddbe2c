"""Captured functions: what cannot be replayed is refused, and nothing is left behind; threads and forks."""
from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from capturing import MODELS, assert_same, batches, run_both, twins
from pydl import CaptureError, capture, nn


def test_what_is_gone_or_kept_elsewhere_is_refused() -> None:
    state = {"h": pydl.ones(1000)}

    def replaces(x: pydl.Tensor) -> pydl.Tensor:
        state["h"] = state["h"] * 2 + x
        other = x * 5
        return state["h"] + other

    with pytest.raises(CaptureError, match="gone after the call"):
        capture(replaces)(pydl.ones(1000))
    kept: list[pydl.Tensor] = []

    def keeps(x: pydl.Tensor) -> pydl.Tensor:
        kept.append(x * 2)
        return x

    with pytest.raises(CaptureError, match="kept by somebody else"):
        capture(keeps)(pydl.ones(3))
    weight = pydl.ones(3)
    changes = capture(lambda x: weight.add_(1) + x)
    with pytest.raises(CaptureError, match="also a tensor that the function closes over"):
        changes(weight)

    def borrows(x: pydl.Tensor) -> pydl.Tensor:
        total = pydl.from_numpy(np.zeros(2, "f"))
        total += x
        return total * 1

    with pytest.raises(CaptureError, match="borrows from NumPy"):
        capture(borrows)(pydl.ones(2))


def test_hyperparameters_that_change_inside() -> None:
    (_, opt, eager), _ = twins("mlp", "SGD")
    schedule = pydl.optim.lr_scheduler.ExponentialLR(opt, 0.5)

    def step(x: pydl.Tensor, t: pydl.Tensor) -> pydl.Tensor:
        loss = eager(x, t)
        schedule.step()
        return loss

    with pytest.raises(CaptureError, match="outside of it"):
        capture(step)(*batches(1)[0])


def test_work_of_another_thread_is_refused() -> None:
    from concurrent.futures import ThreadPoolExecutor
    w = pydl.ones(2)
    with ThreadPoolExecutor(1) as pool, pytest.raises(CaptureError, match="another thread"):
        capture(lambda x: pool.submit(lambda: x * w).result())(pydl.ones(2))


REFUSED: list[tuple[Callable[[pydl.Tensor], Any], str]] = [
    (lambda x: x * x.sum().item(), "item"),
    (lambda x: x if x.sum() > 0 else -x, "item"),
    (lambda x: x * float(x[0]), "item"),
    (lambda x: pydl.tensor(x.numpy()), "numpy"),
    (lambda x: pydl.tensor(x.tolist()), "numpy|item"),
    (lambda x: x[x > 0], "selects"),
    (lambda x: pydl.nonzero(x), "selects"),
    (lambda x: pydl.unique(x), "item|numpy|selects"),
    (lambda x: x.mul_(2), "in place"),
    (lambda x: capture(lambda y: y)(x), "inside another"),
    (lambda x: pydl.manual_seed(1) and x, "manual_seed"),
    (lambda x: pydl.linalg.det(x.outer(x)), "numpy"),
    (lambda x: print(x), "numpy|item"),
]


@pytest.mark.parametrize(("function", "words"), REFUSED, ids=range(len(REFUSED)))
def test_refused(function: Callable[[pydl.Tensor], Any], words: str) -> None:
    x = pydl.tensor([1.0, 2.0, 3.0])
    captured = capture(function)
    for _ in range(2):
        with pytest.raises(CaptureError, match=words):
            captured(x)
    assert not captured.plans
    assert (x + x).tolist() == [2, 4, 6] and x.sum().item() == 6      # nothing is left of the capture
    with pytest.raises(CaptureError, match="test_capture_refusals.py"):
        capture(lambda x: x.sum().item())(x)


def test_fallback_runs_every_call_once() -> None:
    (a, _, eager), (b, _, plain) = twins("mlp", "Adam")

    def noisy(x: pydl.Tensor, t: pydl.Tensor) -> pydl.Tensor:
        loss = plain(x, t)
        return loss if loss.item() > -1 else -loss

    captured = capture(noisy, fallback="eager")
    with pytest.warns(UserWarning, match="runs eagerly .*item") as seen:
        run_both(eager, captured, batches(6))
    assert_same(a, b)
    assert len(seen) == 1
    with pytest.raises(ValueError, match="fallback"):
        capture(noisy, fallback="slow")
    for bad in (0, True, 1.5):
        with pytest.raises(ValueError, match="max_plans"):
            capture(noisy, max_plans=bad)
    with pytest.raises(TypeError, match="expected a function, got int"):
        capture(3)


def test_an_error_leaves_nothing_behind() -> None:
    (a, _, eager), (b, _, plain) = twins("mlp", "Adam")
    fail = [True]

    def sometimes(x: pydl.Tensor, t: pydl.Tensor) -> pydl.Tensor:
        if fail[0]:
            b(x)
            raise KeyError("no")
        return plain(x, t)

    captured = capture(sometimes)
    data = batches(5)
    with pytest.raises(KeyError):
        captured(*data[0])
    assert not captured.plans
    fail[0] = False
    run_both(eager, captured, data)
    assert_same(a, b)


def test_labels_out_of_range() -> None:
    (a, _, eager), (b, _, plain) = twins("mlp", "Adam")
    captured = capture(plain)
    data = batches(6)
    run_both(eager, captured, data[:3])
    bad = pydl.full((12,), 7)
    with pytest.raises(IndexError, match="target 7 at position 0"):
        captured(data[0][0], bad)
    with pytest.raises(IndexError):
        eager(data[0][0], bad)
    run_both(eager, captured, data[3:])
    assert_same(a, b)


def test_two_threads() -> None:
    model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 64))
    forward, x = capture(lambda x: model(model(model(x)))), pydl.randn(256, 64)
    want, errors = forward(x).numpy().copy(), []

    def work() -> None:
        for _ in range(30):
            try:
                forward(x)
            except RuntimeError as error:
                errors.append(str(error))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all("another thread" in text for text in errors)
    np.testing.assert_array_equal(forward(x).numpy(), want)


def test_others_do_not_record() -> None:
    """What another thread does meanwhile is none of the plan's business."""
    inside, done, made = threading.Event(), threading.Event(), []

    def other() -> None:
        inside.wait(10)
        x = pydl.arange(8).to(pydl.float32)
        made.append((pydl.ones(3) * 2).sum().item())
        made.append(x[x > 3].sum().item() + pydl.nonzero(x).numel() + pydl.randint(5, 6, (4,)).sum().item())
        done.set()

    worker = threading.Thread(target=other)
    worker.start()

    def f(x: pydl.Tensor) -> pydl.Tensor:
        inside.set()
        done.wait(10)
        return x + 1

    captured = capture(f)
    captured(pydl.ones(2))
    worker.join()
    assert made == [6, 22 + 7 + 20] and len(next(iter(captured.plans.values()))[0]) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork here")
def test_fork() -> None:
    model = MODELS["mlp"]()
    forward, x = capture(model.forward), pydl.ones(3, 6)
    want = forward(x).numpy().copy()
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(forward(x).numpy(), want) else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(forward(x).numpy(), want)
