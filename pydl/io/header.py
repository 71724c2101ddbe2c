"""The header of a safetensors file: eight bytes with its length, little-endian, then JSON, then the data.

    {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}

Only this shape of JSON is read, by a parser of its own: one for any JSON would turn a hostile header into twenty times its
size of nested lists, follow it as deep as it goes, and keep the last of two equal keys without a word. Nothing is
believed: the tensors must fill the data exactly, without overlap, hole or rest, before a byte of it is read.
"""

import json
import math
import os
import re
from collections.abc import Iterator
from typing import IO, NamedTuple, NoReturn

import numpy as np

MOST_HEADER = 100_000_000           # the format's own limit
MOST_SIZES = 64                     # dimensions; the product of a million sizes would take hours
METADATA = "__metadata__"

# What the format calls a type -> NumPy's type of the same bytes. BF16 and the float8 have none: these are their bits.
STORED = {
    "BOOL": np.dtype("?"), "U8": np.dtype("u1"), "I8": np.dtype("i1"), "F8_E4M3": np.dtype("u1"), "F8_E5M2": np.dtype("u1"),
    "I16": np.dtype("<i2"), "U16": np.dtype("<u2"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2"),
    "I32": np.dtype("<i4"), "U32": np.dtype("<u4"), "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"), "U64": np.dtype("<u8"), "F64": np.dtype("<f8"), "C64": np.dtype("<c8"),
}
SPACE = re.compile(r"[ \t\n\r]*+")
STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+"')
SIZES = re.compile(r"\[ *+(?:[0-9]{1,20}+ *+(?:, *+[0-9]{1,20}+ *+){0,%d}+)?+\]".replace(" ", SPACE.pattern[:-2]) % (MOST_SIZES - 1))
NUMBER = re.compile(r"[0-9]+")


class Entry(NamedTuple):
    """Where a tensor stands in the data, and what it is."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """What a header says; start: where in the file the data begins."""

    entries: dict[str, Entry]
    metadata: dict[str, str]
    start: int


def read_header(file: IO[bytes]) -> Header:
    """The header of an open file, checked against the file's size. Raises ValueError, without the file's name."""
    size = os.fstat(file.fileno()).st_size
    if size < 8:
        raise ValueError(f"not a safetensors file: expected 8 bytes or more, got {size}")
    length = int.from_bytes(file.read(8), "little")
    if length > MOST_HEADER:
        raise ValueError(f"not a safetensors file: its header would be {length} bytes long; at most {MOST_HEADER} are allowed")
    if 8 + length > size:
        raise ValueError(f"cut short: the header is {length} bytes long, but only {size - 8} bytes follow")
    raw = file.read(length)
    if len(raw) < length:
        raise ValueError(f"cut short: the header is {length} bytes long, but only {len(raw)} bytes follow")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"the header is not UTF-8: {error}") from None
    entries, metadata = Parser(text).header()
    check_layout(entries, size - 8 - length)
    return Header(entries, metadata, 8 + length)


def check_layout(entries: dict[str, Entry], size: int) -> None:
    """Every tensor as long as its shape says, one behind the other, up to the end of the file."""
    at, before = 0, ""
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        where = f"tensor {name!r}: {entry.dtype} of shape {list(entry.shape)}"
        if entry.end < entry.begin:
            raise ValueError(f"{where}: it ends at byte {entry.end}, before it begins at {entry.begin}")
        if entry.begin != at:
            what = "overlaps" if entry.begin < at else "leaves a hole behind"
            raise ValueError(f"{where}: it begins at byte {entry.begin}, which {what} {before or 'the header'} (byte {at})")
        if entry.end > size:
            raise ValueError(f"{where}: it ends at byte {entry.end}, but the file holds only {size} bytes of data; cut short?")
        if entry.dtype in STORED:
            expected = STORED[entry.dtype].itemsize * math.prod(entry.shape)
            if expected != entry.end - entry.begin:
                raise ValueError(f"{where}: expected {expected} bytes, but data_offsets span {entry.end - entry.begin}")
        at, before = entry.end, f"tensor {name!r}"
    if at != size:
        raise ValueError(f"{size - at} bytes after the end of the last tensor")


class Parser:
    """Reads the JSON of a header, and no other JSON, from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, SPACE.match(text).end()  # type: ignore[union-attr]

    def header(self) -> tuple[dict[str, Entry], dict[str, str]]:
        entries: dict[str, Entry] = {}
        metadata: dict[str, str] | None = None
        for name in self.keys():
            if name == METADATA and metadata is None:
                metadata = self.metadata()
            elif name in entries or name == METADATA:
                raise ValueError(f"tensor {name!r} stands twice in the header")
            else:
                entries[name] = self.entry(name)
        if self.at != len(self.text):
            self.refuse("the end of the header")
        return entries, metadata or {}

    def metadata(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for key in self.keys():
            if key in found:
                raise ValueError(f"metadata {key!r} stands twice in the header")
            found[key] = self.string()
        return found

    def entry(self, name: str) -> Entry:
        dtype: str | None = None
        sizes: dict[str, tuple[int, ...]] = {}
        for key in self.keys():
            if key in sizes or key == "dtype" and dtype is not None:
                raise ValueError(f"tensor {name!r}: {key!r} stands twice")
            if key == "dtype":
                dtype = self.string()
            elif key in ("shape", "data_offsets"):
                sizes[key] = self.sizes(f"tensor {name!r}: {key}")
            else:
                raise ValueError(f"tensor {name!r}: unexpected {key!r}; expected dtype, shape and data_offsets")
        if dtype is None or len(sizes) < 2:
            got = ", ".join([*sizes, *(["dtype"] if dtype is not None else [])]) or "nothing"
            raise ValueError(f"tensor {name!r}: expected dtype, shape and data_offsets, got {got}")
        if len(sizes["data_offsets"]) != 2:
            raise ValueError(f"tensor {name!r}: expected two data_offsets, got {len(sizes['data_offsets'])}")
        return Entry(dtype, sizes["shape"], *sizes["data_offsets"])

    def keys(self) -> Iterator[str]:
        """The keys of an object, one by one; whoever asks for the next has read the value."""
        self.expect("{")
        if not self.follows("}"):
            while True:
                key = self.string()
                self.expect(":")
                yield key
                if self.follows("}"):
                    break
                self.expect(",")
        self.expect("}")

    def string(self) -> str:
        try:
            return json.loads(self.take(STRING, "a string"))
        except json.JSONDecodeError as error:
            raise ValueError(f"the header is not JSON at character {self.at}: {error.msg}") from None

    def sizes(self, where: str) -> tuple[int, ...]:
        return tuple(map(int, NUMBER.findall(self.take(SIZES, f"a list of at most {MOST_SIZES} sizes ({where})"))))

    def follows(self, mark: str) -> bool:
        return self.text.startswith(mark, self.at)

    def expect(self, mark: str) -> None:
        if not self.follows(mark):
            self.refuse(repr(mark))
        self.at = SPACE.match(self.text, self.at + 1).end()  # type: ignore[union-attr]

    def take(self, pattern: re.Pattern[str], expected: str) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            self.refuse(expected)
        self.at = SPACE.match(self.text, found.end()).end()  # type: ignore[union-attr]
        return found[0]

    def refuse(self, expected: str) -> NoReturn:
        got = repr(self.text[self.at:self.at + 20]) if self.at < len(self.text) else "the end"
        raise ValueError(f"not a header of safetensors: expected {expected} at character {self.at}, got {got}")


def make_header(entries: dict[str, Entry], metadata: dict[str, str]) -> bytes:
    """The length and the JSON, with spaces behind it so that the data begins at a multiple of 8. ValueError if it is too long."""
    content: dict[str, object] = {METADATA: metadata} if metadata else {}
    for name, entry in entries.items():
        content[name] = {"dtype": entry.dtype, "shape": entry.shape, "data_offsets": (entry.begin, entry.end)}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MOST_HEADER:
        raise ValueError(f"names and metadata make a header of {len(text)} bytes; at most {MOST_HEADER} are allowed")
    return len(text).to_bytes(8, "little") + text
