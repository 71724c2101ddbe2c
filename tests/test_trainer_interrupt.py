"""Ctrl-C at any moment: no step is half done, the handlers are put back, and the run can go on from there."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pydl
from pydl.training import Callback, Checkpoint, EarlyStopping, LambdaCallback
from pydl.training.interrupt import Interrupts
from training_runs import Marks, Run

TESTS = Path(__file__).parent


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """Python's own handler, whatever the runner of the tests has put in its place."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def marks(kind: str) -> dict[int, set[str]]:
    """Digests of the model, optimizer, schedule and random numbers: after every step, and after the epoch that it may end."""
    holder: list[Run] = []
    watch = Marks(lambda: holder[0])
    holder.append(Run(kind, [watch]))
    holder[0].fit()
    return watch.seen


def undisturbed(kind: str = "sgd-onecycle") -> str:
    run = Run(kind)
    run.fit()
    return run.bits()


def went_on(path: str | Path, kind: str = "sgd-onecycle") -> str:
    """The end of a run that is resumed, begun with other weights and numbers."""
    run = Run(kind, seed=11)
    run.fit(resume=path)
    return run.bits()


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    head = f"import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nsys.path.insert(0, {str(TESTS)!r})\n"
    return subprocess.Popen([sys.executable, "-c", head + textwrap.dedent(code), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


TRIALS = """
    import json, os, random, signal, threading, time
    from training_runs import Run
    from pydl.training import Checkpoint

    kind, folder, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
    whole = 1e9
    for _ in range(4):
        start = time.perf_counter()
        Run(kind).fit()
        whole = min(whole, time.perf_counter() - start)
    handler = signal.getsignal(signal.SIGINT)
    trial = hits = 0
    while hits < wanted and trial < 50 * wanted:
        trial += 1
        path = f"{folder}/{trial}.st"
        run = Run(kind, [Checkpoint(path, 1000)])
        timer = threading.Timer(random.random() * whole, os.kill, (os.getpid(), signal.SIGINT))
        outcome = "?"
        try:
            timer.start()
            history = run.fit()
            outcome = "interrupted" if history.interrupted else "finished"
            timer.join()
            time.sleep(0.001)
        except KeyboardInterrupt:
            outcome = outcome if outcome != "?" else "outside"
        timer.join()
        hits += outcome == "interrupted"
        print(json.dumps({"outcome": outcome, "step": run.trainer.step, "bits": run.bits(rows=False), "epoch": run.trainer.epoch,
                          "handler": signal.getsignal(signal.SIGINT) is handler, "status": run.trainer.status,
                          "training": all(m.training for m in run.model.modules()),
                          "grad": any(p.grad is not None for p in run.model.parameters()),
                          "saved": os.path.exists(path), "path": path}), flush=True)
"""


@pytest.mark.parametrize("kind", ["sgd-onecycle", "sgd-accumulate", "adam-plateau"])
def test_signals_at_random_moments(tmp_path: Path, kind: str) -> None:
    """Wherever it hits, everything is as after step k of the run that nobody interrupts, and resuming leads to its end."""
    expected, end = marks(kind), undisturbed(kind)
    process = child(TRIALS, kind, str(tmp_path), "12")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    trials = [json.loads(line) for line in out.splitlines()]
    stopped = [trial for trial in trials if trial["outcome"] == "interrupted"]
    assert len(stopped) == 12, [trial["outcome"] for trial in trials]
    for trial in trials:
        assert trial["handler"] and trial["training"] and not trial["grad"]
        if trial in stopped:
            assert trial["bits"] in expected[trial["step"]], trial
    for trial in [trial for trial in stopped if trial["saved"]][:5]:
        assert went_on(trial["path"], kind) == end, trial


def test_a_signal_from_another_process(tmp_path: Path) -> None:
    process = child("""
        from training_runs import Run
        from pydl.training import LambdaCallback
        run = Run(callbacks=[LambdaCallback(on_epoch_begin=lambda trainer: print("begun", flush=True))])
        run.scheduler = run.trainer.scheduler = None
        history = run.fit(1_000_000)
        print(history.interrupted, run.trainer.status, run.trainer.epoch == len(history), run.trainer.step > 0, flush=True)
    """)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and out.splitlines()[-1] == "True interrupted True True", out[-200:] + err


def interrupting(at: str, when: int = 3) -> LambdaCallback:
    """Sends Ctrl-C to this process from inside a hook, the `when`-th time."""
    count = [0]

    def send(*_: Any) -> None:
        count[0] += 1
        if count[0] == when:
            signal.raise_signal(signal.SIGINT)
    return LambdaCallback(**{at: send})


@pytest.mark.parametrize(("hook", "when", "step"), [
    ("on_fit_begin", 1, 0), ("on_epoch_begin", 1, 0), ("on_epoch_begin", 2, 7), ("on_batch_begin", 3, 3), ("on_batch_end", 3, 3), ("on_epoch_end", 2, 14),
    ("on_epoch_end", 6, 42), ("on_fit_end", 1, 42),
])
def test_the_step_under_way_is_finished(tmp_path: Path, hook: str, when: int, step: int) -> None:
    expected = marks("sgd-onecycle")
    run = Run(callbacks=[interrupting(hook, when), Checkpoint(tmp_path / "c.st", 1000)])
    history = run.fit()
    assert history.interrupted and run.trainer.status == "interrupted" and run.trainer.step == step
    assert run.bits(rows=False) in expected[step] and run.model.training
    if step < 42:
        assert went_on(tmp_path / "c.st") == undisturbed()


def test_while_the_model_computes(tmp_path: Path) -> None:
    expected, count = marks("sgd-accumulate"), [0]

    def hook(module: Any, inputs: Any) -> None:
        count[0] += module.training
        if count[0] == 5:           # the second batch of the second step
            signal.raise_signal(signal.SIGINT)
    run = Run("sgd-accumulate")
    run.model.register_forward_pre_hook(hook)
    assert run.fit().interrupted and run.trainer.step == 2 and run.bits(rows=False) in expected[2]


def test_while_a_batch_is_fetched_and_while_validating(tmp_path: Path) -> None:
    expected = marks("sgd-accumulate")
    run = Run("sgd-accumulate", [Checkpoint(tmp_path / "c.st", 1000)])
    dataset, count = run.loader.dataset, [0]
    gather = dataset.gather

    def slow(indices: Any) -> Any:
        count[0] += 1
        if count[0] == 5:
            signal.raise_signal(signal.SIGINT)
            time.sleep(10)
        return gather(indices)

    dataset.gather = slow           # type: ignore[method-assign]
    start = time.monotonic()
    assert run.fit().interrupted and time.monotonic() - start < 5
    assert run.trainer.step == 1 and run.bits(rows=False) in expected[1]

    run, passes = Run("sgd-accumulate", [Checkpoint(tmp_path / "v.st", 1000)]), [0]

    def hook(module: Any, inputs: Any) -> None:
        if not module.training:
            passes[0] += 1
            if passes[0] == 5:      # in the second validation
                signal.raise_signal(signal.SIGINT)
    handle = run.model.register_forward_pre_hook(hook)
    history = run.fit()
    assert history.interrupted and len(history) == 1 and run.trainer.epoch == 1 and run.trainer.batch == 7 and run.model.training
    handle.remove()
    assert went_on(tmp_path / "v.st", "sgd-accumulate") == undisturbed("sgd-accumulate")


def test_raising_instead_of_returning() -> None:
    run = Run(callbacks=[interrupting("on_batch_end")])
    with pytest.raises(KeyboardInterrupt):
        run.fit(on_interrupt="raise")
    assert run.trainer.history.interrupted and run.trainer.step == 3 and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ValueError, match="on_interrupt: expected 'return' or 'raise'"):
        run.fit(on_interrupt="stop")


def test_a_second_one_does_not_wait() -> None:
    ended = []
    run = Run(callbacks=[LambdaCallback(on_batch_end=lambda trainer: [signal.raise_signal(signal.SIGINT) for _ in range(2)],
                                        on_fit_end=lambda trainer: ended.append(trainer.status))])
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    assert ended == ["failed"] and run.trainer.step == 1 and run.model.training
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_optimizer_step_is_sealed_even_then() -> None:
    run = Run("adam-accumulate")
    step = run.optimizer.step

    def twice(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return step(*arguments)

    run.optimizer.step = twice      # type: ignore[method-assign]
    assert run.fit().interrupted and run.trainer.step == 1 and run.bits(rows=False) in marks("adam-accumulate")[1]


def test_the_best_weights_are_put_back_but_not_saved(tmp_path: Path) -> None:
    class Worse(Callback):
        def on_epoch_end(self, trainer: Any, row: Any) -> None:
            row["score"] = 1.0 if trainer.epoch == 2 else 0.0

    stopping = EarlyStopping("score", mode="max")
    run = Run(callbacks=[Worse(), stopping, Checkpoint(tmp_path / "c.st"), interrupting("on_epoch_end", 4)])
    run.fit()
    kept = [p.detach().numpy().copy() for p in run.model.parameters()]
    two = Run()
    two.fit(2)
    assert all((p.detach().numpy() == q).all() for p, q in zip(two.model.parameters(), kept, strict=True))
    four = Run()
    four.fit(4)
    saved = Run(seed=4)
    pydl.io.load_checkpoint(tmp_path / "c.st", model=saved.model)
    assert all((p.detach().numpy() == q.detach().numpy()).all() for p, q in zip(four.model.parameters(), saved.model.parameters(), strict=True))


def test_a_handler_of_the_users_decides() -> None:
    calls: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    try:
        run = Run(callbacks=[interrupting("on_batch_begin")])
        history = run.fit()
        assert calls == [signal.SIGINT] and not history.interrupted and len(history) == 6
        assert callable(signal.getsignal(signal.SIGINT)) and run.trainer.status == "finished"
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        run = Run(callbacks=[interrupting("on_batch_begin")])
        assert not run.fit().interrupted and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_one_that_waits_while_something_fails_is_not_lost() -> None:
    def fail(trainer: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        raise OSError("no space")

    run, calls = Run(callbacks=[LambdaCallback(on_batch_end=fail)]), []
    with pytest.raises(KeyboardInterrupt) as caught:
        run.fit()
    assert isinstance(caught.value.__context__, OSError) and run.trainer.status == "failed" and run.trainer.step == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))        # the fixture puts back Python's own
    with pytest.raises(OSError, match="no space"):
        run.fit()
    assert calls == [signal.SIGINT]


def test_in_another_thread_no_handler_is_touched() -> None:
    found: list[Any] = []

    def work() -> None:
        run = Run(callbacks=[LambdaCallback(on_batch_begin=lambda trainer: found.append(signal.getsignal(signal.SIGINT)))])
        found.append(run.fit())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(found[-1]) == 6 and set(found[:-1]) == {signal.default_int_handler}


def test_interrupts_alone() -> None:
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert interrupts.pending == 1 and not interrupts.clean
        with pytest.raises(KeyboardInterrupt), interrupts.opened:
            pytest.fail("not reached")
        assert interrupts.clean
        with interrupts.opened:
            pass
        assert not interrupts.clean
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        assert not interrupts.clean
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
