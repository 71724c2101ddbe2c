"""The tape and the walk back: accumulation, modes, misuse, hooks, anomalies, memory."""
from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import pydl
from calls import leaf
from pydl import autograd


def test_gradients_of_a_shared_input_are_summed():
    x = leaf(1.0, 2.0)
    (x * x + 3 * x).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]


def test_backward_twice_over_fresh_graphs_accumulates():
    x = leaf(3.0)
    for _ in range(2):
        (x * x).sum().backward()
    assert x.grad.tolist() == [12.0]


def test_two_leaves_never_share_one_gradient():
    a, b = leaf(1.0), leaf(2.0)
    (a + b).sum().backward()
    assert a.grad is not b.grad and a.grad.data_ptr() != b.grad.data_ptr()
    a.grad.zero_()
    assert b.grad.tolist() == [1.0]


def test_given_gradient_is_not_written_to():
    x = leaf(1.0, 2.0)
    dy = pydl.ones(2, dtype=pydl.float64)
    y = x + 0.0
    y.backward(dy, retain_graph=True)
    y.backward(dy)
    assert dy.tolist() == [1.0, 1.0] and x.grad.tolist() == [2.0, 2.0]


def test_broadcast_gradients_are_summed_to_the_inputs_shape():
    a = pydl.ones(3, 1, requires_grad=True)
    b = pydl.ones(4, requires_grad=True)
    c = pydl.ones((), requires_grad=True)
    (a * b * c).sum().backward()
    assert a.grad.tolist() == [[4.0]] * 3 and b.grad.tolist() == [3.0] * 4 and c.grad.item() == 12.0


def test_grad_leaves_grad_alone_and_finds_inner_tensors():
    x = leaf(2.0)
    y = x * x
    z = (y * y).sum()
    dy, dx = autograd.grad(z, [y, x])
    assert dy.tolist() == [8.0] and dx.tolist() == [32.0] and x.grad is None


def test_grad_runs_only_what_leads_to_the_inputs():
    ran = []

    class Tell(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, dy):
            ran.append(1)
            return dy

    a, b = leaf(1.0), leaf(2.0)
    z = (Tell.apply(a) * b).sum()
    autograd.grad(z, b, retain_graph=True)
    assert not ran
    autograd.grad(z, a)
    assert ran == [1]


def test_unused_inputs():
    a, b = leaf(1.0), leaf(2.0)
    with pytest.raises(RuntimeError, match="do not depend on input 1"):
        autograd.grad((a * 2).sum(), [a, b])
    assert autograd.grad((a * 2).sum(), [a, b], allow_unused=True)[1] is None
    assert autograd.grad((a * 2).sum(), [a, b], materialize_grads=True)[1].tolist() == [0.0]


def test_third_derivative():
    x = leaf(2.0)
    y = x * x * x * x
    for expected in (32.0, 48.0, 48.0):
        (y,) = autograd.grad(y.sum(), x, create_graph=True)
        assert y.tolist() == [expected]


def test_outputs_kept_for_backward_connect_to_the_graph():
    x = leaf(0.5)
    (dy,) = autograd.grad(pydl.tanh(x).sum(), x, create_graph=True)
    (ddy,) = autograd.grad(dy.sum(), x)
    t = np.tanh(0.5)
    np.testing.assert_allclose(ddy.numpy(), [-2 * t * (1 - t * t)], rtol=1e-12)


@pytest.mark.parametrize("mode", [pydl.no_grad, pydl.inference_mode])
def test_nothing_is_recorded_inside(mode):
    x = leaf(1.0)
    with mode():
        y = x * 2
    assert not y.requires_grad and y.grad_fn is None
    assert y.is_inference() == (mode is pydl.inference_mode)

    @mode()
    def inside():
        return x * 2

    assert not inside().requires_grad and pydl.is_grad_enabled()
    with mode(), pydl.enable_grad():
        assert (x * 2).requires_grad


def test_modes_come_back_after_an_error_and_belong_to_a_thread():
    with pytest.raises(KeyError), pydl.no_grad():
        raise KeyError
    assert pydl.is_grad_enabled()
    seen = []
    with pydl.no_grad():
        thread = threading.Thread(target=lambda: seen.append(pydl.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]
    with pydl.set_grad_enabled(False):
        assert not pydl.is_grad_enabled()
    assert pydl.is_grad_enabled()


# ---- Misuse

def test_backward_a_second_time_needs_retain_graph():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="mul: backward through this graph a second time"):
        y.backward()
    assert x.grad.tolist() == [4.0, 8.0]


def test_backward_of_what_is_no_scalar():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"shape \(2,\) must be given"):
        (x * x).backward()
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\), the tensor \(2,\)"):
        (x * x).backward(pydl.ones(3, dtype=pydl.float64))
    with pytest.raises(TypeError, match="gradient is pydl.float32"):
        (x * x).backward(pydl.ones(2))
    with pytest.raises(RuntimeError, match="does not require grad"):
        pydl.ones(1).sum().backward()
    assert x.grad is None


def test_requires_grad_is_for_floating_leaves():
    for dtype in (pydl.int64, pydl.int32, pydl.uint8, pydl.bool):
        with pytest.raises(TypeError, match="only float32 and float64"):
            pydl.zeros(2, dtype=dtype, requires_grad=True)
    y = leaf(1.0) * 2
    with pytest.raises(RuntimeError, match="leaf"):
        y.requires_grad = False


def test_a_failed_backward_leaves_the_graph_usable():
    x = leaf(1.0)
    hits = []

    def fail_once(dy):
        hits.append(1)
        if len(hits) == 1:
            raise KeyError("once")

    y = x * x
    y.register_hook(fail_once)
    z = (y * 3).sum()
    with pytest.raises(KeyError):
        z.backward(retain_graph=True)
    assert x.grad is None
    z.backward()
    assert x.grad.tolist() == [6.0]


# ---- Hooks

def test_hooks_see_and_replace_gradients():
    x = leaf(1.0, 2.0)
    y = x * 2
    seen = []
    handle = y.register_hook(lambda dy: seen.append(dy.tolist()))
    y.register_hook(lambda dy: dy * 10)
    x.register_hook(lambda dx: dx + 1)
    y.sum().backward(retain_graph=True)
    assert seen == [[1.0, 1.0]] and x.grad.tolist() == [21.0, 21.0]
    handle.remove()
    y.sum().backward()
    assert len(seen) == 1
    with pytest.raises(RuntimeError, match="does not require grad"):
        pydl.ones(1).register_hook(print)


def test_retain_grad():
    x = leaf(3.0)
    y = x * x
    y.retain_grad()
    assert y.retains_grad and not x.retains_grad
    (y * 2).sum().backward()
    assert y.grad.tolist() == [2.0] and x.grad.tolist() == [12.0]


# ---- Anomaly mode

def test_anomaly_mode_names_the_op_and_the_line_forward():
    x = leaf(-1.0)
    with autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"log: .* holds NaN or infinity, made at .*test_autograd.py:\d+"):
        pydl.log(x)
    pydl.log(x)


def test_anomaly_mode_names_the_op_and_the_line_backward():
    x = leaf(0.0)
    with autograd.detect_anomaly():
        y = pydl.sqrt(x).sum()
        with pytest.raises(RuntimeError, match=r"sqrt: its backward made NaN or infinity .*test_autograd.py:\d+"):
            y.backward()


# ---- Memory

def test_a_chain_of_100_000_ops():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.sum().backward()
    assert x.grad.tolist() == [1.0]
    y = x
    for _ in range(100_000):
        y = y * 1.0
    del y


def test_graph_memory_is_freed_without_the_garbage_collector():
    gc.disable()
    try:
        x = leaf(1.0)
        y = pydl.tanh(pydl.exp(x))
        inner = weakref.ref(y.grad_fn)
        z = y.sum()
        del y
        z.backward()
        del z
        assert inner() is None
    finally:
        gc.enable()


def test_kept_values_are_freed_as_backward_goes():
    code = """
import pydl
x = pydl.ones(1 << 20, requires_grad=True)
y = x
for _ in range(20):
    y = pydl.tanh(y)
loss = y.sum()
del y
pydl.reset_peak_memory_stats()
before = pydl.memory_stats()["allocated"]
loss.backward()
after = pydl.memory_stats()
assert before >= 20 << 22, before
assert after["peak"] <= before + (5 << 22), (after, before)
assert after["allocated"] <= 4 << 22, after
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_concurrent_backwards_of_separate_graphs():
    results = {}

    def work(number: int) -> None:
        x = pydl.full((64, 64), float(number), requires_grad=True)
        for _ in range(50):
            x.grad = None
            ((x @ x) * x).sum().backward()
        results[number] = x.grad.numpy().copy()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1, 2, 3]
    for number, got in results.items():
        x = pydl.full((64, 64), float(number), requires_grad=True)
        ((x @ x) * x).sum().backward()
        assert np.array_equal(got, x.grad.numpy())


@pytest.mark.parametrize("wrong", [
    lambda g: pydl.ones(3, 8, 6, 7), lambda g: g.to(pydl.float64), lambda g: pydl.ones(8, 6, dtype=pydl.int64)])
@pytest.mark.parametrize("of", [lambda x: x, lambda x: x.T], ids=["leaf", "view"])
def test_a_hook_may_not_change_shape_or_type(wrong, of):
    x = pydl.ones(8, 6, requires_grad=True)
    y = of(x)
    first = y.register_hook(wrong)
    with pytest.raises(RuntimeError, match="hook: a gradient of shape .* cannot become"):
        y.sum().backward()
    assert x.grad is None
    first.remove()
    handle = x.register_hook(lambda g: 1.0)
    with pytest.raises(TypeError, match="hook: expected a Tensor or None as gradient, got float"):
        (x * 1).sum().backward()
    handle.remove()


def test_an_expanded_gradient_is_not_added_to_in_place():
    x = pydl.ones(3, requires_grad=True)
    x.grad = pydl.ones(1).expand(3)
    (x * pydl.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [2.0, 3.0, 4.0]


def test_an_input_named_twice_gets_its_gradient_once():
    x = leaf(1.0)
    (x * 2).backward(inputs=[x, x])
    assert x.grad.tolist() == [2.0]


def test_a_hook_may_walk_the_graph_that_is_being_walked():
    x = leaf(2.0)
    y = x * x
    z = y * 3
    handle = z.register_hook(lambda _: inner())

    def inner():
        with pydl.enable_grad():
            (y * y + y).backward(retain_graph=True)

    (z + y).backward(retain_graph=True)
    assert x.grad.tolist() == [36.0 + 16.0]
    handle.remove()
    x.grad = None
    (z + y).backward()
    assert x.grad.tolist() == [16.0]


def test_a_walk_refused_in_another_thread_leaves_the_graph_usable():
    x = leaf(2.0)
    y = x * x
    refused = []

    def elsewhere():
        try:
            (y * 1).backward(retain_graph=True)
        except RuntimeError as error:
            refused.append(str(error))

    def start(gradient):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    z = y * 3
    z.register_hook(start)
    (z + 1).backward(retain_graph=True)
    assert len(refused) == 1 and "in another thread" in refused[0]
    x.grad = None
    (y * y).backward()
    assert x.grad.tolist() == [32.0]


def test_threads_that_share_a_leaf_lose_no_gradient():
    w = pydl.zeros(300, 1000, requires_grad=True)

    def work():
        for _ in range(10):
            (w * 1.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (w.grad == 30).all()


def test_a_decorated_generator_runs_in_the_mode_and_waits_outside_it():
    @pydl.no_grad()
    def states():
        try:
            while True:
                yield pydl.is_grad_enabled()
        except ValueError as error:
            yield str(error)
        return 5

    generator = states()
    assert next(generator) is False and pydl.is_grad_enabled() and generator.send(1) is False
    assert generator.throw(ValueError("thrown")) == "thrown"
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == 5 and pydl.is_grad_enabled()


def test_requires_grad_is_a_bool():
    x = pydl.ones(1)
    for value in ("no", 1, None):
        with pytest.raises(TypeError, match="expected a bool"):
            x.requires_grad = value
    with pytest.raises(ValueError, match="materialize_grads"):
        autograd.grad(x, x, materialize_grads=True, allow_unused=False)
