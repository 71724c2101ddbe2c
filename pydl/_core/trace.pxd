"""Names for what a trace records. Called only while somebody traces."""
from libc.stdint cimport int32_t

from pydl._core.tensor cimport Tensor

cdef int32_t op_number(str name) except -1
cdef int trace_made(str name, Tensor y, Tensor x) except -1     # the op of this name has made y, of x or None among others
