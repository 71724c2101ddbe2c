"""DLPack: memory shared with other libraries, in both directions."""
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New, PyCapsule_SetName
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from pydl._core.kernels cimport PD_BOOL, PD_F32, PD_F64, PD_I32, PD_I64, PD_MAX_DIMS, PD_U8
from pydl._core.launch cimport duplicate
from pydl._core.recording cimport keep_borrowed
from pydl._core.tensor cimport Storage, Tensor, alias_of, give_back, over_borrowed, shape_of

cdef struct DLDevice:
    int32_t device_type
    int32_t device_id

cdef struct DLDataType:
    uint8_t code
    uint8_t bits
    uint16_t lanes

cdef struct DLTensor:
    void *data
    DLDevice device
    int32_t ndim
    DLDataType dtype
    int64_t *shape
    int64_t *strides
    uint64_t byte_offset

cdef struct Managed:            # DLManagedTensor
    DLTensor tensor
    void *context
    void (*deleter)(Managed *) noexcept

cdef struct Versioned:          # DLManagedTensorVersioned
    uint32_t major
    uint32_t minor
    void *context
    void (*deleter)(Versioned *) noexcept
    uint64_t flags
    DLTensor tensor

cdef enum:
    CPU = 1
    INT = 0
    UINT = 1
    FLOAT = 2
    BOOL = 6
    READ_ONLY = 1


# ---- Export

cdef int describe(Tensor x, DLTensor *out, int64_t *layout) except -1:
    cdef int d
    out.data, out.ndim, out.byte_offset = x.data, x.ndim, 0
    out.device.device_type, out.device.device_id = CPU, 0
    out.dtype.code = FLOAT if x.code <= PD_F64 else BOOL if x.code == PD_BOOL else UINT if x.code == PD_U8 else INT
    out.dtype.bits, out.dtype.lanes = 8 * x.itemsize, 1
    out.shape, out.strides = layout, layout + PD_MAX_DIMS
    for d in range(x.ndim):
        layout[d], layout[PD_MAX_DIMS + d] = x.sizes[d], x.strides[d]
    return 0

cdef Tensor lend(Tensor x):
    """Holds the memory even where x gets another."""
    cdef Tensor keeper = alias_of(x)
    keeper.storage.lent += 1
    return keeper

cdef void end_loan(void *keeper) noexcept:
    give_back((<Tensor>keeper).storage)
    Py_DECREF(<object>keeper)

cdef void delete_managed(Managed *managed) noexcept with gil:
    end_loan(managed.context)
    PyMem_Free(managed)

cdef void delete_versioned(Versioned *managed) noexcept with gil:
    end_loan(managed.context)
    PyMem_Free(managed)

cdef void drop_managed(object capsule) noexcept:
    cdef Managed *managed
    if PyCapsule_IsValid(capsule, "dltensor"):
        managed = <Managed *>PyCapsule_GetPointer(capsule, "dltensor")
        managed.deleter(managed)

cdef void drop_versioned(object capsule) noexcept:
    cdef Versioned *managed
    if PyCapsule_IsValid(capsule, "dltensor_versioned"):
        managed = <Versioned *>PyCapsule_GetPointer(capsule, "dltensor_versioned")
        managed.deleter(managed)

def to_dlpack(Tensor x not None, max_version, dl_device, copy):
    """The capsule of `Tensor.__dlpack__`."""
    cdef Managed *managed
    cdef Versioned *versioned
    cdef size_t layout = 2 * PD_MAX_DIMS * sizeof(int64_t)
    if x.requires_grad:
        raise RuntimeError("__dlpack__: a tensor that requires grad is not exported; use x.detach()")
    if dl_device is not None and tuple(dl_device) != (CPU, 0):
        raise BufferError(f"__dlpack__: pydl lives on the CPU (1, 0), not on {tuple(dl_device)}")
    if copy:
        x = duplicate(x)
    if max_version is None or max_version[0] < 1:
        if not x.storage.writable:
            raise BufferError("__dlpack__: read-only memory needs a consumer of DLPack 1.0")
        managed = <Managed *>PyMem_Malloc(sizeof(Managed) + layout)
        if managed == NULL:
            raise MemoryError
        describe(x, &managed.tensor, <int64_t *>(managed + 1))
        keeper = lend(x)
        managed.context, managed.deleter = <void *>keeper, delete_managed
        Py_INCREF(keeper)
        return PyCapsule_New(managed, "dltensor", drop_managed)
    versioned = <Versioned *>PyMem_Malloc(sizeof(Versioned) + layout)
    if versioned == NULL:
        raise MemoryError
    versioned.major, versioned.minor = 1, 0
    versioned.flags = 0 if x.storage.writable else READ_ONLY
    describe(x, &versioned.tensor, <int64_t *>(versioned + 1))
    keeper = lend(x)
    versioned.context, versioned.deleter = <void *>keeper, delete_versioned
    Py_INCREF(keeper)
    return PyCapsule_New(versioned, "dltensor_versioned", drop_versioned)


# ---- Import

cdef class Borrowed:
    """Holds on to another library's tensor while pydl looks at its memory."""
    cdef Managed *managed
    cdef Versioned *versioned

    def __dealloc__(self):
        if self.managed != NULL and self.managed.deleter != NULL:
            self.managed.deleter(self.managed)
        if self.versioned != NULL and self.versioned.deleter != NULL:
            self.versioned.deleter(self.versioned)

cdef int code_from(DLDataType kind) except -1:
    if kind.lanes == 1:
        if kind.code == FLOAT and kind.bits == 32: return PD_F32
        if kind.code == FLOAT and kind.bits == 64: return PD_F64
        if kind.code == INT and kind.bits == 64: return PD_I64
        if kind.code == INT and kind.bits == 32: return PD_I32
        if kind.code == UINT and kind.bits == 8: return PD_U8
        if kind.code == BOOL and kind.bits == 8: return PD_BOOL
    raise TypeError(f"from_dlpack: element type (code {kind.code}, {kind.bits} bits, {kind.lanes} lanes) is not known to pydl")

cdef Tensor look_at(DLTensor *source, Borrowed owner, bint writable):
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef Storage storage = Storage.__new__(Storage)
    cdef int d, code
    cdef ptrdiff_t step = 1
    storage.owner = owner
    storage.writable = writable
    if source.device.device_type != CPU:
        raise BufferError(f"from_dlpack: the memory is on device type {source.device.device_type}; pydl reads the CPU's (1) only")
    if source.ndim > PD_MAX_DIMS or source.ndim < 0:
        raise ValueError(f"from_dlpack: a tensor has at most {PD_MAX_DIMS} dimensions, got {source.ndim}")
    code = code_from(source.dtype)
    for d in range(source.ndim - 1, -1, -1):
        sizes[d] = source.shape[d]
        strides[d] = step if source.strides == NULL else source.strides[d]
        step *= sizes[d]
    x = over_borrowed(storage, <char *>source.data + source.byte_offset, code, source.ndim, sizes, strides)
    keep_borrowed(x, storage.version)
    if x.numel and <size_t>x.data % x.itemsize:
        raise ValueError(f"from_dlpack: the memory of shape {shape_of(x)} is misaligned")
    return x

def from_dlpack(source):
    """A tensor that shares the memory of any object with `__dlpack__` (NumPy, PyTorch, JAX ... on the CPU)."""
    cdef Borrowed owner = Borrowed.__new__(Borrowed)
    if not hasattr(source, "__dlpack__"):
        raise TypeError(f"from_dlpack: expected an object with __dlpack__, got {type(source).__name__}")
    try:
        capsule = source.__dlpack__(max_version=(1, 0))
    except TypeError:
        capsule = source.__dlpack__()
    if PyCapsule_IsValid(capsule, "dltensor_versioned"):
        owner.versioned = <Versioned *>PyCapsule_GetPointer(capsule, "dltensor_versioned")
        PyCapsule_SetName(capsule, "used_dltensor_versioned")
        return look_at(&owner.versioned.tensor, owner, not owner.versioned.flags & READ_ONLY)
    if not PyCapsule_IsValid(capsule, "dltensor"):
        raise TypeError("from_dlpack: __dlpack__ did not return a DLPack capsule")
    owner.managed = <Managed *>PyCapsule_GetPointer(capsule, "dltensor")
    PyCapsule_SetName(capsule, "used_dltensor")
    return look_at(&owner.managed.tensor, owner, True)
