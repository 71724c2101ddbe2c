# Part of tensor.pyx: its memory, and new tensors laid out over it.

cdef extern from *:
    const ptrdiff_t PTRDIFF_MAX


cdef enum:
    VERSIONS = 0xffffffff   # the part of a storage's version that counts changes
    SMALL_BITS = 28         # the product of two smaller numbers, in bytes, does not overflow

cdef extern from *:
    """
    static _Thread_local char pd_inference = 0;
    """
    bint pd_inference

cdef int set_inference(bint enabled) except -1:
    global pd_inference
    pd_inference = enabled
    return 0

cdef bint inference_enabled() noexcept:
    return pd_inference

cdef size_t storages = 0    # how many there have been: no two share a version

cdef size_t storage_count() noexcept:
    return storages

cdef int ITEMSIZE[6]
ITEMSIZE[:] = [4, 8, 8, 4, 1, 1]


@cython.final
@cython.freelist(256)
cdef class Storage:
    """Memory that one or more tensors look at. Changes in place are counted in `version`."""

    def __cinit__(self):
        global storages
        storages += 1
        self.version = storages << 32
        self.inference = pd_inference

    def __init__(self):
        raise TypeError("Storage: made by tensors only")

    def __dealloc__(self):
        if capturing[0] and hold(self.data, self.nbytes, self.owned, self.owner):
            return
        if self.owned:
            release(self.data, self.nbytes)

    cdef int drop_memory(self) except -1:
        """Nobody looks at it for now; its size stays."""
        release(self.data, self.nbytes)
        self.data, self.owned = NULL, False
        return 0

    cdef int take_memory(self) except -1:
        self.data = <char *>allocate(self.nbytes)
        if self.data == NULL:
            raise MemoryError(f"could not allocate {self.nbytes} bytes")
        self.owned = True
        return 0


cdef void give_back(Storage storage) noexcept:
    storage.lent -= 1
    storage.returned += 1

cdef Storage EMPTY = Storage.__new__(Storage)

cdef Storage new_storage(size_t nbytes, bint stays=False):
    """stays: the host writes there, not a launch; a plan keeps such memory for itself."""
    cdef Storage storage = Storage.__new__(Storage)
    cdef Recorder capture = recorder() if capturing[0] else None
    if capture is not None:
        storage.data = <char *>capture.take(nbytes, stays)
        storage.owner, storage.nbytes, storage.writable = capture.arena, nbytes if nbytes else 1, True
        return storage
    storage.data = <char *>allocate(nbytes if nbytes else 1)
    if storage.data == NULL:
        raise MemoryError(f"could not allocate {nbytes} bytes")
    storage.nbytes = nbytes if nbytes else 1
    storage.writable = storage.owned = True
    return storage


# ---- New tensors

cdef int refuse_sizes(int ndim, const ptrdiff_t *sizes) except -1:
    """What lay_out stopped at."""
    for d in range(ndim):
        if sizes[d] < 0:
            raise ValueError(f"sizes must not be negative, got {numbers(ndim, sizes)}")
    raise ValueError(f"sizes {numbers(ndim, sizes)} overflow: more bytes than an address can count")

cdef int lay_out(Tensor x, int code, int ndim, const ptrdiff_t *sizes) except -1:
    """Shape and row-major strides, checked for overflow."""
    cdef size_t numel = 1, size
    cdef bint has_zero = False
    cdef int d
    if ndim > PD_MAX_DIMS:
        raise ValueError(f"a tensor has at most {PD_MAX_DIMS} dimensions, got {ndim}")
    x.itemsize = ITEMSIZE[code]
    for d in range(ndim - 1, -1, -1):
        size = x.sizes[d] = sizes[d]
        x.strides[d] = numel
        if size == 0:
            has_zero = True
        elif (numel | size) >> SMALL_BITS and numel > <size_t>PTRDIFF_MAX // <size_t>x.itemsize // size:     # a negative size is a large one
            refuse_sizes(ndim, sizes)
        else:
            numel *= size
    x.numel = 0 if has_zero else numel
    x.code = code
    x.ndim = ndim
    x.contiguous = True
    return 0

cdef Tensor empty(int code, int ndim, const ptrdiff_t *sizes):
    cdef Tensor x = Tensor.__new__(Tensor)
    lay_out(x, code, ndim, sizes)
    x.storage = new_storage(x.numel * x.itemsize)
    x.data = x.storage.data
    return x

cdef Tensor empty_for_host(int code, int ndim, const ptrdiff_t *sizes):
    """empty(), for what the host writes itself, not a launch."""
    cdef Tensor x = Tensor.__new__(Tensor)
    lay_out(x, code, ndim, sizes)
    x.storage = new_storage(x.numel * x.itemsize, True)
    x.data = x.storage.data
    return x

cdef Tensor empty_like(Tensor x):
    return empty(x.code, x.ndim, x.sizes)

cdef Tensor empty_of(int code, object shape):
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int ndim = sizes_from("empty", shape, sizes)
    return empty(code, ndim, sizes)

cdef bint is_dense(Tensor x) noexcept:
    cdef ptrdiff_t expected = 1
    cdef int d
    if x.numel == 0:
        return True
    for d in range(x.ndim - 1, -1, -1):
        if x.sizes[d] != 1:
            if x.strides[d] != expected:
                return False
            expected *= x.sizes[d]
    return True

cdef Tensor over_memory(Storage storage, char *data, int code, int ndim, const ptrdiff_t *sizes, const ptrdiff_t *strides):
    cdef Tensor y = Tensor.__new__(Tensor)
    cdef int d
    lay_out(y, code, ndim, sizes)
    for d in range(ndim):
        y.strides[d] = strides[d]
    y.contiguous = is_dense(y)
    y.storage = storage
    y.data = data
    return y

cdef Tensor over_borrowed(Storage storage, char *data, int code, int ndim, const ptrdiff_t *sizes, const ptrdiff_t *strides):
    """A tensor over memory of which nothing is known but that its own elements are there."""
    cdef Tensor y = over_memory(storage, data, code, ndim, sizes, strides)
    cdef ptrdiff_t first = 0, last = 0
    cdef int d
    for d in range(ndim if y.numel else 0):
        first += min(0, (sizes[d] - 1) * strides[d])
        last += max(0, (sizes[d] - 1) * strides[d])
    storage.data = data + first * y.itemsize
    storage.nbytes = (last - first + 1) * y.itemsize if y.numel else 0
    return y

cdef Tensor view_of(Tensor x, int ndim, const ptrdiff_t *sizes, const ptrdiff_t *strides, ptrdiff_t offset):
    return over_memory(x.storage, x.data + offset * x.itemsize, x.code, ndim, sizes, strides)

cdef Tensor alias_of(Tensor x):
    cdef Tensor y = Tensor.__new__(Tensor)
    cdef int d
    for d in range(x.ndim):
        y.sizes[d], y.strides[d] = x.sizes[d], x.strides[d]
    y.storage, y.data, y.code, y.itemsize = x.storage, x.data, x.code, x.itemsize
    y.ndim, y.numel, y.contiguous = x.ndim, x.numel, x.contiguous
    return y

cdef int become(Tensor x, Tensor y) except -1:
    """x takes y's memory, shape and type; what x is in a graph stays."""
    if x.storage is y.storage:
        x.storage.version += 1      # what was kept of x is not what x is from now on
    x.storage, x.data, x.code, x.itemsize = y.storage, y.data, y.code, y.itemsize
    x.ndim, x.numel, x.contiguous = y.ndim, y.numel, y.contiguous
    memcpy(x.sizes, y.sizes, sizeof(x.sizes))
    memcpy(x.strides, y.strides, sizeof(x.strides))
    return 0

cdef Tensor scalar_of(int code, object number):
    cdef Tensor x = empty_for_host(code, 0, NULL)
    if code == PD_F32: (<float *>x.data)[0] = <float><double>number
    elif code == PD_F64: (<double *>x.data)[0] = number
    elif code == PD_I64: (<int64_t *>x.data)[0] = number
    elif code == PD_I32: (<int32_t *>x.data)[0] = number
    elif code == PD_U8: (<uint8_t *>x.data)[0] = number
    else: (<uint8_t *>x.data)[0] = 1 if number else 0
    if capturing[0]:
        note_constant(x.data, x.itemsize)
    return x

cdef Storage copy_of(Storage storage):
    """The whole memory anew."""
    host_read("copy")
    cdef Storage made = new_storage(storage.nbytes)
    memcpy(made.data, storage.data, storage.nbytes)
    return made

def deep_copy(Tensor x not None, dict memo):
    """A copy of x with memory of its own; tensors over the same memory share their copy's, too."""
    cdef Storage storage = x.storage, made
    if not storage.owned:       # of borrowed memory only x's own elements are known to be there
        return bound.clone(x.detach())
    if id(storage) not in memo:
        memo[id(storage)] = storage, copy_of(storage)      # the old one as well: while it lives, nothing else has its id
    made = memo[id(storage)][1]
    return over_memory(made, made.data + (x.data - storage.data), x.code, x.ndim, x.sizes, x.strides)


# ---- Questions

cdef bint same_shape(Tensor a, Tensor b) noexcept:
    cdef int d
    if a.ndim != b.ndim or a.numel != b.numel:
        return False
    for d in range(a.ndim):
        if a.sizes[d] != b.sizes[d]:
            return False
    return True

cdef bint strides_overlap(int ndim, const ptrdiff_t *sizes, const ptrdiff_t *strides) noexcept:
    """From the smallest stride up; each must pass the reach of all before it."""
    cdef ptrdiff_t reach = 0
    cdef size_t done = 0
    cdef int d, least
    while True:
        least = -1
        for d in range(ndim):
            if sizes[d] > 1 and not done >> d & 1 and (least < 0 or strides[d] < strides[least]):
                least = d
        if least < 0:
            return False
        if strides[least] <= reach:
            return True
        reach += strides[least] * (sizes[least] - 1)
        done |= <size_t>1 << least
