"""What x[index] says, checked against a shape."""
from pydl._core.tensor cimport Tensor

cdef class Lookup:
    """Index arrays that broadcast together, for some dimensions of a tensor; checked against its sizes."""
    cdef tuple dims         # the dimensions they index, ascending
    cdef tuple indices      # contiguous int64
    cdef tuple versions     # of their memory
    cdef bint negative      # some index counts from the end
    cdef tuple shape        # their common shape
    cdef int place          # where that stands among the dimensions that are left
    cdef bint neighbours    # the dimensions lie side by side

cdef class Index:
    """An index made ready for a shape: a box, then new dimensions of size 1, then a lookup."""
    cdef tuple box
    cdef list new_dims
    cdef Lookup lookup      # or None
    cdef Tensor mask        # where the whole index is one mask over all dimensions

# Both raise IndexError, TypeError and ValueError in the name of the op `name`.
cdef Index parse(str name, Tensor x, object index)
cdef tuple part_of(str name, object item, int d, ptrdiff_t size, tuple shape)
    # (start, step, count) for an int or a slice; count -1 for an int
cdef Tensor boxed(Tensor x, Index index)                # the view that the box and the new dimensions give
