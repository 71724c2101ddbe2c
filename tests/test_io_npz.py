"""The .npz format: what NumPy writes and reads, and archives that lie."""
from __future__ import annotations

import io as bytesio
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import pydl
from pydl import io


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.npz"


def npy(array: np.ndarray) -> bytes:
    stream = bytesio.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def archive(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_there_and_back_and_numpy_agrees(path: Path, compressed: bool) -> None:
    tensors = {"a": pydl.arange(24.0).reshape(4, 6).T, "b.c": pydl.tensor([True, False]), "s": pydl.tensor(3, dtype=pydl.int64),
               "e": pydl.empty(0, 2, dtype=pydl.float64), "i": pydl.tensor([1, 2], dtype=pydl.int32), "u": pydl.full((1000,), 7, dtype=pydl.uint8)}
    io.save_npz(tensors, path, compressed=compressed)
    assert (path.stat().st_size < 2500) == compressed
    back = io.load_npz(path)
    with np.load(path, allow_pickle=False) as theirs:
        assert list(back) == list(tensors) == theirs.files
        for name, x in tensors.items():
            assert back[name].dtype is x.dtype
            np.testing.assert_array_equal(back[name].numpy(), x.numpy(), strict=True)
            np.testing.assert_array_equal(theirs[name], x.numpy(), strict=True)


def test_what_numpy_writes(path: Path) -> None:
    a = np.arange(24, dtype=np.float32).reshape(4, 6)
    arrays = {"f": np.asfortranarray(a), "be": a.astype(">f8"), "s": a[::2, ::-1], "z": np.float32(2).reshape(()), "e": np.zeros((3, 0), order="F")}
    np.savez(path, **arrays)  # type: ignore[arg-type]
    for name, x in io.load_npz(path).items():
        np.testing.assert_array_equal(x.numpy(), arrays[name])
    assert list(io.load_npz(path, names=["z"])) == ["z"]


def test_types_that_pydl_has_not(path: Path) -> None:
    np.savez(path, h=np.array([1.5, np.inf], np.float16), ok=np.ones(1))
    with pytest.raises(ValueError, match="load_npz: .*x.npz: array 'h': float16 of shape .2,.: .*widen=True converts it to float32"):
        io.load_npz(path)
    assert io.load_npz(path, names=["ok"])["ok"].tolist() == [1]
    assert io.load_npz(path, widen=True)["h"].tolist() == [1.5, np.inf] and io.load_npz(path, widen=True)["h"].dtype is pydl.float32
    np.savez(path, h=np.ones(1, np.complex128), t=np.array(["a"]))
    for name in ("h", "t"):
        with pytest.raises(ValueError, match=f"array '{name}': .*(expected numbers or bools)"):
            io.load_npz(path, names=[name], widen=True)


class Bomb:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("exploded",)


def test_objects_are_never_unpickled(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    np.savez(path, x=np.array([Bomb()], dtype=object))
    with pytest.raises(ValueError, match="array 'x': object of shape .1,.: expected numbers or bools"):
        io.load_npz(path)
    assert not Path("exploded").exists()
    with pytest.raises(TypeError, match="save_npz: x: .*object"):
        io.save_npz({"x": np.array([None])}, path)


def lying(shape: str, payload: bytes = bytes(16), descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + payload


@pytest.mark.parametrize(("data", "message"), [
    (lying("(1000000000000,)"), "expected 4000000000000 bytes, but there are 16"), (lying("(3,)"), "expected 12 bytes, but there are 16"),
    (lying("(-4,)"), "that no tensor can have"), (lying(f"({2**62}, 0, {2**62})"), "that no tensor can have"),
    (lying("(" + "1," * 17 + ")", bytes(4)), "that no tensor can have"), (lying("(True,)", bytes(4)), "that no tensor can have"), (lying("4"), "not a .npy file"),
    (lying("(4,)", descr="'|O'"), "expected numbers or bools"), (lying("(4,)", descr="[('a', '<f4')]"), "expected numbers or bools"),
    (lying("(3,)", b"\0\1\2", "'|b1'"), "expected bytes of 0 and 1, got 2"), (lying("(4,)", descr="__import__('os')"), "not a .npy file"),
    (b"", "not a .npy file"), (b"\x93NUMPY\x03\x00" + bytes(20), "version 1.0 or 2.0"), (b"\x93NUMPY\x02\x00" + b"\xff" * 20, "not a .npy file"),
    (lying("(" * 3000), "not a .npy file"),
], ids=range(15))
def test_headers_that_lie(path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=rf"load_npz: .*x\.npz: array 'a': .*{message}"):
        io.load_npz(archive(path, {"a.npy": data}))


def test_archives_that_lie(path: Path) -> None:
    good = npy(np.ones(3, np.float32))
    for members, message in (({"a.txt": good}, "ends in .npy"), ({"a.npy": good + b"x"}, "there are 13")):
        with pytest.raises(ValueError, match=f"load_npz: .*array 'a.*{message}"):
            io.load_npz(archive(path, members))
    with zipfile.ZipFile(path, "w") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("a.npy", good)
        file.writestr("a.npy", good)
    with pytest.raises(ValueError, match="array 'a': it stands twice"):
        io.load_npz(path)
    with pytest.raises(ValueError, match="array 'a': expected it plain or deflated, got compression 12"):
        io.load_npz(archive(path, {"a.npy": good}, zipfile.ZIP_BZIP2))
    with pytest.raises(ValueError, match="no array 'b' in the file, which has 'a'"):
        io.load_npz(archive(path, {"a.npy": good}), names=["b"])
    whole = archive(path, {"a.npy": good}).read_bytes()
    directory = whole.rindex(b"PK\x01\x02")
    path.write_bytes(whole[:directory + 24] + struct.pack("<I", 2**31) + whole[directory + 28:])
    with pytest.raises(ValueError, match=f"{len(good)} bytes in the file cannot hold the {2**31}"):
        io.load_npz(path)
    with pytest.raises(FileNotFoundError):
        io.load_npz(path.parent / "none.npz")


def test_members_that_overlap(path: Path) -> None:
    """Many names for the same bytes: a small file that would fill the memory."""
    whole = archive(path, {"a.npy": npy(np.ones(1000, np.float32))}).read_bytes()
    start, end = whole.rindex(b"PK\x01\x02"), whole.rindex(b"PK\x05\x06")
    record = whole[start:end]
    records = b"".join(record.replace(b"a.npy", name + b".npy") for name in (b"a", b"b", b"c"))
    path.write_bytes(whole[:start] + records + whole[end:end + 8] + struct.pack("<HHII", 3, 3, len(records), start) + whole[end + 20:])
    with pytest.raises(ValueError, match=f"the arrays overlap: they claim {3 * 4128} bytes of a file of"):
        io.load_npz(path)


def test_the_sum_of_an_empty_array_is_checked(path: Path) -> None:
    whole = archive(path, {"a.npy": npy(np.ones((0, 2), np.float32))}).read_bytes()
    assert io.load_npz(path)["a"].shape == (0, 2)
    path.write_bytes(whole.replace(b"(0, 2)", b"(0, 3)"))
    with pytest.raises(ValueError, match="load_npz: .*Bad CRC"):
        io.load_npz(path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_cut_and_flipped(path: Path, kind: int) -> None:
    """Every damage is a ValueError, or harms nothing."""
    expected = np.float32([1, 2, 3])
    whole = archive(path, {"a.npy": npy(expected)}, kind).read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="load_npz: "):
            io.load_npz(path)
    refused = 0
    for bit in range(8 * len(whole)):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        try:
            for x in io.load_npz(path, widen=True).values():
                np.testing.assert_array_equal(x.numpy(), expected)
        except ValueError:
            refused += 1
    assert refused > len(whole)
