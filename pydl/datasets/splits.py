"""Splits of labelled data into a training part and a held-out part."""

import numpy as np
from numpy.typing import ArrayLike


def stratified_split(labels: ArrayLike, test: float = 0.25, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a training and a test part in which every class has the same share.

    labels (N,) of any type -> train (N - M,) int64, test (M,) int64, both ascending. Of a class of n members round(test * n)
    are held out, at least one and at most n - 1. The same seed gives the same split on every machine and with every
    version of NumPy. Raises ValueError where labels is not one-dimensional, where 0 < test < 1 does not hold, and where a
    class has a single member.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"stratified_split: labels: expected one dimension, got shape {labels.shape}")
    if not 0 < test < 1:
        raise ValueError(f"stratified_split: test: expected a share between 0 and 1, got {test}")
    stream = np.random.RandomState(seed)        # its numbers are frozen for ever; default_rng's are not
    held_out = np.zeros(len(labels), dtype=bool)
    for name in np.unique(labels):
        members = np.flatnonzero(labels == name)
        if len(members) < 2:
            raise ValueError(f"stratified_split: class {name} has one member; every class needs at least two")
        count = min(max(round(test * len(members)), 1), len(members) - 1)
        held_out[stream.permutation(members)[:count]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
