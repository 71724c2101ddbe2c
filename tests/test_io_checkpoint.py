"""Checkpoints: a resumed run is the uninterrupted one, bit by bit; what does not fit changes nothing."""
from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import io, nn, optim

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=1e-2, betas=(0.8, 0.95), amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=1e-2, weight_decay=0.1),
}


class Decay:
    """A schedule as the checkpoint sees one."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        self.optimizer, self.count, self.milestones = optimizer, 0, {5: 1, 12: 2}

    def step(self) -> None:
        self.count += 1
        self.optimizer.param_groups[0]["lr"] *= 0.9 ** self.milestones.get(self.count, 0)

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "milestones": self.milestones}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.count, self.milestones = state_dict["count"], state_dict["milestones"]


class Run:
    """Training with everything that has a state: dropout, momentum, a schedule, shuffling by a generator of its own."""

    def __init__(self, kind: str = "adam", seed: int = 0, width: int = 16) -> None:
        pydl.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(width, 1))
        self.optimizer = OPTIMIZERS[kind](self.model.parameters())
        self.scheduler = Decay(self.optimizer)
        self.shuffle = pydl.Generator().manual_seed(seed + 1)
        self.data = pydl.from_numpy(np.random.default_rng(5).normal(size=(64, 8)).astype(np.float32))

    def train(self, steps: int) -> list[float]:
        losses = []
        for _ in range(steps):
            x = self.data[pydl.randperm(64, generator=self.shuffle)[:16]]
            self.optimizer.zero_grad()
            loss = ((self.model(x) - x.sum(1, keepdim=True)) ** 2).mean()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            losses.append(loss.item())
        return losses

    def parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler, "generator": self.shuffle}

    def bits(self) -> list[bytes]:
        states = [x for _, own in sorted(self.optimizer.state_dict()["state"].items()) for _, x in sorted(own.items())]
        tensors = [*self.model.state_dict().values(), *states, self.shuffle.get_state(), pydl.get_rng_state()]
        return [x.numpy().tobytes() for x in tensors] + [repr(self.scheduler.state_dict()).encode(),
                                                        repr(self.optimizer.param_groups[0]["lr"]).encode()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.safetensors"


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_resumed_run_is_the_whole_run(path: Path, kind: str) -> None:
    whole = Run(kind)
    losses = whole.train(20)
    expected = whole.bits()
    first = Run(kind)
    before = first.train(10)
    io.save_checkpoint(path, **first.parts(), step=10)
    undisturbed = first.train(10)               # saving changes nothing
    assert before + undisturbed == losses and first.bits() == expected
    resumed = Run(kind, seed=99)
    resumed.train(3)
    assert io.load_checkpoint(path, **resumed.parts()).step == 10
    assert resumed.train(10) == losses[10:] and resumed.bits() == expected
    stale = Run(kind, seed=99)
    stale.train(3)
    io.load_checkpoint(path, model=stale.model)
    assert stale.train(10) != losses[10:], "the test would pass without the optimizer's state"


def test_a_checkpoint_before_the_first_step(path: Path) -> None:
    run = Run()
    io.save_checkpoint(path, **run.parts(), step=0)
    losses = run.train(3)
    other = Run(seed=7)
    other.train(2)
    assert io.load_checkpoint(path, **other.parts()).step == 0
    assert other.train(3) == losses


def test_extra_is_plain_data(path: Path) -> None:
    extra = {"history": [1.5, math.inf, -math.inf, 1e-310, 0.1], "tuple": (1, ("a", None, True)), "numbers": {1: "x", (2, 3): [], 2.5: {}},
             "tags": {"$tensor": "no tensor", "a": {"$float": 1}}, "empty": {}, "": "ü\ud800"[:1], "big": 2**70, "x.y": {"z": 1}}
    io.save_checkpoint(path, extra=extra, step=3)
    back = io.load_checkpoint(path)
    assert back.extra == extra and repr(back.extra) == repr(extra) and back.step == 3
    assert back.metadata["pydl.format_version"] == "1" and back.metadata["pydl.version"] == pydl.__version__
    io.save_checkpoint(path, extra=[float("nan"), np.float32(0.5), np.int64(3)])
    back = io.load_checkpoint(path)
    assert math.isnan(back.extra[0]) and back.extra[1:] == [0.5, 3] and back.step is None


def test_tensors_in_extra(path: Path) -> None:
    x = pydl.arange(6.0).reshape(2, 3)
    io.save_checkpoint(path, extra={"a.b": x, "a": {"b": x.T}, "same": x, "leaf": nn.Parameter(x + 1)})
    extra = io.load_checkpoint(path).extra
    assert extra["a.b"].tolist() == x.tolist() == extra["same"].tolist() and extra["a"]["b"].tolist() == x.T.tolist()
    assert sorted(io.load_file(path)) == ["extra.a.b", "extra.a.b~1", "extra.leaf", "random.default"]


@pytest.mark.parametrize(("extra", "message"), [
    ({"a": [0, object()]}, "extra.a.1: expected None, a bool, number, str, list, tuple, dict or tensor, got object"),
    (lambda: None, "extra: .*got function"), ({1, 2}, "extra: .*got set"), (b"", "extra: .*got bytes"), (np.ones(2), "extra: .*got ndarray"), (1j, "extra: .*got complex"),
])
def test_what_is_not_plain_is_refused_by_its_place(path: Path, extra: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"save_checkpoint: {message}"):
        io.save_checkpoint(path, extra=extra)
    assert not list(path.parent.iterdir())


def test_what_is_endless_is_refused(path: Path) -> None:
    endless: list = []
    endless.append(endless)
    with pytest.raises(ValueError, match="save_checkpoint: extra: nested too deeply, or inside itself"):
        io.save_checkpoint(path, extra=endless)
    with pytest.raises(ValueError, match="save_checkpoint: .*make tensors of long lists"):
        io.save_checkpoint(path, extra="x" * (17 << 20))


def test_several_models_and_optimizers(path: Path) -> None:
    a, b = Run(seed=1), Run(seed=2, width=4)
    a.train(2)
    b.train(2)

    def parts(first: Run, second: Run) -> dict[str, Any]:
        return {"model": {"a": first.model, "b": second.model}, "optimizer": {"a": first.optimizer, "b": second.optimizer},
                "generator": {"a": first.shuffle, "b": second.shuffle}}

    io.save_checkpoint(path, **parts(a, b))
    expected = a.bits()[:-2] + b.bits()[:-2]        # without the schedules, which are not saved here
    c, d = Run(seed=3), Run(seed=4, width=4)
    d.train(1)
    io.load_checkpoint(path, **parts(c, d))
    assert c.bits()[:-2] + d.bits()[:-2] == expected
    wrong = Run(seed=4, width=5)
    before = c.bits()
    with pytest.raises(ValueError, match="model.b: load_state_dict"):
        io.load_checkpoint(path, model={"a": c.model, "b": wrong.model}, random_state=False)
    assert c.bits() == before
    c.train(1)
    before = c.bits()
    with pytest.raises(ValueError, match="model.b: load_state_dict"):
        io.load_checkpoint(path, model={"a": c.model, "b": wrong.model}, optimizer={"a": c.optimizer}, generator={"a": c.shuffle})
    assert c.bits() == before, "the first model must be put back"


def test_tied_weights_are_kept_once(path: Path) -> None:
    model, other = (nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)) for _ in range(2))
    model[1].weight, other[1].weight = model[0].weight, other[0].weight
    io.save_checkpoint(path, model=model)
    assert "model.0.weight" in io.load_file(path) and "model.1.weight" not in io.load_file(path)
    io.load_checkpoint(path, model=other)
    assert [x.tolist() for x in other.state_dict().values()] == [x.tolist() for x in model.state_dict().values()]


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Run(width=3), r"model: load_state_dict: (.|\n)*0.weight: shape \(16, 8\) in the state dict, but \(3, 8\)"),
    (lambda: Run("sgd"), "optimizer is of class Adam in the checkpoint, but of SGD here"),
    (lambda: Run("adamw"), "optimizer is of class Adam in the checkpoint, but of AdamW here"),
], ids=["model", "sgd", "adamw"])
def test_a_checkpoint_of_something_else_changes_nothing(path: Path, make: Callable[[], Run], message: str) -> None:
    run, other = Run(), make()
    run.train(2)
    io.save_checkpoint(path, **run.parts())
    other.train(2)
    before = other.bits()
    with pytest.raises(ValueError, match=f"load_checkpoint: .*c.safetensors: {message}"):
        io.load_checkpoint(path, **other.parts())
    assert other.bits() == before


def test_what_the_checkpoint_has_not(path: Path) -> None:
    run = Run()
    io.save_checkpoint(path, model=run.model, optimizer=run.optimizer)
    with pytest.raises(ValueError, match="load_checkpoint: .*no state of scheduler, only of model, optimizer"):
        io.load_checkpoint(path, model=run.model, scheduler=run.scheduler)
    with pytest.raises(ValueError, match="no state of generator, only of default"):
        io.load_checkpoint(path, generator=run.shuffle)
    with pytest.raises(TypeError, match="load_checkpoint: model: expected something with state_dict and load_state_dict, got int"):
        io.load_checkpoint(path, model=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="save_checkpoint: optimizer.a: expected something with .* got NoneType"):
        io.save_checkpoint(path, optimizer={"a": None})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="save_checkpoint: generator: expected a Generator, got int"):
        io.save_checkpoint(path, generator=3)  # type: ignore[arg-type]


def test_random_state_only_if_wanted(path: Path) -> None:
    pydl.manual_seed(5)
    io.save_checkpoint(path)
    drawn = pydl.rand(3).tolist()
    io.load_checkpoint(path)
    assert pydl.rand(3).tolist() == drawn
    position = pydl.get_rng_state().tolist()
    io.load_checkpoint(path, random_state=False)
    assert pydl.get_rng_state().tolist() == position


@pytest.mark.parametrize(("content", "message"), [
    (None, "not a checkpoint: it holds tensors only; load_model"), ("[]", "expected an object with states"), ("{", "not JSON"),
    ("[" * 100_000, "nested too deeply"), ('{"states":[]}', "expected an object with states"), ('{"states":{}}', "no state of optimizer, only of nothing"),
    ('{"states":{"optimizer":[]}}', "expected the class and the state of optimizer"),
    ('{"states":{"optimizer":{"class":"Adam","state":{}}},"random":{"default":0}}', "default: .*must be a Tensor, got int"),
    ('{"states":{"optimizer":{"class":"Adam","state":{}}},"random":{"default":{"$tensor":"r"}}}', "optimizer: .*'param_groups' is missing"),
    ('{"states":{"optimizer":{"class":"Adam","state":{"param_groups":3}}},"random":{"default":{"$tensor":"r"}}}', "optimizer: .*param_groups"),
    ('{"states":{"optimizer":{"class":"Adam","state":{"param_groups":[3]}}},"random":{"default":{"$tensor":"r"}}}', "optimizer: "),
    ('{"extra":{"$tensor":"x"}}', "there is no tensor 'x'"), ('{"extra":{"$float":"x"}}', r"unexpected \$float"), ('{"extra":{"$code":"x"}}', r"unexpected \$code"),
    ('{"extra":{"$dict":[[[],1]]}}', "unhashable"), ('{"extra":{"$dict":[1]}}', r"unexpected \$dict"), ('{"extra":{"$tuple":1}}', r"unexpected \$tuple"),
    ('{"extra":NaN}', "not JSON: NaN"), ('{"a":' + "9" * 5000 + "}", ""), ('{"extra":"' + "x" * (17 << 20) + '"}', "at most"),
])
def test_content_is_not_believed(path: Path, content: str | None, message: str) -> None:
    run = Run()
    run.train(1)
    before = run.bits()
    io.save_file({"r": pydl.get_rng_state() * 0}, path, {} if content is None else {"pydl.checkpoint": content})
    with pytest.raises(ValueError, match=f"load_checkpoint: .*c.safetensors: .*{message}"):
        io.load_checkpoint(path, optimizer=run.optimizer)
    assert run.bits() == before


def test_a_newer_format_is_refused(path: Path) -> None:
    io.save_checkpoint(path)
    metadata = io.read_metadata(path)
    io.save_file(io.load_file(path), path, {**metadata, "pydl.format_version": "2"})
    with pytest.raises(ValueError, match="load_checkpoint: .*written in format 2 by pydl .*update pydl"):
        io.load_checkpoint(path)


def test_the_file_is_ordinary_safetensors(path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy", reason="the safetensors package is not installed")
    run = Run()
    run.train(1)
    io.save_checkpoint(path, **run.parts(), step=1)
    theirs = package.load_file(path)
    np.testing.assert_array_equal(theirs["model.0.weight"], run.model[0].weight.detach().numpy())
    assert {"optimizer.state.0.exp_avg", "optimizer.state.3.max_exp_avg_sq", "random.default", "random.generator"} <= set(theirs)
    assert json.loads(io.read_metadata(path)["pydl.checkpoint"])["step"] == 1
