"""Threads and memory of the C core, for pydl.threads."""
import operator
import os

from pydl._core.kernels cimport pd_memory
from pydl._core.native cimport empty_cache as c_empty_cache, memory_reset_peak, memory_stats as c_memory_stats
from pydl._core.native cimport num_threads, set_num_threads as c_set_num_threads

cdef enum:
    MAX_THREADS = 256


def get_num_threads():
    """How many threads a kernel may use."""
    return num_threads()

MOST_THREADS = MAX_THREADS

def set_num_threads(count):
    """Kernels may use `count` threads, 1 to 256, from now on. Results do not depend on it."""
    try:
        wanted = operator.index(count)
    except TypeError:
        raise TypeError(f"set_num_threads: expected an integer, got {type(count).__name__}") from None
    if not 1 <= wanted <= MAX_THREADS or c_set_num_threads(wanted) != 0:
        raise ValueError(f"set_num_threads: expected 1 to {MAX_THREADS} threads, got {wanted}")

def check_environment():
    """Raises ValueError for a PYDL_NUM_THREADS that is no number of threads."""
    text = os.environ.get("PYDL_NUM_THREADS", "")
    if text and not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_THREADS):
        raise ValueError(f"PYDL_NUM_THREADS: expected an integer from 1 to {MAX_THREADS}, got {text!r}")

def memory_stats():
    """Counts of the allocator: bytes in use (`allocated`), their largest value (`peak`), bytes kept for reuse (`cached`) and
    the most it keeps (`cache_limit`), allocations made, and how many of them the cache served (`cache_hits`)."""
    cdef pd_memory stats
    c_memory_stats(&stats)
    return {
        "allocated": stats.allocated, "peak": stats.peak, "cached": stats.cached, "cache_limit": stats.cache_limit,
        "allocations": stats.allocations, "cache_hits": stats.cache_hits,
    }

def empty_cache():
    """Gives the memory kept for reuse back to the operating system. Tensors keep theirs."""
    c_empty_cache()

def reset_peak_memory_stats():
    """Starts measuring `peak` anew from what is in use now."""
    memory_reset_peak()


check_environment()
