"""What indexing uses of masks."""
from pydl._core.tensor cimport Tensor

cdef Tensor positions_of_mask(Tensor mask)      # contiguous bool -> the flat positions that are set
