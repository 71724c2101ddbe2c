"""Batches: the same rows of several tensors in one launch, what a DataLoader makes of data in memory."""
from pydl._core.kernels cimport PD_MAX_DIMS, PD_U8, pd_launch
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.recording cimport host_read
from pydl._core.tape cimport tracked
from pydl._core.tensor cimport Tensor, empty, shape_of, tensor_arg
from pydl.ops.gather cimport index_arg, row_index, select_rows

cdef extern from "pydl.h":
    enum: PD_rows_take_many


cdef enum:
    MANY = 256      # results of one launch of take_rows or take_batches

def take_rows(tensors, index):
    """[x[index] for x in tensors], the rows of a batch, in one call: (n, ...), (k,) int64 or int32 -> (k, ...) each.

    The tensors have the same n. Where one wants a gradient they are looked up one by one. Raises IndexError, ValueError.
    """
    cdef Tensor i = index_arg("take_rows", index, "index")
    batches = take_batches(tensors, i, max(i.numel, 1))
    return batches[0] if batches else [select_rows(item, 0, i) for item in tensors]

def take_batches(tensors, index, size):
    """[take_rows(tensors, some) for some in index.split(size)] in one call, for all threads. No indices: no batches."""
    cdef Tensor i, x
    cdef list sources = []
    cdef size_t each = size
    if each == 0:
        raise ValueError("take_batches: size must be 1 or more, got 0")
    for item in tensors:
        x = tensor_arg("take_rows", item, "every one of tensors")
        if x.ndim == 0 or x.sizes[0] != (<Tensor>tensors[0]).sizes[0]:
            raise ValueError(f"take_rows: the tensors must have the same number of rows, got shapes {', '.join([str(shape_of(t)) for t in tensors])}")
        sources.append(contiguous(x))
    if not sources:
        return []
    i = row_index("take_rows", <Tensor>sources[0], 0, index)
    cdef size_t count = (i.numel + each - 1) // each
    if len(sources) * count > MANY or any([tracked(<Tensor>item) for item in tensors]):
        return [[select_rows(item, 0, some) for item in tensors] for some in (i.split(size) if i.ndim else (i,))]
    return taken(sources, i, each)

cdef list taken(list sources, Tensor i, size_t each):
    """The batches of `each` indices, at most MANY results; everything is checked."""
    cdef pd_launch launch
    cdef void *source[MANY]
    cdef void *target[MANY]
    cdef size_t nbytes[MANY]
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef Tensor x, y
    cdef list batches = [], batch
    cdef size_t a = 0, first = 0, results = 0
    cdef int d
    for item in sources:
        x = <Tensor>item
        source[a] = x.data
        nbytes[a] = x.numel // x.sizes[0] * x.itemsize if x.numel else 0
        a += 1
    while first < i.numel:
        batch = []
        for item in sources:
            x = <Tensor>item
            for d in range(x.ndim):
                sizes[d] = x.sizes[d]
            sizes[0] = min(each, i.numel - first)
            y = empty(x.code, x.ndim, sizes)
            target[results] = y.data
            results += 1
            batch.append(y)
        batches.append(batch)
        first += each
    host_read("take_batches")
    prepare(&launch, PD_rows_take_many, PD_U8)
    launch.buf[0], launch.buf[1], launch.buf[2] = source, target, i.data
    launch.step.count, launch.step.sizes = a, nbytes
    launch.scalar[0], launch.scalar[1] = i.numel, each
    run(&launch, PD_rows_take_many, PD_U8)
    return batches


__all__ = ["take_rows", "take_batches"]
METHODS = []
