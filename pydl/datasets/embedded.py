"""The data set that comes with the package."""

from importlib import resources

import numpy as np


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 handwritten digits of UCI's "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998, CC BY 4.0).

    () -> images (1797, 8, 8) uint8, each pixel 0 to 16; labels (1797,) int64, 0 to 9. NumPy arrays, fresh at every call.
    """
    with resources.files("pydl.datasets").joinpath("digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"].astype(np.int64)
