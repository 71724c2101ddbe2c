"""Data sets: the embedded digits, splits, and a strict IDX reader that no file can fool."""

import gzip
import os
import struct

import numpy as np
import pytest

from pydl.datasets import data_folder, digits, mnist, read_idx, stratified_split

CODES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx_bytes(array, kind="u1"):
    head = bytes([0, 0, CODES[kind], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(kind).tobytes()


def write(folder, data, name="file.idx"):
    path = folder / name
    path.write_bytes(data)
    return path


# The embedded digits

def test_digits_are_the_real_ones():
    images, labels = digits()
    assert images.shape == (1797, 8, 8) and images.dtype == np.uint8 and images.max() == 16
    assert labels.shape == (1797,) and labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert images[0].tolist()[0] == [0, 0, 5, 13, 9, 1, 0, 0] and labels[:10].tolist() == list(range(10))
    assert images.sum() == 561718


def test_digits_are_fresh_arrays():
    images, _ = digits()
    images[:] = 0
    assert digits()[0].max() == 16


def test_digits_file_is_small_and_names_its_source():
    from importlib import resources
    folder = resources.files("pydl.datasets")
    assert len(folder.joinpath("digits.npz").read_bytes()) < 100_000
    source = folder.joinpath("SOURCE.txt").read_text()
    for word in ("UCI", "Alpaydin", "Kaynak", "CC BY 4.0"):
        assert word in source


# Splits

def test_split_is_stratified_complete_and_frozen():
    _, labels = digits()
    train, test = stratified_split(labels, 0.25, seed=0)
    assert sorted([*train, *test]) == list(range(1797))
    counts = np.bincount(labels)
    assert np.bincount(labels[test]).tolist() == [round(0.25 * n) for n in counts]
    assert np.array_equal(test, stratified_split(labels, 0.25, seed=0)[1])
    assert not np.array_equal(test, stratified_split(labels, 0.25, seed=1)[1])
    assert test[:5].tolist() == [3, 7, 13, 16, 19]


def test_split_keeps_one_of_each_class_on_both_sides():
    train, test = stratified_split([7, 7, 8, 8], 0.01)
    assert len(train) == len(test) == 2


@pytest.mark.parametrize(("labels", "share", "words"), [
    ([[0, 1]], 0.5, "one dimension"), ([0, 0, 1, 1], 1.0, "between 0 and 1"), ([0, 0, 1, 1], -0.1, "between 0 and 1"),
    ([0, 0, 1, 1], float("nan"), "between 0 and 1"), ([0, 0, 5], 0.5, "class 5 has one member"),
])
def test_split_refuses(labels, share, words):
    with pytest.raises(ValueError, match=words):
        stratified_split(labels, share)


# IDX files

@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("shape", [(5,), (3, 2), (2, 3, 4), (0, 28, 28), (1, 1, 1, 1)])
def test_idx_reads(tmp_path, kind, compress, shape):
    array = (np.arange(np.prod(shape)) % 100).reshape(shape)
    data = idx_bytes(array, kind)
    got = read_idx(write(tmp_path, gzip.compress(data) if compress else data))
    assert got.shape == shape and got.dtype == np.dtype(kind).newbyteorder("=") and np.array_equal(got, array)
    got[...] = 1        # writable


def test_idx_cut_at_every_byte(tmp_path):
    whole = idx_bytes(np.arange(24).reshape(2, 3, 4))
    for data in (whole, gzip.compress(whole)):
        for length in range(len(data)):
            path = write(tmp_path, data[:length])
            with pytest.raises(ValueError, match="file.idx"):
                read_idx(path)


def test_idx_every_single_bit_flipped(tmp_path):
    """A flipped bit of the header is noticed or gives another shape of the same bytes; never anything but ValueError."""
    whole = idx_bytes(np.arange(24).reshape(2, 3, 4))
    for data in (whole, gzip.compress(whole)):
        for bit in range(8 * len(data)):
            bad = bytearray(data)
            bad[bit // 8] ^= 1 << bit % 8
            try:
                got = read_idx(write(tmp_path, bytes(bad)))
            except ValueError as error:
                assert "file.idx" in str(error)
            else:
                assert got.nbytes == 24


def header(code, *sizes, ndim=None):
    return bytes([0, 0, code, len(sizes) if ndim is None else ndim]) + struct.pack(f">{len(sizes)}I", *sizes)


LIES = {
    "empty": (b"", "magic number: expected 4 bytes, got 0"),
    "not_idx": (b"\x89PNG" + bytes(100), "not an IDX file"),
    "type_code": (header(0x0A, 4) + bytes(4), "not an IDX file"),
    "no_dims": (header(0x08), "dimensions, got 0"),
    "too_many_dims": (header(0x08, *[1] * 17) + bytes(1), "dimensions, got 17"),
    "sizes_missing": (header(0x08, 3, ndim=4), "4 sizes: expected 16 bytes, got 4"),
    "too_big": (header(0x08, 60000, 28, 28) + bytes(100), "promises 47040000 bytes"),
    "overflow_32": (header(0x08, 65536, 65536) + bytes(100), "promises 4294967296 bytes"),
    "overflow_64": (header(0x08, *[0xFFFFFFFF] * 4) + bytes(100), "overflow"),
    "overflow_to_zero": (header(0x08, *[65536] * 4), "overflow"),
    "overflow_behind_a_zero": (header(0x08, 0, *[0xFFFFFFFF] * 4), "overflow"),
    "item_size": (header(0x0E, 4) + bytes(4), "promises 32 bytes"),
    "trailing": (header(0x08, 4) + bytes(5), "after the end"),
    "trailing_after_nothing": (header(0x08, 0) + bytes(1), "after the end"),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("compress", [False, True])
def test_idx_lies(tmp_path, lie, compress):
    data, words = LIES[lie]
    path = write(tmp_path, gzip.compress(data) if compress else data)
    with pytest.raises(ValueError, match=words) as raised:
        read_idx(path)
    assert str(path) in str(raised.value)


def test_idx_gzip_damage(tmp_path):
    data = bytearray(gzip.compress(idx_bytes(np.arange(200))))
    data[-6] ^= 1       # its checksum
    with pytest.raises(ValueError, match="damaged gzip"):
        read_idx(write(tmp_path, bytes(data)))
    with pytest.raises(ValueError, match="damaged gzip"):
        read_idx(write(tmp_path, gzip.compress(idx_bytes(np.arange(200))) + b"rubbish"))
    with pytest.raises(ValueError, match="after the end"):
        read_idx(write(tmp_path, gzip.compress(idx_bytes(np.arange(200))) + gzip.compress(b"more")))


def test_idx_a_bomb_is_not_unpacked(tmp_path):
    """64 MB of zeros in a small file behind a header that promises 10 bytes: only those are unpacked."""
    import tracemalloc
    path = write(tmp_path, gzip.compress(header(0x08, 10) + bytes(1 << 26), 9))
    tracemalloc.start()
    with pytest.raises(ValueError, match="after the end"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_idx_a_promise_costs_no_memory(tmp_path):
    """A header that promises 4 GB in a short gzip file is refused before anything is allocated."""
    import tracemalloc
    path = write(tmp_path, gzip.compress(header(0x08, 1 << 16, 1 << 16) + bytes(1000)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="cut short"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_idx_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.idx"):
        read_idx(tmp_path / "nothing.idx")


# MNIST's files

def mnist_folder(folder, images, labels, part="train", compress=True):
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        data = idx_bytes(array)
        name = f"{part}-{kind}-ubyte"
        write(folder, gzip.compress(data) if compress else data, name + ".gz" if compress else name)
    return folder


@pytest.mark.parametrize("compress", [False, True])
def test_mnist_reads(tmp_path, monkeypatch, compress):
    images, labels = np.arange(5 * 28 * 28).reshape(5, 28, 28) % 256, np.arange(5)
    (tmp_path / "mnist").mkdir()
    mnist_folder(tmp_path / "mnist", images, labels, "t10k", compress)
    monkeypatch.setenv("PYDL_DATA", str(tmp_path))
    for got in (mnist(train=False), mnist(tmp_path / "mnist", train=False)):
        assert np.array_equal(got[0], images) and got[0].dtype == np.uint8
        assert np.array_equal(got[1], labels) and got[1].dtype == np.int64


def test_mnist_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.delenv("PYDL_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="PYDL_DATA"):
        mnist()
    monkeypatch.setenv("PYDL_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="PYDL_DATA") as raised:
        mnist()
    assert str(tmp_path / "mnist") in str(raised.value)
    (tmp_path / "mnist").mkdir()
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte") as raised:
        mnist()
    assert str(tmp_path / "mnist") in str(raised.value) and "PYDL_DATA" in str(raised.value)
    assert data_folder("mnist") == str(tmp_path / "mnist")


@pytest.mark.parametrize(("images", "labels", "words"), [
    (np.zeros((4, 28, 28)), np.zeros(5), "4 images in .* 5 labels"),
    (np.zeros((4, 784)), np.zeros(4), r"expected \(N, rows, columns\) uint8, got \(4, 784\)"),
    (np.zeros((4, 28, 28)), np.zeros((4, 1)), r"expected \(N,\) uint8, got \(4, 1\)"),
    (np.zeros((4, 28, 28)), np.full(4, 10), "labels 0 to 9, got 10"),
])
def test_mnist_files_that_do_not_fit(tmp_path, images, labels, words):
    mnist_folder(tmp_path, images, labels)
    with pytest.raises(ValueError, match=words):
        mnist(tmp_path)


@pytest.mark.skipif(not os.path.isdir(os.path.join(os.environ.get("PYDL_DATA", ""), "mnist")),
                    reason="no MNIST: set PYDL_DATA to the folder that holds mnist/")
def test_mnist_is_the_real_one():
    images, labels = mnist()
    assert images.shape == (60000, 28, 28)
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    images, labels = mnist(train=False)
    assert images.shape == (10000, 28, 28) and round(images.mean() / 255, 4) == 0.1325
