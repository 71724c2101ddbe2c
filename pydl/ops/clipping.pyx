"""The norm of many tensors as if they were one, and their common scaling, in one launch each. Kernels: csrc/clipping.c.

Neither is recorded: they are for gradients, once these are there.
"""
from libc.math cimport isinf, sqrt
from libc.stdlib cimport free, malloc

from pydl._core.kernels cimport PD_F32, PD_F64, pd_launch
from pydl._core.launch cimport cast, contiguous, filled, map_into, prepare, run
from pydl._core.tape cimport changed
from pydl._core.tensor cimport Tensor, real_arg, scalar_of, shape_of

from pydl._core.recording import is_capturing
from pydl.ops.elementwise import sqrt as root
from pydl.ops.extremes import amax
from pydl.ops.reduce import sum

cdef extern from "pydl.h":
    enum: PD_mul
    enum: PD_clip_norm
    enum: PD_clip_scale
    enum: PD_STEP_PLACE


cdef int launch_all(int kernel, int code, list tensors, double s0, double *out) except -1:
    """One launch over contiguous tensors of one type."""
    cdef size_t count = len(tensors), i = 0
    cdef pd_launch launch
    cdef char *memory
    if count == 0:
        return 0
    prepare(&launch, kernel, code)
    memory = <char *>malloc(count * (sizeof(void *) + sizeof(size_t) + PD_STEP_PLACE))
    if memory == NULL:
        raise MemoryError("clip: could not allocate the launch")
    try:
        launch.buf[0], launch.buf[1], launch.buf[2] = memory + count * PD_STEP_PLACE, memory, out
        launch.step.count, launch.step.sizes = count, <size_t *>(memory + count * (PD_STEP_PLACE + sizeof(void *)))
        for item in tensors:
            (<void **>launch.buf[0])[i] = (<Tensor>item).data
            (<size_t *>launch.step.sizes)[i] = (<Tensor>item).numel
            i += 1
        launch.scalar[0] = s0
        run(&launch, kernel, code)
    finally:
        free(memory)
    return 0

cdef list of_type(str name, object tensors, int code):
    cdef list found = []
    for item in tensors:
        if real_arg(name, item, "every one of tensors").code == code:
            found.append(item)
    return found

def norm_of_all(tensors, p=2.0):
    """(sum |x|^p)^(1/p) over all elements of all tensors, or for p = inf the largest |x| -> (), float64 if one of them is.

    p: 1, 2 or inf. float32 and float64; sums are in double, in a fixed order. Of nothing: 0. Raises ValueError for another p, TypeError
    for other types.
    """
    cdef double power = p, total = 0, part
    cdef double *out = &part
    cdef Tensor parts = None
    cdef list doubles = of_type("norm_of_all", tensors, PD_F64)
    if power not in (1.0, 2.0) and not (isinf(power) and power > 0):
        raise ValueError(f"norm_of_all: p must be 1, 2 or inf, got {p}")
    if is_capturing():
        parts = filled(PD_F64, (2,), 0)
    for code in (PD_F32, PD_F64):
        part = 0
        if parts is not None:
            out = <double *>parts.data + (code == PD_F64)
        dense = [contiguous(<Tensor>x) for x in (doubles if code == PD_F64 else of_type("norm_of_all", tensors, code))]
        launch_all(PD_clip_norm, code, dense, 0 if isinf(power) else power, out)
        if isinf(power):
            total = part if part > total or part != part else total
        else:
            total += part
    if parts is None:
        return scalar_of(PD_F64 if doubles else PD_F32, sqrt(total) if power == 2 else total)
    parts = amax(parts) if isinf(power) else sum(parts)
    return cast(root(parts) if power == 2 else parts, PD_F64 if doubles else PD_F32)

cdef bint share_memory(list tensors) except -1:
    """Whether two of them may look at the same elements; they are contiguous."""
    cdef Tensor x
    cdef size_t end = 0
    if all([(<Tensor>x).storage.owned for x in tensors]) and len({id((<Tensor>x).storage) for x in tensors}) == len(tensors):
        return False
    for start, nbytes in sorted([(<size_t>(<Tensor>x).data, (<Tensor>x).numel * (<Tensor>x).itemsize) for x in tensors]):
        if start < end and nbytes:
            return True
        end = max(end, start + nbytes)
    return False

def scale_all(tensors, factor):
    """x *= factor for every tensor, in place, outside of every graph. float32 and float64; factor: a number, or a tensor of one.

    Raises ValueError for a tensor that looks at read-only memory (then nothing is changed), TypeError for other types.
    """
    cdef Tensor x, one = cast(<Tensor>factor, PD_F64) if isinstance(factor, Tensor) else None
    cdef double by = 1 if one is not None else factor
    cdef double *pointer = NULL if one is None else <double *>one.data
    cdef list given = [of_type("scale_all", tensors, PD_F32), of_type("scale_all", tensors, PD_F64)], dense
    for item in given[0] + given[1]:
        x = <Tensor>item
        if not x.storage.writable:
            raise ValueError(f"scale_all: a tensor of shape {shape_of(x)} looks at read-only memory; use clone()")
    for code, some in ((PD_F32, given[0]), (PD_F64, given[1])):
        dense = [x for x in some if x.contiguous]
        if share_memory(dense):
            dense = []
        launch_all(PD_clip_scale, code, dense, by, pointer)
        for item in some:
            x = <Tensor>item
            if not (dense and x.contiguous):
                map_into(PD_mul, x.code, (x, scalar_of(code, by) if one is None else cast(one, code)), x)
            changed(x)

__all__ = ["norm_of_all", "scale_all"]
METHODS = []
