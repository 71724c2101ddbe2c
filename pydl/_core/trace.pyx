"""The log of launches, for pydl.profiler and pydl.nn.summary."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memset

from pydl._core.kernels cimport PD_KERNELS, pd_cost, pd_event
from pydl._core.native cimport kernel_name
from pydl._core.native cimport trace_cost, trace_count, trace_dropped, trace_name, trace_read, trace_start, trace_stop
from pydl._core.tensor cimport Tensor

op_names = []       # by number, for as long as the process runs: there are no more names than ops
cdef dict numbers = {}
GEOMETRIES = ("none", "map", "flat", "reduce", "lines", "n", "outer", "rows", "gemm", "step", "conv", "window")     # as in pydl.h
cdef dict SIZES = {"T": 255, "1": 1, "4": 4, "8": 8}


cdef int32_t op_number(str name) except -1:
    number = numbers.get(name)
    if number is None:
        number = numbers.setdefault(name, len(op_names))
        op_names.append(name)
    return number

cdef int trace_made(str name, Tensor y, Tensor x) except -1:
    # A view has launched nothing: what wrote its memory before was another op.
    trace_name(op_number(name), NULL if x is not None and x.storage is y.storage else y.data)
    return 0


def kernel_names():
    """The name of every kernel, by its number."""
    return tuple([kernel_name(i).decode() for i in range(PD_KERNELS)])

def set_cost(int kernel, str geometry not None, str each not None, str line not None):
    """How the items and bytes of a kernel's launches are counted: letters T (the launch's type), 1, 4, 8 for the operands."""
    cdef pd_cost cost
    cdef int i
    memset(&cost, 0, sizeof(cost))
    if not 0 <= kernel < PD_KERNELS or len(each) > 5 or len(line) > 5:
        raise ValueError(f"set_cost: expected a kernel and at most 5 operands, got {kernel}, {each!r}, {line!r}")
    cost.geometry = GEOMETRIES.index(geometry)
    for i in range(len(each)):
        cost.each[i] = SIZES[each[i]]
    for i in range(len(line)):
        cost.line[i] = SIZES[line[i]]
    trace_cost(kernel, &cost)

def start():
    """Launches are noted from now on -> the position of the next one in the log."""
    return trace_start()

def stop():
    """The opposite of start(): after the last of them the log is forgotten."""
    trace_stop()

def count():
    """How many events there are."""
    return trace_count()

def dropped():
    """How many events there was no memory for."""
    return trace_dropped()

def read(size_t first, size_t last):
    """The events first .. last - 1 as bytes, one struct pd_event after the other."""
    cdef size_t most = min(last, trace_count())
    cdef size_t room = most - first if most > first else 0
    cdef bytes raw = PyBytes_FromStringAndSize(NULL, room * sizeof(pd_event))
    cdef size_t found = trace_read(first, room, <pd_event *>PyBytes_AS_STRING(raw))
    return raw if found == room else raw[:found * sizeof(pd_event)]
