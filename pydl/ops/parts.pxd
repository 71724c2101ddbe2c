"""What indexing uses of the views of parts."""
from pydl._core.tensor cimport Tensor

cdef Tensor box_of(Tensor x, tuple box, bint tracked)   # (start, step, count) per dimension; trusted; tracked: recorded
