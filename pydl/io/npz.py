"""NumPy's .npz files: a zip of .npy files. Never pickle.

np.load believes the sizes that an array claims, and reports damage by a dozen kinds of exception; here every member is held
against its own header and the size of the file before its array is made.
"""

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import IO, Any

import numpy as np

from pydl.io.files import KINDS, MOST_DIMS, NATIVE, WIDER, array_of, check_bools, fill, remedy, widened
from pydl.io.replace import Path, replacing
from pydl.tensor import Tensor, from_numpy

DEFLATE_LIMIT = 1032            # a deflate stream never expands by more than this factor
ENCRYPTED = 1
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, OverflowError, OSError)


def save_npz(tensors: Mapping[str, Tensor | np.ndarray], filename: Path, *, compressed: bool = False) -> None:
    """Writes tensors, by name, to a .npz file, as np.savez does; the old file stays if anything fails.

    The name is taken as it is: nothing is appended. Raises TypeError for what is no tensor or array, or is of a type that
    load_npz could not read, OSError where the file cannot be written.
    """
    if not isinstance(tensors, Mapping):
        raise TypeError(f"save_npz: tensors: expected a mapping of names to tensors, got {type(tensors).__name__}")
    arrays = {name: array_of("save_npz", name, tensor) for name, tensor in tensors.items()}
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with replacing("save_npz", filename) as file, zipfile.ZipFile(file, "w", kind) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def load_npz(filename: Path, *, names: Iterable[str] | None = None, widen: bool = False) -> dict[str, Tensor]:
    """The arrays of a .npz file as tensors.

    names: only these. widen=True converts types that pydl has not, exactly: float16 to float32, int8, int16 and uint16 to
    int32, uint32 to int64; otherwise they raise ValueError, and so does, naming file and array, whatever is wrong with the
    file, arrays of Python objects included. A compressed file can hold 1,032 times its size, and no more is ever allocated.
    """
    path = os.fsdecode(filename)
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = members_of(archive, os.fstat(file.fileno()).st_size)
                chosen = list(members) if names is None else list(names)
                return {name: read_member(archive, members, name, widen) for name in chosen}
        except DAMAGE as error:
            raise ValueError(f"load_npz: {path}: not a .npz file, or damaged: {error}") from error
        except ValueError as error:
            raise ValueError(f"load_npz: {path}: {error}") from None


def members_of(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Name of array -> its place. What the archive says of sizes is held against the size of the file."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        where = f"array {name!r}"
        if name == info.filename:
            raise ValueError(f"{where}: expected a name that ends in .npy")
        if name in found:
            raise ValueError(f"{where}: it stands twice in the file")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & ENCRYPTED:
            raise ValueError(f"{where}: expected it plain or deflated, got compression {info.compress_type}, flags {info.flag_bits:#x}")
        if info.file_size > info.compress_size * (1 if info.compress_type == zipfile.ZIP_STORED else DEFLATE_LIMIT):
            raise ValueError(f"{where}: {info.compress_size} bytes in the file cannot hold the {info.file_size} that it claims")
        found[name] = info
    packed = sum(info.compress_size for info in found.values())
    if packed > size:
        raise ValueError(f"the arrays overlap: they claim {packed} bytes of a file of {size}")
    return found


def read_member(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, widen: bool) -> Tensor:
    if name not in members:
        raise ValueError(f"no array {name!r} in the file, which has {', '.join(map(repr, list(members)[:5])) or 'none'}")
    where = f"array {name!r}"
    with archive.open(members[name]) as member:
        shape, fortran, dtype, length = npy_header(member, where)
        rest = members[name].file_size - length
        kind = KINDS.get(dtype.newbyteorder("<"))
        where = f"{where}: {dtype} of shape {shape}"
        if kind is None:
            raise ValueError(f"{where}: expected numbers or bools")
        if kind not in NATIVE and not (widen and kind in WIDER):
            raise ValueError(f"{where}: {remedy(kind)}")
        if math.prod(shape) * dtype.itemsize != rest:
            raise ValueError(f"{where}: expected {math.prod(shape) * dtype.itemsize} bytes, but there are {rest}")
        stored = np.empty(shape[::-1] if fortran else shape, dtype)
        fill(member, stored, where)         # zipfile checks the sum when the last byte is read
    check_bools(stored, where)
    values = np.ascontiguousarray(stored.T) if fortran else stored
    native = values.astype(dtype.newbyteorder("="), copy=False)
    return from_numpy(native if kind in NATIVE else widened(kind, native))


def npy_header(member: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, Any, int]:
    """-> shape, whether in Fortran's order, dtype, length of all of the header."""
    try:
        version = np.lib.format.read_magic(member)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"expected version 1.0 or 2.0 of the .npy format, got {version}")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(member)
    except Exception as error:              # whatever Python's own parser and tokenizer raise
        raise ValueError(f"{where}: not a .npy file: {str(error)[:200]}") from None
    if any(type(n) is not int or n < 0 for n in shape) or len(shape) > MOST_DIMS or math.prod(n for n in shape if n) >= 2**59:
        raise ValueError(f"{where}: sizes {shape} that no tensor can have")
    return shape, fortran, dtype, member.tell()
