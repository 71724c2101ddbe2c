"""Reads x[index]: ints, slices, ..., None, masks and index arrays become a box, new dimensions and a lookup."""
import numpy as np

from pydl._core.kernels cimport PD_BOOL, PD_I32, PD_I64, PD_MAX_DIMS
from pydl._core.launch cimport contiguous
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, shape_of
from pydl.ops.gather cimport check_range, index_arg
from pydl.ops.masks cimport positions_of_mask
from pydl.ops.parts cimport box_of
from pydl._core.numpy_bridge import as_tensor
from pydl.ops.masks import nonzero
from pydl.ops.shape import unsqueeze


cdef class Lookup:
    """Index arrays that broadcast together, for some dimensions of a tensor; checked against its sizes."""

cdef class Index:
    """An index made ready for a shape: a box, then new dimensions of size 1, then a lookup."""

cdef object plain(str name, object item):
    """An int, slice, bool, None, Ellipsis, or a Tensor of int64 or bool."""
    if item is None or item is Ellipsis or isinstance(item, (int, slice)):
        return item
    if not isinstance(item, Tensor):
        if not isinstance(item, (list, tuple, range, np.ndarray, np.generic)):
            if hasattr(item, "__index__"):
                return item.__index__()
            raise TypeError(f"{name}: an index must be made of ints, slices, None, ..., integer or bool arrays, got {type(item).__name__}")
        item = as_index(name, item)
        if not isinstance(item, Tensor):
            return item
    if (<Tensor>item).code == PD_BOOL:
        return bool(item) if (<Tensor>item).ndim == 0 else item
    if (<Tensor>item).code != PD_I64 and (<Tensor>item).code != PD_I32:
        raise TypeError(f"{name}: an index tensor must be int64, int32 or bool, got {dtype_of((<Tensor>item).code)} of shape {shape_of(<Tensor>item)}")
    return int(item) if (<Tensor>item).ndim == 0 else index_arg(name, item, "index")

cdef object as_index(str name, object item):
    if isinstance(item, (list, tuple)) and any([isinstance(one, Tensor) for one in item]):
        item = [one.tolist() if isinstance(one, Tensor) else one for one in item]
    try:
        array = np.asarray(item)
    except ValueError:
        raise ValueError(f"{name}: the rows of an index list differ in length: {item!r}") from None
    if array.size == 0 and not isinstance(item, np.ndarray):
        array = array.astype(np.int64)
    if array.dtype.kind == "b":
        return bool(array) if array.ndim == 0 else as_tensor(np.ascontiguousarray(array))
    if array.dtype.kind not in "iu" or array.dtype == np.uint64:
        raise TypeError(f"{name}: an index array must hold integers or bools, got {array.dtype} of shape {array.shape}")
    return int(array) if array.ndim == 0 else as_tensor(np.array(array, dtype=np.int64))

cdef int dims_used(object item) except -1:
    if item is None or item is Ellipsis or item is True or item is False:
        return 0
    if isinstance(item, Tensor) and (<Tensor>item).code == PD_BOOL:
        return (<Tensor>item).ndim
    return 1

cdef tuple part_of(str name, object item, int d, ptrdiff_t size, tuple shape):
    """(start, step, count) for an int or a slice; count -1 for an int."""
    if isinstance(item, slice):
        if item.step is not None and item.step <= 0:
            raise ValueError(f"{name}: a slice's step must be positive, got {item.step}; use flip()")
        try:
            start, stop, step = item.indices(size)
        except TypeError:
            raise TypeError(f"{name}: a slice is made of ints, got {item}") from None
        count = (stop - start + step - 1) // step if stop > start else 0
        return (start if count else 0, step if count > 1 else 1, count)
    if not -size <= item < size:
        raise IndexError(f"{name}: index {item} is out of range for dim {d} of shape {shape}")
    return (item + size if item < 0 else item, 1, -1)

cdef Index parse(str name, Tensor x, object index):
    cdef Index made = Index.__new__(Index)
    cdef tuple shape = shape_of(x), sizes
    cdef list items = [plain(name, one) for one in (index if isinstance(index, tuple) else (index,))]
    cdef list box = [], looked = []     # looked: (dimension of the result of the box, index tensor)
    cdef int d = 0, out = 0, used = 0, ellipses = 0
    cdef Tensor mask
    made.new_dims = []
    for item in items:
        used += dims_used(item)
        ellipses += item is Ellipsis
    if used > x.ndim:
        raise IndexError(f"{name}: too many indices: {used} for shape {shape}")
    if ellipses > 1:
        raise IndexError(f"{name}: an index can only have a single ellipsis ('...')")
    if not ellipses:
        items.append(Ellipsis)
    for item in items:
        if item is Ellipsis:
            for _ in range(x.ndim - used):
                box.append((0, 1, x.sizes[d]))
                d, out = d + 1, out + 1
        elif item is None or item is True or item is False:
            made.new_dims.append(out)
            if item is not None:
                looked.append((out, as_tensor(np.zeros(1 if item else 0, np.int64))))
            out += 1
        elif isinstance(item, Tensor) and (<Tensor>item).code == PD_BOOL:
            mask = <Tensor>item
            sizes = shape_of(mask)
            if sizes != shape[d:d + mask.ndim]:
                raise IndexError(f"{name}: a mask of shape {sizes} does not fit dims {d} to {d + mask.ndim - 1} of shape {shape}")
            for one in ((positions_of_mask(contiguous(mask)),) if mask.ndim == 1 else nonzero(mask, as_tuple=True)):
                box.append((0, 1, x.sizes[d]))
                looked.append((out, one))
                d, out = d + 1, out + 1
            if mask.ndim == x.ndim:
                made.mask = mask
        elif isinstance(item, Tensor):
            box.append((0, 1, x.sizes[d]))
            looked.append((out, item))
            d, out = d + 1, out + 1
        else:
            box.append(part_of(name, item, d, x.sizes[d], shape))
            out += not isinstance(item, int)
            d += 1
    made.box = tuple(box)
    if out > PD_MAX_DIMS:
        raise IndexError(f"{name}: the result would have more than {PD_MAX_DIMS} dimensions")
    if looked:
        made.lookup = new_lookup(name, boxed_sizes(made, out), looked)
    return made

cdef list boxed_sizes(Index index, int ndim):
    """The shape after the box and the new dimensions."""
    cdef list sizes = [count for _, _, count in index.box if count >= 0]
    for d in index.new_dims:
        sizes.insert(d, 1)
    return sizes

cdef Lookup new_lookup(str name, list sizes, list looked):
    cdef Lookup made = Lookup.__new__(Lookup)
    cdef list common = []
    cdef Tensor one
    cdef int k, front
    made.dims = tuple([d for d, _ in looked])
    made.indices = tuple([one for _, one in looked])
    for d, item in looked:
        one = <Tensor>item
        made.negative |= check_range(name, one, sizes[d], True)
        if one.ndim > len(common):
            common = [1] * (one.ndim - len(common)) + common
    for item in made.indices:
        one = <Tensor>item
        front = <int>len(common) - one.ndim
        for k in range(one.ndim):
            if common[front + k] == 1:
                common[front + k] = one.sizes[k]
            elif one.sizes[k] != 1 and one.sizes[k] != common[front + k]:
                raise IndexError(f"{name}: index arrays of shapes {', '.join([str(shape_of(<Tensor>i)) for i in made.indices])} do not broadcast")
    made.versions = tuple([(<Tensor>i).storage.version for i in made.indices])
    made.shape = tuple(common)
    made.neighbours = made.dims[len(looked) - 1] - made.dims[0] == len(looked) - 1
    made.place = made.dims[0] if made.neighbours else 0
    if len(common) + len(sizes) - len(made.dims) > PD_MAX_DIMS:
        raise IndexError(f"{name}: the result would have more than {PD_MAX_DIMS} dimensions")
    return made

cdef Tensor boxed(Tensor x, Index index):
    """The view that the box and the new dimensions give."""
    cdef Tensor y = box_of(x, index.box, True)
    for d in index.new_dims:
        y = <Tensor>unsqueeze(y, d)
    return y
