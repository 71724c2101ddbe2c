"""Streams of random numbers: a seed and a position. Kernels read both, and advance the position, when they run."""
import os
import threading

cimport cython
from cpython.ref cimport PyObject
from libc.string cimport memcpy

from pydl._core.kernels cimport PD_U8
from pydl._core.dtypes cimport dtype_of
from pydl._core.native cimport capture_flag
from pydl._core.recording cimport Recorder, host_read, recorder
from pydl._core.tensor cimport Tensor, empty, shape_of

import operator

cdef extern from *:
    """
    static _Thread_local PyObject *pydl_own_generator;
    """
    PyObject *pydl_own_generator

cdef enum:
    STATE_BYTES = 24


cdef uint64_t seed_from(str op, object seed) except? 0:
    """Any integer of 64 bits, signed or not."""
    try:
        value = operator.index(seed)
    except TypeError:
        raise TypeError(f"{op}: seed must be an integer, got {type(seed).__name__}") from None
    if not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"{op}: seed must fit 64 bits, got {value}")
    return value & 0xFFFFFFFFFFFFFFFF


@cython.binding(False)
cdef class Generator:
    """A stream of random numbers (Philox 4x32-10): the same seed gives the same numbers on every machine, for any number of
    threads. The state is the seed and a position in the stream."""

    def __init__(self, device="cpu"):
        if str(device) != "cpu":
            raise ValueError(f"Generator: device must be 'cpu', got {device!r}")
        self.manual_seed(67280421310721)

    def manual_seed(self, seed):
        """Starts the stream of `seed` (any 64-bit integer) from its beginning; returns the generator."""
        host_read("manual_seed")
        self.first_seed = self.state[0] = seed_from("manual_seed", seed)
        self.state[1] = 0
        return self

    def seed(self):
        """Starts a stream that nobody can foresee; returns its seed."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self.initial_seed()

    def initial_seed(self):
        """The seed of the present stream."""
        return self.first_seed

    def get_state(self):
        """The state as a uint8 tensor, for set_state."""
        host_read("get_state")
        cdef ptrdiff_t size = STATE_BYTES
        cdef Tensor x = empty(PD_U8, 1, &size)
        memcpy(x.data, self.state, 16)
        memcpy(x.data + 16, &self.first_seed, 8)
        return x

    def set_state(self, new_state):
        """Goes on where get_state was called; returns the generator."""
        host_read("set_state")
        if not isinstance(new_state, Tensor):
            raise TypeError(f"set_state: new_state must be a Tensor, got {type(new_state).__name__}")
        cdef Tensor x = new_state
        if x.code != PD_U8:
            raise TypeError(f"set_state: new_state must be uint8, got {dtype_of(x.code)}")
        if x.ndim != 1 or x.numel != STATE_BYTES or not x.contiguous:
            raise ValueError(f"set_state: new_state must be a contiguous tensor of {STATE_BYTES} bytes, got shape {shape_of(x)}")
        memcpy(self.state, x.data, 16)
        memcpy(&self.first_seed, x.data + 16, 8)
        return self

    def __repr__(self):
        return f"Generator(seed={self.first_seed}, position={self.state[1]})"


cdef const int *capturing = capture_flag()

default_generator = Generator()
default_generator.seed()
cdef Generator default = default_generator
cdef object kept = threading.local()     # holds what pydl_own_generator points to, as long as the thread lives

def current_generator():
    """The generator that random functions use in this thread where they are given none."""
    return default if pydl_own_generator == NULL else <Generator>pydl_own_generator

cdef size_t generator_in_use() noexcept:
    return <size_t>(<PyObject *>default if pydl_own_generator == NULL else pydl_own_generator)

def use_in_thread(generator):
    """Makes `generator` the default of this thread alone, or, with None, lets it use the common one again.

    Returns what the thread had for itself before, or None.
    """
    global pydl_own_generator
    cdef object previous = None if pydl_own_generator == NULL else <object>pydl_own_generator
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"use_in_thread: generator must be a pydl.Generator, got {type(generator).__name__}")
    pydl_own_generator = NULL if generator is None else <PyObject *>generator
    kept.generator = generator
    return previous

cdef void *state_of(object generator) except NULL:
    cdef Generator own
    if generator is None:
        own = default if pydl_own_generator == NULL else <Generator>pydl_own_generator
    elif isinstance(generator, Generator):
        own = <Generator>generator
    else:
        raise TypeError(f"generator: expected a pydl.Generator, got {type(generator).__name__}")
    cdef Recorder capture = recorder() if capturing[0] else None
    if capture is not None:
        capture.ranges.append((<size_t>own.state, <size_t>own.state + STATE_BYTES, own))
    return own.state
