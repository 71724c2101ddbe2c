"""Fills launches and runs them: finds the kernel, checks shapes, brings workspace, releases the GIL."""
from libc.math cimport signbit
from libc.string cimport memset

from pydl._core.kernels cimport PD_MAX_DIMS, pd_launch, pd_map, pd_sizer
from pydl._core.native cimport allocate, capture_flag, isa, kernel_name, recorded_kernel, release, trace_flag, traced_kernel
from pydl._core.dtypes cimport dtype_of
from pydl._core.recording cimport recorder
from pydl._core.tensor cimport Tensor, empty, empty_of, over_memory, same_shape, shape_of, view_of

cdef extern from "pydl.h":
    enum: PD_copy
    enum: PD_fill
    enum: PD_cast_f32
    enum: PD_cast_f64
    enum: PD_cast_i64
    enum: PD_cast_i32
    enum: PD_cast_u8
    enum: PD_cast_bool

cdef const int *tracing = trace_flag()
cdef const int *capturing = capture_flag()
cdef int CAST[6]
CAST[:] = [PD_cast_f32, PD_cast_f64, PD_cast_i64, PD_cast_i32, PD_cast_u8, PD_cast_bool]

cdef enum:
    GIL_GRAIN = 16384   # below so many elements a launch is over before another thread could use the interpreter
    MEMSET_BYTES = 1 << 20
    LARGE_ROOM = 1 << 20
    LARGEST_ROOM = 1 << 26


cdef str op_name(int kernel):
    """The op a kernel belongs to: `relu_fwd` is relu."""
    return kernel_name(kernel).decode().removesuffix("_fwd")

cdef int find(pd_launch *launch, int kernel, int code) except -1:
    launch.run = isa().kernel[kernel][code]
    launch.workspace = NULL
    if launch.run == NULL:
        raise TypeError(f"{op_name(kernel)}: not defined for {dtype_of(code)}; convert the tensor with .to()")
    if tracing[0] or capturing[0]:      # in the kernel's place comes what notes the launch down
        launch.kernel, launch.dtype = kernel, code
        launch.run = recorded_kernel() if capturing[0] else traced_kernel()
    return 0

cdef int prepare(pd_launch *launch, int kernel, int code) except -1:
    find(launch, kernel, code)
    if capturing[0] and recorder() is not None:
        memset(launch.buf, 0, sizeof(launch.buf))       # a plan asks which there are
    return 0

cdef inline int execute(pd_launch *launch, size_t numel) except -1:
    if numel > GIL_GRAIN:
        with nogil:
            launch.run(launch)
    else:
        launch.run(launch)
    return 0

cdef inline size_t room_for(size_t nbytes) noexcept:
    """Large workspaces come in a few sizes, so that one block serves many kernels; the part that no kernel touches takes no memory."""
    cdef size_t room = LARGE_ROOM
    if nbytes <= LARGE_ROOM or nbytes > LARGEST_ROOM:
        return nbytes
    while room < nbytes:
        room *= 2
    return room

cdef int run(pd_launch *launch, int kernel, int code, size_t work=<size_t>-1) except -1:
    cdef pd_sizer sizer = isa().sizer[kernel][code]
    cdef size_t nbytes = 0
    if sizer != NULL:
        nbytes = room_for(sizer(launch))
        if nbytes:
            launch.workspace = allocate(nbytes)
            if launch.workspace == NULL:
                raise MemoryError(f"{op_name(kernel)}: could not allocate {nbytes} bytes of workspace")
    execute(launch, work)
    if nbytes:
        release(launch.workspace, nbytes)
    return 0


# ---- Elementwise launches

cdef str shapes_text(Tensor a, Tensor b):
    return f"{shape_of(a)} and {shape_of(b)}"

cdef int broadcast_sizes(int kernel, Tensor a, Tensor b, ptrdiff_t *sizes) except -1:
    """The common shape of a and b; returns its number of dimensions."""
    cdef int ndim = a.ndim if a.ndim > b.ndim else b.ndim
    cdef int d
    cdef ptrdiff_t i, j
    for d in range(ndim):
        i = a.sizes[d - ndim + a.ndim] if d >= ndim - a.ndim else 1
        j = b.sizes[d - ndim + b.ndim] if d >= ndim - b.ndim else 1
        if i != j and i != 1 and j != 1:
            raise ValueError(f"{op_name(kernel)}: shapes {shapes_text(a, b)} do not broadcast")
        sizes[d] = j if i == 1 else i
    return ndim

cdef int place(pd_launch *launch, int operand, Tensor x, Tensor out) except -1:
    """Operand number `operand` is x, broadcast to out's shape."""
    cdef int d, skipped = out.ndim - x.ndim
    cdef ptrdiff_t *stride = launch.map.stride[operand]
    launch.buf[operand] = x.data
    for d in range(skipped):
        stride[d] = 0
    for d in range(x.ndim):
        stride[skipped + d] = 0 if x.sizes[d] == 1 else x.strides[d]
    return 0

cdef void merge(pd_map *map, int operands) noexcept nogil:
    """Drops dimensions of size one and joins neighbours that every operand walks as one."""
    cdef size_t kept = 0, d
    cdef int o
    cdef bint joins
    for d in range(map.ndim):
        if map.shape[d] == 1:
            continue
        joins = kept > 0
        if joins:
            for o in range(operands):
                if map.stride[o][kept - 1] != map.stride[o][d] * <ptrdiff_t>map.shape[d]:
                    joins = False
                    break
        if joins:
            map.shape[kept - 1] *= map.shape[d]
            for o in range(operands):
                map.stride[o][kept - 1] = map.stride[o][d]
        else:
            map.shape[kept] = map.shape[d]
            for o in range(operands):
                map.stride[o][kept] = map.stride[o][d]
            kept += 1
    map.ndim = kept

cdef inline void flat(pd_launch *launch, size_t numel, int operands) noexcept nogil:
    """Every operand is contiguous and has the output's shape."""
    cdef int o
    launch.map.ndim = 1
    launch.map.shape[0] = numel
    for o in range(operands):
        launch.map.stride[o][0] = 1

cdef int map_run(pd_launch *launch, int kernel, int code, tuple inputs, Tensor out, double s0, double s1, double s2=0) except -1:
    cdef int d, o = 0
    prepare(launch, kernel, code)
    launch.scalar[0], launch.scalar[1], launch.scalar[2] = s0, s1, s2
    launch.map.ndim = out.ndim
    for d in range(out.ndim):
        launch.map.shape[d] = out.sizes[d]
    for x in inputs:
        place(launch, o, <Tensor>x, out)
        o += 1
    place(launch, o, out, out)
    merge(&launch.map, o + 1)
    return execute(launch, out.numel)


cdef Tensor map1(int kernel, Tensor x, double s0=0, double s1=0, double s2=0):
    return map1_code(kernel, x.code, x, s0, s1, s2)

cdef Tensor map1_to(int kernel, int code, Tensor x):
    return map1_code(kernel, code, x, 0, 0, 0)

cdef Tensor map1_code(int kernel, int code, Tensor x, double s0, double s1, double s2):
    cdef pd_launch launch
    cdef Tensor y = empty(code, x.ndim, x.sizes)
    if not x.contiguous:
        map_run(&launch, kernel, x.code, (x,), y, s0, s1, s2)
        return y
    prepare(&launch, kernel, x.code)
    launch.buf[0], launch.buf[1] = x.data, y.data
    launch.scalar[0], launch.scalar[1], launch.scalar[2] = s0, s1, s2
    flat(&launch, x.numel, 2)
    execute(&launch, x.numel)
    return y

cdef int check_same_type(int kernel, Tensor a, Tensor b) except -1:
    if a.code != b.code:
        raise TypeError(f"{op_name(kernel)}: {dtype_of(a.code)} and {dtype_of(b.code)} do not mix (shapes {shapes_text(a, b)}); convert one with .to()")
    return 0

cdef Tensor map2(int kernel, Tensor a, Tensor b, double s0=0, double s1=0):
    return map2_code(kernel, a.code, a, b, s0, s1)

cdef Tensor map2_to(int kernel, int code, Tensor a, Tensor b):
    return map2_code(kernel, code, a, b, 0, 0)

cdef Tensor map2_code(int kernel, int code, Tensor a, Tensor b, double s0, double s1):
    cdef pd_launch launch
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef Tensor y
    cdef int ndim
    if a.code != b.code:
        check_same_type(kernel, a, b)
    if a.contiguous and b.contiguous and same_shape(a, b):
        y = empty(code, a.ndim, a.sizes)
        prepare(&launch, kernel, a.code)
        launch.buf[0], launch.buf[1], launch.buf[2] = a.data, b.data, y.data
        launch.scalar[0], launch.scalar[1] = s0, s1
        flat(&launch, a.numel, 3)
        execute(&launch, a.numel)
        return y
    ndim = broadcast_sizes(kernel, a, b, sizes)
    y = empty(code, ndim, sizes)
    map_run(&launch, kernel, a.code, (a, b), y, s0, s1)
    return y

cdef Tensor map3(int kernel, Tensor a, Tensor b, Tensor c, double s0=0, double s1=0):
    """y = kernel(a, b, c); y has b's type (a may be a condition)."""
    cdef pd_launch launch
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef Tensor y
    cdef int ndim
    check_same_type(kernel, b, c)
    try:
        ndim = broadcast_sizes(kernel, b, c, sizes)
        y = over_memory(b.storage, b.data, b.code, ndim, sizes, sizes)  # only its shape is used
        ndim = broadcast_sizes(kernel, a, y, sizes)
    except ValueError:
        raise ValueError(f"{op_name(kernel)}: shapes {shape_of(a)}, {shape_of(b)} and {shape_of(c)} do not broadcast") from None
    y = empty(b.code, ndim, sizes)
    map_run(&launch, kernel, b.code, (a, b, c), y, s0, s1)
    return y

cdef bint overlaps(Tensor x, Tensor out) noexcept:
    """Whether writing out could change elements of x that are still to be read: not when both are the very same view."""
    if x.storage is not out.storage or x.numel == 0 or out.numel == 0:
        return False
    if x.data == out.data and same_shape(x, out):
        for d in range(x.ndim):
            if x.strides[d] != out.strides[d] and x.sizes[d] > 1:
                return True
        return False
    return True

cdef int map_into(int kernel, int code, tuple inputs, Tensor out, double s0=0, double s1=0) except -1:
    cdef pd_launch launch
    cdef list safe = []
    if not out.storage.writable:
        raise ValueError(f"{op_name(kernel)}: the tensor looks at read-only memory; use clone()")
    for item in inputs:
        x = broadcast_to(<Tensor>item, out.ndim, out.sizes, op_name(kernel))
        safe.append(duplicate(x) if overlaps(x, out) else x)
    return map_run(&launch, kernel, code, tuple(safe), out, s0, s1)

cdef Tensor duplicate(Tensor x):
    cdef pd_launch launch
    cdef Tensor y = empty(x.code, x.ndim, x.sizes)
    map_run(&launch, PD_copy, x.code, (x,), y, 0, 0)
    return y

cdef Tensor contiguous(Tensor x):
    return x if x.contiguous else duplicate(x)

cdef Tensor cast(Tensor x, int code):
    return x if x.code == code else map1_to(CAST[code], code, x)

cdef Tensor filled(int code, object shape, double value):
    cdef Tensor y = empty_of(code, shape)
    fill(y, value)
    return y

cdef int fill(Tensor x, double value) except -1:
    """Sets every element; a little of zeros by memset where the memory allows."""
    cdef pd_launch launch
    cdef size_t nbytes = x.numel * x.itemsize
    if nbytes < MEMSET_BYTES and not capturing[0] and value == 0 and not signbit(value) and x.contiguous:
        with nogil:
            memset(x.data, 0, nbytes)
        return 0
    return map_run(&launch, PD_fill, x.code, (), x, value, 0)

cdef Tensor broadcast_to(Tensor x, int ndim, const ptrdiff_t *sizes, str op="broadcast_to"):
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef int d, skipped = ndim - x.ndim
    cdef bint fits = skipped >= 0
    for d in range(ndim if fits else 0):
        if d < skipped:
            strides[d] = 0
        elif x.sizes[d - skipped] == sizes[d]:
            strides[d] = x.strides[d - skipped]
        elif x.sizes[d - skipped] == 1:
            strides[d] = 0
        else:
            fits = False
            break
    if not fits:
        raise ValueError(f"{op}: shape {shape_of(x)} does not broadcast to {tuple([sizes[i] for i in range(ndim)])}")
    return view_of(x, ndim, sizes, strides, 0)
