"""safetensors files: values there and back, foreign types, shards, and headers that lie."""
from __future__ import annotations

import json
import os
import stat
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pydl
from pydl import io

DTYPES = [pydl.float32, pydl.float64, pydl.int64, pydl.int32, pydl.uint8, pydl.bool]


def raw_file(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    """A file with any header: an object, or text."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.safetensors"


# There and back

@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 5), (2, 3, 4), (1,) * 16])
def test_there_and_back(path: Path, dtype: pydl.dtype, shape: tuple[int, ...]) -> None:
    x = pydl.tensor(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2, dtype=dtype)
    io.save_file({"x": x, "y": x + x if dtype is not pydl.bool else x}, path)
    back = io.load_file(path)
    assert list(back) == ["x", "y"] and back["x"].dtype is dtype and back["x"].shape == shape
    np.testing.assert_array_equal(back["x"].numpy(), x.numpy())
    np.testing.assert_array_equal(back["y"].numpy(), x.numpy() * (1 if dtype is pydl.bool else 2))


def test_special_values_keep_their_bits(path: Path) -> None:
    bits = np.array([0x7FC00001, 0x7F800000, 0xFF800000, 0x80000000, 1, 0x7F7FFFFF], np.uint32)
    io.save_file({"x": bits.view(np.float32)}, path)
    assert io.load_file(path)["x"].numpy().view(np.uint32).tolist() == bits.tolist()


LAYOUTS = {
    "transposed": lambda a: a.T, "strided": lambda a: a[::2, 1:], "negative": lambda a: a[::-1, ::-1],
    "broadcast": lambda a: np.broadcast_to(a[0], (5, 6)), "fortran": np.asfortranarray, "big-endian": lambda a: a.astype(">f4"),
    "scalar": lambda a: a[1:2, 1:2].reshape(()), "misaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), np.float32, offset=1).reshape(a.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_is_written_row_major(path: Path, layout: str) -> None:
    """The `safetensors` package writes the bytes as they lie in memory, and so wrong values, for these."""
    array = LAYOUTS[layout](np.arange(24, dtype=np.float32).reshape(4, 6))
    expected = np.array(array.tolist(), np.float32).reshape(array.shape)
    io.save_file({"x": array}, path)
    np.testing.assert_array_equal(io.load_file(path)["x"].numpy(), expected, strict=True)
    assert path.read_bytes().endswith(expected.tobytes())


def test_tensors_of_any_layout(path: Path) -> None:
    x = pydl.arange(24.0).reshape(4, 6).requires_grad_()
    io.save_file({"t": x.T, "s": x[::2, 1:], "e": x[0].expand(3, 6), "leaf": x}, path)
    back = io.load_file(path)
    for name, view in {"t": x.T, "s": x[::2, 1:], "e": x[0].expand(3, 6), "leaf": x}.items():
        np.testing.assert_array_equal(back[name].numpy(), view.detach().numpy())
        assert back[name].is_contiguous() and not back[name].requires_grad


def test_loaded_tensors_own_their_memory(path: Path) -> None:
    io.save_file({"a": pydl.ones(3), "b": pydl.ones(3)}, path)
    before = path.read_bytes()
    first, second = io.load_file(path), io.load_file(path)
    first["a"].fill_(7)
    assert second["a"].tolist() == [1, 1, 1] == first["b"].tolist() and path.read_bytes() == before


def test_data_is_aligned_in_the_file_and_in_memory(path: Path) -> None:
    """One uint8 before a float64 must not push it off its alignment."""
    io.save_file({"a": pydl.ones(3, dtype=pydl.uint8), "b": pydl.ones(2, dtype=pydl.float64), "c": pydl.ones(1)}, path)
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + length])
    assert length % 8 == 0
    for name, size in (("a", 1), ("b", 8), ("c", 4)):
        assert (8 + length + header[name]["data_offsets"][0]) % size == 0, name
    assert all(x.data_ptr() % 16 == 0 for x in io.load_file(path).values())


def test_unaligned_foreign_data_loads(path: Path) -> None:
    raw_file(path, json.dumps({"a": entry("U8", [3], 0, 3), "x": entry("F64", [2], 3, 19)}) + " " * 3,
             bytes(3) + np.array([1.5, -2.5]).tobytes())
    assert io.load_file(path)["x"].tolist() == [1.5, -2.5]


def test_same_tensors_same_bytes_whatever_the_order(path: Path) -> None:
    a, b = pydl.ones(2), pydl.zeros(3, dtype=pydl.int64)
    io.save_file({"a": a, "b": b}, path)
    first = path.read_bytes()
    io.save_file({"a": a, "b": b}, path)
    assert path.read_bytes() == first
    io.save_file({"b": b, "a": a}, path)
    assert list(io.load_file(path)) == ["b", "a"], "the order of a state_dict survives"


def test_metadata(path: Path) -> None:
    text = {"a": "1", "json": json.dumps({"x": [1, '"']}), "ü\n": "\\ \u2028 \U0001f600", "": ""}
    io.save_file({"x": pydl.ones(1)}, path, text)
    assert io.read_metadata(path) == text
    io.save_file({}, path)
    assert io.read_metadata(path) == {} == io.load_file(path)


def test_names(path: Path) -> None:
    names = ["", "a.b", "ä", 'quo"te', "new\nline", "\U0001f600", "a\\u0041"]
    io.save_file({name: pydl.full((1,), i) for i, name in enumerate(names)}, path)
    assert {name: x.item() for name, x in io.load_file(path).items()} == {name: i for i, name in enumerate(names)}
    assert list(io.load_file(path, names=["ä", "a.b"])) == ["ä", "a.b"]


def test_what_cannot_be_written_is_refused_and_leaves_the_old_file(path: Path) -> None:
    io.save_file({"x": pydl.ones(1)}, path)
    before = path.read_bytes()
    for tensors, metadata, kind, message in (
        ({"x": 3.0}, None, TypeError, "x: expected a Tensor or a NumPy array, got float"),
        ({3: pydl.ones(1)}, None, TypeError, "expected a str as the name of a tensor, got int"),
        ({"__metadata__": pydl.ones(1)}, None, ValueError, "__metadata__"),
        ({"x": np.array(["a"])}, None, TypeError, "x: a safetensors file has no type for <U1"),
        ({"x": np.array([None])}, None, TypeError, "object"),
        ([pydl.ones(1)], None, TypeError, "expected a mapping"),
        ({"x": pydl.ones(1)}, {"step": 3}, TypeError, "metadata: expected text to text, got 'step': int"),
        ({"\ud800": pydl.ones(1)}, None, ValueError, "x.safetensors"),
        ({"x": pydl.ones(1)}, {"a": "b" * 100_000_000}, ValueError, "100000000 are allowed"),
    ):
        with pytest.raises(kind, match=message):
            io.save_file(tensors, path, metadata)  # type: ignore[arg-type]
        assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_permissions_and_links(path: Path, tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        io.save_file({}, path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640, "as open() makes it"
    path.chmod(0o604)
    link = tmp_path / "link.safetensors"
    link.symlink_to(path.name)
    io.save_file({"x": pydl.ones(1)}, link)
    assert link.is_symlink() and list(io.load_file(path)) == ["x"] and stat.S_IMODE(path.stat().st_mode) == 0o604
    with pytest.raises(ValueError, match="save_file: .*expected the name of a file"):
        io.save_file({}, tmp_path)
    with pytest.raises(FileNotFoundError):
        io.save_file({}, tmp_path / "none" / "x.safetensors")


# Types that pydl has not

HALVES = np.array([0, -0.0, 1, -1.5, 65504, 6e-8, np.inf, -np.inf, np.nan], np.float16)


def test_foreign_types_are_refused_with_the_remedy_and_converted_on_demand(path: Path) -> None:
    arrays = {"f16": HALVES, "i8": np.array([-128, 127], np.int8), "i16": np.array([-2**15, 2**15 - 1], np.int16),
              "u16": np.array([2**16 - 1], np.uint16), "u32": np.array([2**32 - 1], np.uint32)}
    types = {"f16": pydl.float32, "i8": pydl.int32, "i16": pydl.int32, "u16": pydl.int32, "u32": pydl.int64}
    for name, array in arrays.items():
        io.save_file({"ok": pydl.ones(1), name: array}, path)
        with pytest.raises(ValueError, match=rf"load_file: .*x.safetensors: tensor '{name}': .*widen=True converts it to {types[name].name}"):
            io.load_file(path)
        assert io.load_file(path, names=["ok"])["ok"].tolist() == [1]
        back = io.load_file(path, widen=True)[name]
        assert back.dtype is types[name]
        np.testing.assert_array_equal(back.numpy(), array.astype(back.numpy().dtype))


def test_bfloat16(path: Path) -> None:
    bits = np.array([0x3F80, 0xBFC0, 0x7F80, 0x0001, 0x8000], np.uint16)
    raw_file(path, {"x": entry("BF16", [5], 0, 10), "s": entry("BF16", [], 10, 12)}, bits.tobytes() + bits[:1].tobytes())
    with pytest.raises(ValueError, match="tensor 'x': BF16 of shape.*widen=True"):
        io.load_file(path)
    back = io.load_file(path, widen=True)
    assert back["x"].tolist() == [1, -1.5, np.inf, 2.0**-133, 0] and np.signbit(back["x"].numpy()[4])
    assert back["s"].shape == () and back["s"].item() == 1


def test_one_float8_tensor_does_not_spoil_the_others(path: Path) -> None:
    """The `safetensors` package fails on the whole file."""
    raw_file(path, {"a": entry("F8_E5M2", [4], 0, 4), "b": entry("F8_E4M3", [6], 4, 10), "c": entry("U8", [1], 10, 11)},
             bytes([0x3C, 0xC0, 0x7C, 0x01]) + bytes([0x38, 0xC0, 0x7E, 0x01, 0x7F, 0x08]) + b"\x05")
    assert io.load_file(path, names=["c"])["c"].tolist() == [5]
    with pytest.raises(ValueError, match="tensor 'a': F8_E5M2"):
        io.load_file(path)
    back = io.load_file(path, widen=True)
    assert back["a"].tolist() == [1, -2, np.inf, 2.0**-16]
    np.testing.assert_array_equal(back["b"].numpy(), np.float32([1, -2, 448, 2.0**-9, np.nan, 2.0**-6]))


@pytest.mark.parametrize(("dtype", "size"), [("F4", 1), ("F8_E8M0", 2), ("U64", 16), ("C64", 16), ("F32 ", 9), ("", 1)])
def test_types_that_nothing_holds_are_refused_one_by_one(path: Path, dtype: str, size: int) -> None:
    raw_file(path, {"a": entry(dtype, [2], 0, size), "c": entry("U8", [1], size, size + 1)}, bytes(size + 1))
    for widen in (False, True):
        with pytest.raises(ValueError, match=rf"tensor 'a': {dtype} of shape \[2\]: pydl has no such type, and none"):
            io.load_file(path, widen=widen)
    assert io.load_file(path, names=["c"])["c"].tolist() == [0]


# Headers that lie

F = "F32"
MALFORMED: dict[str, tuple[Any, bytes, str]] = {
    "hole": ({"a": entry(F, [1], 0, 4), "b": entry(F, [1], 8, 12)}, bytes(12), "tensor 'b': .*leaves a hole behind tensor 'a'"),
    "hole at the start": ({"a": entry(F, [1], 4, 8)}, bytes(8), "tensor 'a': .*leaves a hole behind the header"),
    "overlap": ({"a": entry(F, [2], 0, 8), "b": entry(F, [1], 4, 8)}, bytes(8), "tensor 'b': .*overlaps tensor 'a'"),
    "same place": ({"a": entry(F, [1], 0, 4), "b": entry(F, [1], 0, 4)}, bytes(4), "tensor 'b': .*overlaps"),
    "trailing": ({"a": entry(F, [1], 0, 4)}, bytes(5), "1 bytes after the end"),
    "truncated": ({"a": entry(F, [2], 0, 8)}, bytes(7), "tensor 'a': .*ends at byte 8, but the file holds only 7"),
    "out of range": ({"a": entry(F, [2**40], 0, 2**42)}, bytes(8), "tensor 'a': .*holds only 8"),
    "swapped": ({"a": entry(F, [1], 4, 0)}, bytes(4), "tensor 'a': .*ends at byte 0, before"),
    "too small": ({"a": entry(F, [2], 0, 4)}, bytes(4), "tensor 'a': .*expected 8 bytes, but data_offsets span 4"),
    "too large": ({"a": entry(F, [1], 0, 8)}, bytes(8), "tensor 'a': .*expected 4 bytes"),
    "overflow": ({"a": entry(F, [2**62, 4], 0, 0)}, b"", "tensor 'a': .*expected 73786976294838206464 bytes"),
    "zero times huge": ({"a": entry(F, [0, 2**62, 2**62], 0, 0)}, b"", "tensor 'a': .*overflow"),
    "negative": ({"a": entry(F, [-1], 0, 4)}, bytes(4), r"sizes \(tensor 'a': shape\)"),
    "fraction": ({"a": entry(F, [1.5], 0, 4)}, bytes(4), r"tensor 'a': shape"),  # type: ignore[list-item]
    "bool": ({"a": {"dtype": F, "shape": [True], "data_offsets": [0, 4]}}, bytes(4), "tensor 'a': shape"),
    "many digits": ('{"a":{"dtype":"F32","shape":[' + "9" * 5000 + '],"data_offsets":[0,4]}}', bytes(4), "tensor 'a': shape"),
    "rank 17": ({"a": entry(F, [1] * 17, 0, 4)}, bytes(4), "tensor 'a': .*at most 16 dimensions"),
    "rank 65": ({"a": entry(F, [1] * 65, 0, 4)}, bytes(4), "at most 64 sizes .tensor 'a'"),
    "rank a million": ({"a": entry(F, [9999999999] * 1_000_000, 0, 4)}, bytes(4), "at most 64 sizes"),
    "duplicate": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
                  bytes(8), "tensor 'a' stands twice"),
    "duplicate by escape": ('{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}',
                            bytes(2), "tensor 'a' stands twice"),
    "duplicate field": ('{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}', bytes(4), "tensor 'a': 'shape' stands twice"),
    "duplicate dtype": ('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4), "'dtype' stands twice"),
    "duplicate metadata": ('{"__metadata__":{},"__metadata__":{}}', b"", "'__metadata__' stands twice"),
    "duplicate text": ('{"__metadata__":{"a":"","a":""}}', b"", "metadata 'a' stands twice"),
    "extra field": ({"a": {**entry(F, [1], 0, 4), "x": "y"}}, bytes(4), "tensor 'a': unexpected 'x'"),
    "no shape": ({"a": {"dtype": F, "data_offsets": [0, 4]}}, bytes(4), "tensor 'a': expected dtype, shape and data_offsets, got data_offsets, dtype"),
    "no dtype": ({"a": {"shape": [1], "data_offsets": [0, 4]}}, bytes(4), "tensor 'a': expected dtype"),
    "three offsets": ({"a": {"dtype": F, "shape": [1], "data_offsets": [0, 4, 8]}}, bytes(4), "tensor 'a': expected two data_offsets, got 3"),
    "metadata not text": ({"__metadata__": {"a": 1}}, b"", "expected a string"),
    "a list": ([], b"", "expected '{' at character 0"),
    "empty header": ("", b"", "expected '{' at character 0, got the end"),
    "not JSON": ("{'a': 1}", b"", "expected a string at character 1"),
    "bad escape": ('{"\\x":1}', b"", "not JSON"),
    "text behind": ("{}x", b"", "expected the end of the header"),
    "comma at the end": ('{"__metadata__":{},}', b"", "expected a string"),
    "open": ('{"a":', b"", "got the end"),
    "deep lists": ('{"a":' + "[" * 100_000, b"", "expected '{'"),
    "deep objects": ('{"a":' * 100_000, b"", "unexpected 'a'"),
    "bool of 2": ({"a": entry("BOOL", [3], 0, 3)}, b"\0\1\2", "tensor 'a': .*expected bytes of 0 and 1, got 2"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files_are_refused_by_file_and_tensor(path: Path, case: str) -> None:
    header, data, message = MALFORMED[case]
    raw_file(path, header, data)
    with pytest.raises(ValueError, match=rf"^load_file: .*x\.safetensors: .*{message}"):
        io.load_file(path)


@pytest.mark.parametrize(("content", "message"), [
    (b"", "expected 8 bytes or more, got 0"), (b"1234567", "got 7"), (bytes(8), "expected '{'"),
    ((2**63).to_bytes(8, "little") + b"{}", "header would be 9223372036854775808 bytes"),
    ((100_000_001).to_bytes(8, "little") + b"{}", "at most 100000000 are allowed"),
    ((99_999_999).to_bytes(8, "little") + b"{}", "cut short: the header is 99999999 bytes long, but only 2"),
    ((2).to_bytes(8, "little") + b"\xff{", "not UTF-8"),
])
def test_lying_lengths(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"load_file: .*{message}"):
        io.load_file(path)


def test_padding_and_empty_tensors_are_fine(path: Path) -> None:
    raw_file(path, " {} \n ")
    assert io.load_file(path) == {}
    raw_file(path, {"a": entry(F, [0], 4, 4), "b": entry(F, [], 0, 4), "c": entry(F, [3, 0], 0, 0)}, bytes(4))
    assert {name: x.shape for name, x in io.load_file(path).items()} == {"a": (0,), "b": (), "c": (3, 0)}


@pytest.mark.parametrize("text", ['{"a":' + "[" * 2_000_000, '{"a":[' + "[]," * 1_000_000, '{"a":[' + "0," * 1_000_000,
                                  '{"__metadata__":{"' + r"\n" * 1_000_000], ids=["deep", "wide", "long", "escapes"])
def test_hostile_headers_take_little_memory(path: Path, text: str) -> None:
    """A parser of any JSON makes twenty times as much of the second."""
    raw_file(path, text)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):
            io.load_file(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(text), f"{peak} bytes for a header of {len(text)}"


def small_file(path: Path) -> bytes:
    io.save_file({"a": pydl.arange(3.0), "b": pydl.tensor([True, False])}, path, {"k": "v"})
    return path.read_bytes()


def test_files_cut_at_every_byte(path: Path) -> None:
    whole = small_file(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="load_file: "):
            io.load_file(path)


def test_every_bit_flipped(path: Path) -> None:
    """A flipped bit gives other values or names, or a ValueError; nothing else ever comes out."""
    whole = small_file(path)
    refused = 0
    for bit in range(8 * len(whole)):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        try:
            assert all(isinstance(x, pydl.Tensor) for x in io.load_file(path, widen=True).values())
        except ValueError:
            refused += 1
    assert refused > len(whole), "hardly anything is checked"


@settings(max_examples=300, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["F32", "U8", "dtype"]),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["dtype", "shape", "data_offsets", "__metadata__", "a", ""]), inner, max_size=4)),
       st.binary(max_size=16))
def test_any_json_is_a_file_or_a_valueerror(tmp_path_factory: pytest.TempPathFactory, header: Any, data: bytes) -> None:
    path = raw_file(tmp_path_factory.getbasetemp() / "any.safetensors", header, data)
    try:
        assert sum(x.nbytes for x in io.load_file(path).values()) == len(data)
    except ValueError as error:
        assert "any.safetensors" in str(error)


def test_a_file_that_shrinks_while_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydl.io import files

    io.save_file({"x": pydl.ones(100)}, path)
    original = files.read_header

    def shrink(file: Any) -> Any:
        header = original(file)
        os.truncate(path, header.start + 10)
        return header

    monkeypatch.setattr(files, "read_header", shrink)
    with pytest.raises(ValueError, match="tensor 'x': .*cut short: 390 bytes are missing"):
        io.load_file(path)


def test_other_misuse(path: Path) -> None:
    io.save_file({"x": pydl.ones(1)}, path)
    with pytest.raises(ValueError, match="no tensor 'y' in the file, which has 'x'"):
        io.load_file(path, names=["y"])
    with pytest.raises(ValueError, match="device must be 'cpu', got 'cuda'"):
        io.load_file(path, "cuda")
    with pytest.raises(FileNotFoundError):
        io.load_file(path.parent / "none.safetensors")
    with pytest.raises(IsADirectoryError):
        io.load_file(path.parent)


# Shards

def shards(folder: Path, weight_map: Any, **content: Any) -> Path:
    io.save_file({"a": pydl.ones(2), "b": pydl.zeros(3)}, folder / "m-1.safetensors", {"format": "pt"})
    io.save_file({"c": pydl.full((4,), 7)}, folder / "m-2.safetensors", {"format": "pt"})
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 36}, "weight_map": weight_map, **content}))
    return index


def test_sharded_files(tmp_path: Path) -> None:
    index = shards(tmp_path, {"c": "m-2.safetensors", "a": "m-1.safetensors", "b": "m-1.safetensors"})
    assert {name: x.tolist() for name, x in io.load_file(index).items()} == {"c": [7] * 4, "a": [1] * 2, "b": [0] * 3}
    assert list(io.load_file(index)) == ["c", "a", "b"] and list(io.load_file(index, names=["b"])) == ["b"]
    assert io.read_metadata(index) == {"format": "pt"}


@pytest.mark.parametrize("shard", ["../x.safetensors", "/etc/x.safetensors", "sub/x.safetensors", "passwd", "", "..", "x\0.safetensors", 3, None])
def test_shards_lie_beside_their_index(tmp_path: Path, shard: Any) -> None:
    with pytest.raises(ValueError, match="index.json: tensor 'a': expected the name of a .safetensors file beside the index"):
        io.load_file(shards(tmp_path, {"a": shard}))


def test_bad_indices(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="m-2.safetensors: no tensor 'a' in the file, which has 'c'"):
        io.load_file(shards(tmp_path, {"a": "m-2.safetensors"}))
    with pytest.raises(FileNotFoundError):
        io.load_file(shards(tmp_path, {"a": "m-3.safetensors"}))
    with pytest.raises(ValueError, match="no tensor 'z' in the index, which has 'a'"):
        io.load_file(shards(tmp_path, {"a": "m-1.safetensors"}), names=["z"])
    index = tmp_path / "x.index.json"
    for text, message in (("", "Expecting value"), ("[]", "weight_map"), ('{"weight_map": []}', "weight_map"), ("[" * 200_000, "deeply"),
                          ('{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}', "'a' stands twice"), (" " * (17 << 20), "longer than")):
        index.write_text(text)
        with pytest.raises(ValueError, match=f"load_file: .*x.index.json: .*{message}"):
            io.load_file(index)


# The `safetensors` package and PyTorch

def test_the_package_reads_what_pydl_writes(path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy", reason="the safetensors package is not installed")
    safetensors = pytest.importorskip("safetensors")
    arrays = {str(d): np.arange(7).astype(d) for d in "f4 f8 i8 i4 u1 ? f2 i2 u4".split()} | {"e": np.zeros((0, 2)), "s": np.array(3, np.float32)}
    io.save_file(arrays, path, {"k": "ü"})
    back = package.load_file(path)
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array, strict=True)
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata() == {"k": "ü"}


def test_pydl_reads_what_the_package_writes(path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy", reason="the safetensors package is not installed")
    arrays = {d: np.arange(7).astype(d) for d in "f4 f8 i8 i4 u1 ?".split()} | {"e": np.zeros((0, 2)), "ü\"": np.array(3, np.float32)}
    package.save_file(arrays, path, {"k": "\\ \" ü \n"})
    assert io.read_metadata(path) == {"k": "\\ \" ü \n"}
    for name, x in io.load_file(path).items():
        np.testing.assert_array_equal(x.numpy(), arrays[name], strict=True)


@pytest.mark.parity
def test_small_floats_are_pytorchs(path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for kind, dtype, bits in (("F8_E4M3", torch.float8_e4m3fn, np.arange(256, dtype=np.uint8)), ("F8_E5M2", torch.float8_e5m2, np.arange(256, dtype=np.uint8)),
                              ("BF16", torch.bfloat16, np.arange(65536, dtype=np.uint16)), ("F16", torch.float16, np.arange(65536, dtype=np.uint16))):
        raw_file(path, {"x": entry(kind, [len(bits)], 0, bits.nbytes)}, bits.tobytes())
        expected = torch.from_numpy(bits).view(dtype).to(torch.float32).numpy()
        np.testing.assert_array_equal(io.load_file(path, widen=True)["x"].numpy(), expected)
