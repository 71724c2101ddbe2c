"""The IDX format of the MNIST files: two zero bytes, a type code, the number of dimensions, the sizes as big-endian
32-bit numbers, then the values in row-major order, big-endian. Plain or compressed with gzip.

Nothing that the file says is believed before it is checked, and never more is decompressed than its header promises.
"""

import gzip
import math
import os
import struct
import zlib
from typing import IO

import numpy as np

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_DIMS = 16                  # what a pydl tensor can have
DEFLATE_LIMIT = 1032            # a deflate stream never expands by more than this factor
CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an IDX file, plain or gzip (told apart by content, not by name).

    path -> an array with the file's shape and type, in native byte order, writable. Raises FileNotFoundError where there
    is no such file, and ValueError, naming the file, where it is not exactly what its header says: wrong magic number or
    type code, sizes that overflow or do not agree with the file, a file cut short, bytes after the end, damaged gzip.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not compressed:
            return parse(file, path, size, exact=True)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return parse(stream, path, size * DEFLATE_LIMIT, exact=False)      # type: ignore[arg-type]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"read_idx: {path}: damaged gzip file: {error}") from error


def parse(stream: IO[bytes], path: str, most_bytes: int, exact: bool) -> np.ndarray:
    """Reads one array. `most_bytes`: what the file can hold at most, or (exact) holds."""
    shape, kind, header = parse_header(stream, path)
    promised = math.prod(shape) * kind.itemsize
    if math.prod(n for n in shape if n) * kind.itemsize >= 2**63:
        raise ValueError(f"read_idx: {path}: the sizes {shape} overflow")
    if header + promised > most_bytes:
        raise ValueError(f"read_idx: {path}: cut short: the header promises {promised} bytes of shape {shape}, "
                         f"but the file can hold only {max(most_bytes - header, 0)}")
    if exact and header + promised < most_bytes:
        raise ValueError(f"read_idx: {path}: {most_bytes - header - promised} bytes after the end of the data "
                         f"(shape {shape}, {promised} bytes)")
    data = bytearray()
    while len(data) < promised:
        chunk = stream.read(min(CHUNK, promised - len(data)))
        if not chunk:
            raise ValueError(f"read_idx: {path}: cut short: the header promises {promised} bytes of shape {shape}, "
                             f"got {len(data)}")
        data += chunk
    if stream.read(1):          # also makes gzip check its sums
        raise ValueError(f"read_idx: {path}: bytes after the end of the data (shape {shape}, {promised} bytes)")
    return np.frombuffer(data, dtype=kind).reshape(shape).astype(kind.newbyteorder("="), copy=False)


def parse_header(stream: IO[bytes], path: str) -> tuple[tuple[int, ...], np.dtype, int]:
    """-> shape, dtype, length of the header in bytes."""
    magic = read_exactly(stream, 4, path, "magic number")
    if magic[0] or magic[1] or magic[2] not in TYPES:
        raise ValueError(f"read_idx: {path}: not an IDX file: expected 00 00, a type code of "
                         f"{' '.join(f'{code:02x}' for code in TYPES)} and the number of dimensions, got {magic.hex(' ')}")
    ndim = magic[3]
    if not 1 <= ndim <= MOST_DIMS:
        raise ValueError(f"read_idx: {path}: expected 1 to {MOST_DIMS} dimensions, got {ndim}")
    shape = struct.unpack(f">{ndim}I", read_exactly(stream, 4 * ndim, path, f"{ndim} sizes"))
    return shape, np.dtype(TYPES[magic[2]]), 4 + 4 * ndim


def read_exactly(stream: IO[bytes], count: int, path: str, what: str) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise ValueError(f"read_idx: {path}: cut short: {what}: expected {count} bytes, got {len(data)}")
    return data
