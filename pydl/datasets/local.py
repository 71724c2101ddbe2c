"""Data sets that the user has on the disk, in the folder PYDL_DATA."""

import os

import numpy as np

from pydl.datasets.idx import read_idx

# Where a data set's files can be had.
SOURCES = {"mnist": "The four files are at https://storage.googleapis.com/cvdf-datasets/mnist/ among other places."}


def data_folder(name: str, root: str | os.PathLike[str] | None = None) -> str:
    """The folder of data set `name`: `root` where it is given, else PYDL_DATA/name. FileNotFoundError where there is neither."""
    remedy = f"Set PYDL_DATA to the folder that holds {name}/, or name the folder itself (root=; --data on the command line)."
    if name in SOURCES:
        remedy += f" {SOURCES[name]}"
    if root is not None:
        folder = os.fspath(root)
    elif "PYDL_DATA" in os.environ:
        folder = os.path.join(os.environ["PYDL_DATA"], name)
    else:
        raise FileNotFoundError(f"{name}: where is the data? {remedy}")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{name}: no folder {folder}. {remedy}")
    return folder


def mnist(root: str | os.PathLike[str] | None = None, train: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """MNIST's handwritten digits (LeCun, Cortes & Burges 1998), or any set in the same files (Fashion-MNIST ...).

    Reads `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` (`t10k-...` for train=False), plain or with .gz, from
    `root`, else from PYDL_DATA/mnist -> images (N, 28, 28) uint8, labels (N,) int64; NumPy arrays. N is 60,000 and 10,000.
    Raises FileNotFoundError where a file is missing (it says where it looked), ValueError where one is damaged, where the
    two do not belong together, or where a label is not 0 to 9.
    """
    folder = data_folder("mnist", root)
    part = "train" if train else "t10k"
    image_file = find(folder, f"{part}-images-idx3-ubyte")
    label_file = find(folder, f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(image_file), read_idx(label_file)
    if images.dtype != "u1" or images.ndim != 3:
        raise ValueError(f"mnist: {image_file}: expected (N, rows, columns) uint8, got {images.shape} {images.dtype}")
    if labels.dtype != "u1" or labels.ndim != 1:
        raise ValueError(f"mnist: {label_file}: expected (N,) uint8, got {labels.shape} {labels.dtype}")
    if len(images) != len(labels):
        raise ValueError(f"mnist: {len(images)} images in {image_file}, but {len(labels)} labels in {label_file}")
    if len(labels) and labels.max() > 9:
        raise ValueError(f"mnist: {label_file}: expected labels 0 to 9, got {labels.max()}")
    return images, labels.astype("int64")


def find(folder: str, name: str) -> str:
    """The file `name` or `name.gz` in `folder`."""
    for candidate in (name, name + ".gz"):
        path = os.path.join(folder, candidate)
        if os.path.exists(path):
            return path
    raise FileNotFoundError(f"mnist: no {name} and no {name}.gz in {folder}. {SOURCES['mnist']} "
                            "Put them there, or set PYDL_DATA to the folder that holds mnist/")
