"""pydl.profile: what it notes, what it counts, and that it stays out of the way."""
from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import pydl
from calls import call, differentiable
from op_table import TABLE
from pydl import nn
from pydl._core import trace
from pydl.costs import COSTS, HOLES, KERNELS
from pydl.profiler import Event
from rows import Row, arrays_of


def calls(prof: pydl.profile) -> dict[tuple[str, str], int]:
    return {(row.name, row.kernel): row.calls for row in prof.rows}


def step(x: pydl.Tensor, w: pydl.Tensor) -> None:
    nn.functional.linear(x, w).relu().sum().backward()


# --- costs

@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_has_a_cost_or_a_declared_hole(kernel: str) -> None:
    assert (kernel in COSTS) != (kernel in HOLES), \
        f"{kernel}: give it a rule in pydl/costs.py, or a line with the reason in HOLES there (and not both)"
    assert kernel in COSTS or len(HOLES[kernel]) > 10


def test_no_rule_is_left_over() -> None:
    assert not set(COSTS) - set(KERNELS) and not set(HOLES) - set(KERNELS)
    assert all(set(cost.each + cost.line) <= set("T148") and cost.geometry in trace.GEOMETRIES for cost in COSTS.values())


def only(prof: pydl.profile, kernel: str) -> Event:
    found = [event for event in prof.events if event.kernel == kernel]
    assert len(found) == 1
    return found[0]


def test_flops_and_bytes_of_matrix_products() -> None:
    a, b, x, y = pydl.ones(3, 5), pydl.ones(5, 7), pydl.ones(4, 3, 5), pydl.ones(4, 5, 7)
    with pydl.profile() as prof:
        a @ b
    event = only(prof, "gemm")
    assert event.flops == 2 * 3 * 5 * 7 and event.bytes == 4 * (3 * 5 + 5 * 7 + 3 * 7) and event.name == "matmul"
    with pydl.profile() as prof:
        pydl.bmm(x, y)
    event = only(prof, "gemm")
    assert event.flops == 4 * 2 * 3 * 5 * 7 and event.bytes == 4 * 4 * (3 * 5 + 5 * 7 + 3 * 7)
    with pydl.profile() as prof:
        x @ b               # a batch times one matrix: one tall product
    assert only(prof, "gemm").flops == 4 * 2 * 3 * 5 * 7


@pytest.mark.parametrize(("f", "kernel", "flops", "nbytes"), [
    (lambda x, r: x + x, "add", 600, 4 * 3 * 600),
    (lambda x, r: x + r, "add", 600, 4 * (600 + 30 + 600)),                 # a broadcast row counts once
    (lambda x, r: x * 2, "mul", 600, 4 * (600 + 1 + 600)),
    (lambda x, r: x.exp(), "exp", 600, 4 * 2 * 600),
    (lambda x, r: x.t().contiguous(), "copy", 0, 4 * 2 * 600),
    (lambda x, r: x > 0, "gt", 600, 4 * 600 + 4 + 600),
    (lambda x, r: x.sum(1), "sum", 600, 4 * (600 + 20)),
    (lambda x, r: x.double(), "cast_f64", 0, 600 * (4 + 8)),
    (lambda x, r: pydl.softmax(x, 1), "softmax_fwd", 5 * 600, 4 * 2 * 600),
    (lambda x, r: x.index_select(0, pydl.tensor([1, 3])), "rows_take", 0, 4 * 2 * 60 + 8 * 2),
    (lambda x, r: x.argmax(1), "argmax", 600, 4 * 600 + 20 * (4 + 8)),
])
def test_flops_and_bytes(f, kernel: str, flops: float, nbytes: int) -> None:
    x, row = pydl.ones(20, 30), pydl.ones(30)
    with pydl.profile() as prof:
        f(x, row)
    event = only(prof, kernel)
    assert (event.flops, event.bytes) == (flops, nbytes)


def test_flops_of_an_optimizer_step() -> None:
    parameters = [pydl.ones(10).requires_grad_(), pydl.ones(7).requires_grad_()]
    for p in parameters:
        p.grad = pydl.ones_like(p)
    with pydl.profile() as prof:
        pydl.optim.SGD(parameters, lr=0.1).step()
    assert only(prof, "sgd_step").flops == 4 * 17


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_no_op_counts_nonsense(row: Row) -> None:
    """A rule that looks at sizes which the kernel's launches do not fill in finds what was in memory: astronomical, mostly."""
    for one in row.samples[:4]:
        arrays = arrays_of(row, one, row.dtypes[0])
        tensors = [pydl.tensor(a) for a in arrays]
        for i in differentiable(row, one):
            tensors[i].requires_grad_(tensors[i].is_floating_point())
        largest = max([1, *(a.size for a in arrays)])
        with pydl.profile() as prof:
            for y in call(row, one, tensors):
                if isinstance(y, pydl.Tensor) and y.requires_grad:
                    y.sum().backward(retain_graph=True)
        for event in prof.events:
            assert event.flops <= 1e4 * largest ** 2 and event.bytes <= 1e5 * largest ** 2, f"{row.name}({one}): {event}"


# --- rows

def test_forward_and_backward_have_the_names_of_their_ops() -> None:
    x, w = pydl.ones(8, 4).requires_grad_(), pydl.ones(3, 4).requires_grad_()
    with pydl.profile() as prof:
        for _ in range(5):
            step(x, w)
    found = calls(prof)
    assert found["linear", "gemm"] == 5 and found["linear backward", "gemm"] == 10
    assert found["relu", "relu_fwd"] == 5 and found["relu backward", "relu_bwd"] == 5
    assert found["sum of gradients", "add"] == 8            # x.grad and w.grad, from the second step on
    assert {event.backward for event in prof.events if event.name.startswith("relu ")} == {True}


def test_kernels_that_no_op_claims_have_their_own_name() -> None:
    with pydl.profile() as prof:
        x = pydl.ones(5)        # fill is launched by no op, and the view that follows must not claim it
        x.reshape(5, 1)
    found = calls(prof)
    assert found == {("fill", "fill"): 1, ("view", ""): 1}
    assert [row.share for row in prof.rows if not row.kernel] == [0.0]


def test_totals_are_those_of_the_events() -> None:
    x, w = pydl.ones(64, 40).requires_grad_(), pydl.ones(30, 40).requires_grad_()
    with pydl.profile() as prof:
        step(x, w)
    rows = prof.rows
    assert sum(row.calls for row in rows) == len(prof.events)
    assert sum(row.seconds for row in rows) == pytest.approx(prof.kernel_seconds) and 0 < prof.kernel_seconds < prof.seconds
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert sum(row.flops for row in rows) == sum(event.flops for event in prof.events)
    assert sum(row.bytes for row in rows) == sum(event.bytes for event in prof.events)
    assert all(event.end >= event.start for event in prof.events)
    assert [row.seconds for row in rows] == sorted((row.seconds for row in rows), reverse=True)
    product = next(row for row in rows if row.kernel == "gemm")
    assert product.gflops == pytest.approx(product.flops / product.seconds / 1e9)


def test_table() -> None:
    with pydl.profile() as prof:
        for _ in range(3):
            pydl.ones(4, 4) @ pydl.ones(4, 4)
    text = prof.table()
    assert str(prof) == text and "matmul" in text and "GFLOP/s" in text and "wall time" in text
    assert re.search(r"fill +fill +6 ", text)
    by_name = prof.table(sort_by="name").splitlines()
    assert by_name[2].startswith("fill") and by_name[3].startswith("matmul")
    assert prof.table(sort_by="calls").splitlines()[2].startswith("fill")
    assert prof.table(row_limit=1).splitlines()[3].startswith("... and 1 more")
    with pytest.raises(ValueError, match="table: sort_by: expected one of time, calls, .*got 'speed'"):
        prof.table(sort_by="speed")
    with pytest.raises(ValueError, match="row_limit"):
        prof.table(row_limit=-1)


def test_an_empty_profile() -> None:
    with pydl.profile() as prof:
        pass
    assert prof.rows == [] and prof.events == [] and "wall time" in str(prof)
    assert pydl.profile().rows == []


# --- contexts

def test_nested_profiles_hold_what_ended_inside_them() -> None:
    x = pydl.ones(3)
    with pydl.profile() as outer:
        x + x
        with pydl.profile() as inner:
            x * x
            assert [event.kernel for event in inner.events] == ["mul"]      # while it is open
        x - x
    x / x
    assert [event.kernel for event in inner.events] == ["mul"]
    assert [event.kernel for event in outer.events] == ["add", "mul", "sub"]


def test_profiles_that_overlap() -> None:
    x, first, second = pydl.ones(3), pydl.profile(), pydl.profile()
    first.__enter__()
    x + x
    second.__enter__()
    x * x
    first.__exit__(None, None, None)
    x - x
    second.__exit__(None, None, None)
    assert [event.kernel for event in first.events] == ["add", "mul"]
    assert [event.kernel for event in second.events] == ["mul", "sub"]


def test_an_exception_ends_a_profile() -> None:
    x, prof = pydl.ones(3), pydl.profile()
    with pytest.raises(ValueError, match="do not broadcast"), prof:
        x * x
        x + pydl.ones(2)
    assert "mul" in {event.kernel for event in prof.events}
    before = len(prof.events)
    x * x
    assert len(prof.events) == before and trace.count() == 0


def test_an_exception_in_backward_leaves_no_name_behind() -> None:
    x = pydl.ones(3).requires_grad_()
    y = x * x
    y.register_hook(lambda grad: 1 / 0)
    with pydl.profile() as prof:
        with pytest.raises(ZeroDivisionError):
            y.sum().backward()
        pydl.ones(3) - 1
    last = [event for event in prof.events if event.kernel == "sub"]
    assert [(event.name, event.backward) for event in last] == [("sub", False)]


def test_a_profile_is_open_once_and_can_be_used_again() -> None:
    x, prof = pydl.ones(3), pydl.profile()
    with prof:
        x + x
        with pytest.raises(RuntimeError, match="open already"):
            prof.__enter__()
    with prof:
        x * x
    assert [event.kernel for event in prof.events] == ["mul"]


def test_several_threads() -> None:
    x = pydl.ones(100, 100)
    barrier = threading.Barrier(3)
    own: dict[int, pydl.profile] = {}

    def work() -> None:
        barrier.wait()
        with pydl.profile() as prof:
            for _ in range(50):
                x @ x
        own[threading.get_ident()] = prof

    with pydl.profile() as whole:
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert calls(whole)["matmul", "gemm"] == 150
    assert len({event.thread for event in whole.events}) == 3
    for ident, prof in own.items():
        assert sum(event.thread == ident for event in prof.events) == 50        # its own, and perhaps some of the others
    assert trace.count() == 0


def test_results_are_the_same_bits(threads: None) -> None:
    x = pydl.from_numpy(np.random.default_rng(0).uniform(-1, 1, (300, 200)).astype(np.float32))
    plain = (x @ x.t()).softmax(1).numpy()
    with pydl.profile():
        noted = (x @ x.t()).softmax(1).numpy()
    assert plain.tobytes() == noted.tobytes()


def test_a_forked_child_goes_on() -> None:
    code = ("import os, pydl\nwith pydl.profile() as p:\n pydl.ones(3) + 1\n pid = os.fork()\n"
            " if pid == 0:\n  pydl.ones(3) + 1; os._exit(0)\n"
            "_, status = os.waitpid(pid, 0)\nassert status == 0 and len(p.events) == 2")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- the Chrome trace

def test_chrome_trace(tmp_path: Path) -> None:
    x, w = pydl.ones(8, 4).requires_grad_(), pydl.ones(3, 4).requires_grad_()
    with pydl.profile() as prof:
        thread = threading.Thread(target=step, args=(x, w), name="another")
        thread.start()
        thread.join()
        step(x, w)
    path = tmp_path / "trace.json"
    prof.export_chrome_trace(path)
    found = json.loads(path.read_text())["traceEvents"]
    by_kind = {kind: [e for e in found if e["ph"] == kind] for kind in "XiM"}
    assert len(by_kind["X"]) + len(by_kind["i"]) == len(prof.events)
    assert {e["tid"] for e in by_kind["X"]} == {0, 1} == {e["tid"] for e in by_kind["M"]}
    for e in by_kind["X"]:
        assert e["dur"] >= 0 and e["cat"] in ("forward", "backward") and set(e["args"]) == {"kernel", "dtype", "flops", "bytes"}
    assert "linear backward" in {e["name"] for e in by_kind["X"]}
    for track in (0, 1):        # events of one thread do not overlap
        spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in by_kind["X"] if e["tid"] == track)
        assert all(end <= start + 1e-3 for (_, end), (start, _) in zip(spans, spans[1:]))
    with pytest.raises(OSError):
        prof.export_chrome_trace(tmp_path / "nowhere" / "trace.json")


def test_a_trace_replaces_an_older_one_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pydl.profile() as prof:
        pydl.ones(3).sum()
    path = tmp_path / "trace.json"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="no space left"):
            prof.export_chrome_trace(path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    prof.export_chrome_trace(path)
    assert json.loads(path.read_text())["traceEvents"] and list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="export_chrome_trace: .*folder"):
        prof.export_chrome_trace(tmp_path)
