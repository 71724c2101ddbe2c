"""The state of random numbers. Every random function takes `generator=`; without it the default generator is used.

The default generator is common to all threads, but for the workers of a DataLoader: each has its own."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, SupportsIndex

from pydl._core.generator import Generator, current_generator, default_generator
from pydl._core.tensor import Tensor

__all__ = ["Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


def manual_seed(seed: SupportsIndex) -> Generator:
    """Starts the default generator's stream of `seed`, any 64-bit integer, and returns the generator.

    The same seed gives the same numbers on every machine and for any number of threads.
    Raises TypeError for what is no integer, ValueError for more than 64 bits.

    >>> import pydl
    >>> first = pydl.manual_seed(1) and pydl.rand(2)
    >>> bool((pydl.manual_seed(1) and pydl.rand(2)).equal(first))
    True
    """
    return current_generator().manual_seed(seed)


def seed() -> int:
    """Starts the default generator with a seed from the operating system, and returns the seed."""
    return current_generator().seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return current_generator().initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state as a uint8 tensor."""
    return current_generator().get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Goes on where get_rng_state was called."""
    current_generator().set_state(new_state)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """A context after which the default generator goes on as if nothing had been drawn within. devices: for PyTorch's sake."""
    state = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if state is not None:
            set_rng_state(state)
