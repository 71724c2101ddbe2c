"""safetensors files: tensors by name and text, no code. https://github.com/huggingface/safetensors"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import IO, Any

import numpy as np

from pydl._core.dtypes import bool as bool8
from pydl._core.dtypes import dtype as DType
from pydl._core.dtypes import float32, float64, int32, int64, uint8
from pydl.io.header import METADATA, STORED, Entry, Header, make_header, read_header
from pydl.io.replace import Path, replacing
from pydl.tensor import Tensor, empty, from_numpy

NATIVE: dict[str, DType] = {"F32": float32, "F64": float64, "I64": int64, "I32": int32, "U8": uint8, "BOOL": bool8}
WIDER: dict[str, DType] = {"F16": float32, "BF16": float32, "F8_E4M3": float32, "F8_E5M2": float32,
                           "I8": int32, "I16": int32, "U16": int32, "U32": int64}
KINDS = {dtype: kind for kind, dtype in STORED.items() if kind != "BF16" and not kind.startswith("F8")}
MOST_DIMS = 16                      # of a pydl tensor
MOST_INDEX = 16 << 20               # bytes of the index of a sharded file


def save_file(tensors: Mapping[str, Tensor | np.ndarray], filename: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Writes tensors, by name, and metadata (text to text) to a safetensors file; the old file stays if anything fails.

    Tensors and NumPy arrays of any layout and byte order; arrays may also have types that only the file knows (float16,
    int8, ...). Tensors that share memory are written one by one: `save_model` writes tied weights once. The same tensors
    give the same bytes. Raises TypeError for what is no tensor or array, or has a type that the format has not, ValueError
    for a name or metadata that cannot be written, OSError where the file cannot be.

    >>> import pydl
    >>> save_file({"weight": pydl.ones(2, 3)}, "layer.safetensors")
    >>> load_file("layer.safetensors")["weight"].shape
    (2, 3)
    """
    write_tensors("save_file", tensors, filename, {} if metadata is None else metadata)


def load_file(filename: Path, device: str = "cpu", *, names: Iterable[str] | None = None, widen: bool = False) -> dict[str, Tensor]:
    """The tensors of a safetensors file, in the order of its header.

    A name that ends in `.index.json` is the index of a sharded file: its shards are read from the same folder. names: only
    these. widen=True converts types that pydl does not compute with to the next that holds every value: float16, bfloat16 and
    float8 to float32, int8, int16 and uint16 to int32, uint32 to int64; otherwise they raise ValueError, and so does,
    naming file and tensor, whatever is wrong with the file. Nothing is allocated before the header is found to be true.
    """
    if str(device) != "cpu":
        raise ValueError(f"load_file: device must be 'cpu', got {device!r}")
    return read_tensors("load_file", filename, names, widen)[0]


def read_metadata(filename: Path) -> dict[str, str]:
    """The metadata of a safetensors file, or of the first shard of an index. Reads the header, and no tensor."""
    return read_tensors("read_metadata", filename, (), False)[1]


def write_tensors(caller: str, tensors: Mapping[str, Any], path: Path, metadata: Mapping[str, str]) -> None:
    if not isinstance(tensors, Mapping):
        raise TypeError(f"{caller}: tensors: expected a mapping of names to tensors, got {type(tensors).__name__}")
    for key, text in metadata.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"{caller}: metadata: expected text to text, got {key!r}: {type(text).__name__}; json.dumps makes text")
    arrays = {name: array_of(caller, name, tensor) for name, tensor in tensors.items()}
    # The largest types first: every tensor then stands at a multiple of its item size.
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    places, at = {}, 0
    for name in order:
        places[name] = at
        at += arrays[name].nbytes
    entries = {name: Entry(KINDS[a.dtype.newbyteorder("<")], a.shape, places[name], places[name] + a.nbytes) for name, a in arrays.items()}
    try:
        head = make_header(entries, dict(metadata))
    except ValueError as error:
        raise ValueError(f"{caller}: {os.fsdecode(path)}: {error}") from None
    with replacing(caller, path) as file:
        file.write(head)
        for name in order:
            file.write(data_of(arrays[name]))


def array_of(caller: str, name: Any, tensor: Any) -> np.ndarray:
    """A view of the tensor, of a type that the format has."""
    if not isinstance(name, str):
        raise TypeError(f"{caller}: expected a str as the name of a tensor, got {type(name).__name__}")
    if name == METADATA:
        raise ValueError(f"{caller}: a tensor cannot be called {name!r}: the format keeps its metadata there")
    if not isinstance(tensor, (Tensor, np.ndarray)):
        raise TypeError(f"{caller}: {name}: expected a Tensor or a NumPy array, got {type(tensor).__name__}")
    array = tensor.detach().numpy() if isinstance(tensor, Tensor) else tensor
    if array.dtype.newbyteorder("<") not in KINDS:
        raise TypeError(f"{caller}: {name}: a safetensors file has no type for {array.dtype} (shape {array.shape})")
    return array


def data_of(array: np.ndarray) -> memoryview:
    """The bytes as they stand in a file: row-major, little-endian. A copy only where they do not lie so in memory."""
    flat = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C").reshape(-1)
    return flat.view(np.uint8).data


def read_tensors(caller: str, path: Path, names: Iterable[str] | None, widen: bool) -> tuple[dict[str, Tensor], dict[str, str]]:
    """-> tensors (all, or those of `names`), metadata; of a file, or of the shards of an index."""
    text = os.fsdecode(path)
    if text.endswith(".index.json"):
        return read_shards(caller, text, names, widen)
    try:
        with open(text, "rb", buffering=0) as file:
            header = read_header(file)
            chosen = list(header.entries) if names is None else list(names)
            return {name: read_one(file, header, name, widen) for name in chosen}, header.metadata
    except ValueError as error:
        raise ValueError(f"{caller}: {text}: {error}") from None


def read_one(file: IO[bytes], header: Header, name: str, widen: bool) -> Tensor:
    if name not in header.entries:
        raise ValueError(f"no tensor {name!r} in the file, which has {some(header.entries)}")
    entry = header.entries[name]
    where = f"tensor {name!r}: {entry.dtype} of shape {list(entry.shape)}"
    if len(entry.shape) > MOST_DIMS:
        raise ValueError(f"{where}: a tensor has at most {MOST_DIMS} dimensions")
    if math.prod(size for size in entry.shape if size) >= 2**59:
        raise ValueError(f"{where}: the sizes overflow")
    if entry.dtype not in NATIVE and not (widen and entry.dtype in WIDER):
        raise ValueError(f"{where}: {remedy(entry.dtype)}")
    file.seek(header.start + entry.begin)
    if entry.dtype not in NATIVE:
        raw = np.empty(entry.shape, STORED[entry.dtype])
        fill(file, raw, where)
        return from_numpy(widened(entry.dtype, raw))
    made = empty(entry.shape, dtype=NATIVE[entry.dtype])
    values = made.numpy()
    fill(file, values, where)
    check_bools(values, where)
    return made


def check_bools(values: np.ndarray, where: str) -> None:
    """What is neither 0 nor 1 is no bool, and kernels could do anything with it."""
    if values.dtype == np.bool_ and values.size and values.view(np.uint8).max() > 1:
        raise ValueError(f"{where}: expected bytes of 0 and 1, got {values.view(np.uint8).max()}")


def remedy(dtype: str) -> str:
    if dtype in WIDER:
        return f"pydl has no such type; widen=True converts it to {WIDER[dtype].name}"
    return "pydl has no such type, and none that holds its values; names=[...] loads the other tensors"


def fill(file: IO[bytes], array: np.ndarray, where: str) -> None:
    """Reads the bytes of a contiguous array."""
    rest = array.reshape(-1).view(np.uint8).data
    while rest:
        count = file.readinto(rest)  # type: ignore[attr-defined]
        if not count:
            raise ValueError(f"{where}: cut short: {len(rest)} bytes are missing; does somebody else write to the file?")
        rest = rest[count:]


def widened(dtype: str, raw: np.ndarray) -> np.ndarray:
    """The same values in the type of WIDER, exactly."""
    flat = raw.reshape(-1)
    if dtype == "BF16":             # the upper half of a float32
        values = (flat.astype(np.uint32) << 16).view(np.float32)
    elif dtype == "F8_E5M2":        # the upper half of a float16
        values = (flat.astype(np.uint16) << 8).view(np.float16).astype(np.float32)
    elif dtype == "F8_E4M3":
        values = float8_e4m3()[flat]
    else:
        values = flat.astype({float32: np.float32, int32: np.int32, int64: np.int64}[WIDER[dtype]])
    return values.reshape(raw.shape)


def float8_e4m3() -> np.ndarray:
    """The values of the 256 bytes: sign, 4 bits of exponent (bias 7), 3 bits of mantissa; no infinity, 0x7f and 0xff NaN."""
    exponent, mantissa = np.divmod(np.arange(128), 8)
    values = np.where(exponent == 0, np.ldexp(mantissa / 8, -6), np.ldexp(1 + mantissa / 8, exponent - 7))
    values[127] = np.nan
    return np.concatenate([values, -values]).astype(np.float32)


# Sharded files

def read_shards(caller: str, index: str, names: Iterable[str] | None, widen: bool) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of all shards, in the order of the index; the metadata of the first shard."""
    try:
        shard_of = read_index(index)
        chosen = list(shard_of) if names is None else list(names)
        for name in chosen:
            if name not in shard_of:
                raise ValueError(f"no tensor {name!r} in the index, which has {some(shard_of)}")
    except ValueError as error:
        raise ValueError(f"{caller}: {index}: {error}") from None
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] | None = None
    for shard in dict.fromkeys(shard_of.values()):          # all of them: one that is missing is found at once
        path = os.path.join(os.path.dirname(index), shard)
        found, own = read_tensors(caller, path, [name for name in chosen if shard_of[name] == shard], widen)
        tensors |= found
        metadata = own if metadata is None else metadata
    return {name: tensors[name] for name in chosen}, metadata or {}


def read_index(path: str) -> dict[str, str]:
    """Name of tensor -> name of shard, which is a file in the same folder and nothing else."""
    with open(path, "rb") as file:
        raw = file.read(MOST_INDEX + 1)
    if len(raw) > MOST_INDEX:
        raise ValueError(f"the index is longer than {MOST_INDEX} bytes")
    try:
        content = json.loads(raw, object_pairs_hook=without_duplicates)
    except RecursionError:
        raise ValueError("not an index of safetensors: nested too deeply") from None
    shard_of = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(shard_of, dict):
        raise ValueError("not an index of safetensors: expected an object with a weight_map")
    for name, shard in shard_of.items():
        if not isinstance(shard, str) or os.path.basename(shard) != shard or not shard.endswith(".safetensors") or "\0" in shard:
            raise ValueError(f"tensor {name!r}: expected the name of a .safetensors file beside the index, got {shard!r}")
    return shard_of


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))   # type: ignore[func-returns-value]
        raise ValueError(f"{twice!r} stands twice")
    return made


def some(names: Iterable[str]) -> str:
    """The first names, for a message."""
    listed = list(names)
    return ", ".join(map(repr, listed[:5])) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "") or "none"
