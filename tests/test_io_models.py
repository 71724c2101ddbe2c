"""Weights of models in files: tied ones, foreign ones, files of another model or of a newer pydl."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pydl
from pydl import io, nn


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.last = nn.Linear(4, 4)
        self.last.weight = self.first.weight


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.safetensors"


def values(model: nn.Module) -> dict[str, list]:
    return {name: x.tolist() for name, x in model.state_dict().items()}


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))


def test_there_and_back(path: Path) -> None:
    model, other = mlp(), mlp()
    io.save_model(model, path, {"format": "pt"}, arch={"layers": [3, 5, 2]})
    weight = other[0].weight
    result = io.load_model(other, path)
    assert values(other) == values(model) and other[0].weight is weight and weight.requires_grad
    assert result == ([], [])
    metadata = io.read_metadata(path)
    assert metadata == {"format": "pt", "pydl.format_version": "1", "pydl.version": pydl.__version__, "pydl.arch": '{"layers": [3, 5, 2]}'}


def test_tied_weights_are_written_once(path: Path) -> None:
    model, other = Tied(), Tied()
    io.save_model(model, path)
    assert list(io.load_file(path)) == ["first.weight", "first.bias", "last.bias"]
    assert json.loads(io.read_metadata(path)["pydl.aliases"]) == {"last.weight": "first.weight"}
    io.load_model(other, path)
    assert values(other) == values(model) and other.last.weight is other.first.weight


def test_tied_weights_load_into_a_model_without_ties(path: Path) -> None:
    model, untied = Tied(), Tied()
    untied.last = nn.Linear(4, 4)
    io.save_model(model, path)
    io.load_model(untied, path)
    assert values(untied) == values(model) and untied.last.weight is not untied.first.weight


@pytest.mark.parametrize("kept", ["first.weight", "last.weight"])
def test_foreign_files_without_one_name_of_a_tie(path: Path, kept: str) -> None:
    """PyTorch and Hugging Face drop either name, and do not say so in pydl's words."""
    model, other = Tied(), Tied()
    io.save_file({name: x for name, x in model.state_dict().items() if "bias" in name or name == kept}, path)
    io.load_model(other, path)
    assert values(other) == values(model)


def test_tied_weights_that_differ_in_the_file(path: Path) -> None:
    model = Tied()
    before = values(model)
    tensors = {name: x.clone() for name, x in model.state_dict().items()}
    io.save_file(tensors, path)
    io.load_model(model, path)
    io.save_file({**tensors, "last.weight": pydl.ones(4, 4)}, path)
    with pytest.raises(ValueError, match="load_model: .*m.safetensors: first.weight and last.weight are one tensor in the model, but differ"):
        io.load_model(model, path)
    assert values(model) == before


def test_views_of_one_memory_that_are_not_the_same_are_kept_apart(path: Path) -> None:
    model = nn.Module()
    base = pydl.arange(6.0)
    for name, view in {"a": base[:3], "b": base[1:4], "c": base[:2], "t": base.reshape(2, 3), "u": base.reshape(3, 2)}.items():
        model.register_buffer(name, view)
    io.save_model(model, path)
    assert {name: x.tolist() for name, x in io.load_file(path).items()} == values(model) and "pydl.aliases" not in io.read_metadata(path)


def test_empty_parameters_are_not_tied(path: Path) -> None:
    model = nn.Module()
    model.a, model.b = nn.Parameter(pydl.empty(0, 2)), nn.Parameter(pydl.empty(0, 2))
    io.save_model(model, path)
    assert list(io.load_file(path)) == ["a", "b"]


def test_another_models_file_changes_nothing(path: Path) -> None:
    model = mlp()
    before = values(model)
    io.save_model(nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.Linear(4, 1)), path)
    with pytest.raises(ValueError, match=r"load_model: .*m.safetensors: load_state_dict: (.|\n)*unexpected: 3.weight, 3.bias(.|\n)*\(4, 5\)"):
        io.load_model(model, path)
    assert values(model) == before


def test_not_strict_reports_what_is_missing(path: Path) -> None:
    model = mlp()
    io.save_file({"0.weight": pydl.ones(5, 3), "head": pydl.ones(1)}, path)
    with pytest.raises(ValueError, match="missing: 0.bias, 2.weight, 2.bias"):
        io.load_model(model, path)
    result = io.load_model(model, path, strict=False)
    assert result.missing_keys == ["0.bias", "2.weight", "2.bias"] and result.unexpected_keys == ["head"]
    assert model[0].weight.tolist() == [[1, 1, 1]] * 5


def test_half_precision_files(path: Path) -> None:
    model = nn.Linear(2, 1)
    io.save_file({"weight": np.array([[1.5, -2]], np.float16), "bias": np.array([0.25], np.float16)}, path)
    with pytest.raises(ValueError, match="load_model: .*tensor 'weight': F16 .*widen=True"):
        io.load_model(model, path)
    io.load_model(model, path, widen=True)
    assert values(model) == {"weight": [[1.5, -2]], "bias": [0.25]} and model.weight.dtype is pydl.float32


def test_shards_load_into_a_model(tmp_path: Path) -> None:
    model, other = Tied(), Tied()
    state = model.state_dict()
    io.save_file({"first.weight": state["first.weight"]}, tmp_path / "1.safetensors")
    io.save_file({"first.bias": state["first.bias"], "last.bias": state["last.bias"]}, tmp_path / "2.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"first.bias": "2.safetensors", "last.bias": "2.safetensors", "first.weight": "1.safetensors"}}))
    io.load_model(other, index)
    assert values(other) == values(model)


@pytest.mark.parametrize(("metadata", "message"), [
    ({"pydl.format_version": "2", "pydl.version": "9.1"}, "written in format 2 by pydl 9.1, but this one reads formats up to 1; update pydl"),
    ({"pydl.format_version": "x"}, "pydl.format_version: expected a number, got 'x'"),
    ({"pydl.format_version": "9" * 5000}, "pydl.format_version: expected a number"),
    ({"pydl.format_version": "²"}, "pydl.format_version: expected a number"),
    ({"pydl.aliases": "["}, "pydl.aliases: expected a JSON object"),
    ({"pydl.aliases": "[" * 100_000}, "pydl.aliases: expected a JSON object"),
    ({"pydl.aliases": '{"a": 1}'}, "pydl.aliases: expected a JSON object"),
    ({"pydl.aliases": '{"weight": "nowhere"}'}, "'weight' is said to be 'nowhere'"),
    ({"pydl.aliases": '{"weight": "bias"}'}, "'weight' is said to be 'bias', but that does not fit"),
])
def test_metadata_is_not_believed(path: Path, metadata: dict[str, str], message: str) -> None:
    model = nn.Linear(2, 1)
    before = values(model)
    io.save_file({"weight": pydl.ones(1, 2), "bias": pydl.ones(1)}, path, metadata)
    with pytest.raises(ValueError, match=f"load_model: .*m.safetensors: .*{message}"):
        io.load_model(model, path)
    assert values(model) == before


def test_misuse(path: Path) -> None:
    with pytest.raises(TypeError, match="save_model: expected a module, got dict; save_file and load_file"):
        io.save_model({}, path)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="save_model: arch: expected JSON data"):
        io.save_model(nn.Linear(1, 1), path, arch={"a": object()})
    with pytest.raises(ValueError, match="device must be 'cpu'"):
        io.load_model(nn.Linear(1, 1), path, device="cuda")
    assert not path.exists()


@pytest.mark.parity
def test_pytorchs_own_files_load_and_it_reads_pydls(path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    package = pytest.importorskip("safetensors.torch", reason="the safetensors package is not installed")
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Linear(5, 5), torch.nn.Linear(5, 5))
    theirs[2].weight = theirs[1].weight
    package.save_model(theirs, str(path))
    ours = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 5))
    ours[2].weight = ours[1].weight
    io.load_model(ours, path)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours(pydl.from_numpy(x)).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    io.save_model(ours, path)
    with torch.no_grad():
        for p in theirs.parameters():
            p.zero_()
    package.load_model(theirs, str(path))
    assert np.array_equal(theirs(torch.from_numpy(x)).detach().numpy(), expected)
