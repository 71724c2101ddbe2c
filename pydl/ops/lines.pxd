"""The geometry of kernels that work along one dimension."""
from pydl._core.kernels cimport pd_launch
from pydl._core.tensor cimport Tensor

cdef inline int lines_of(pd_launch *launch, Tensor x, int dim) noexcept:
    """(outer, n, inner) of a contiguous x along `dim`; a 0-dimensional one is a line of one element."""
    cdef int d
    launch.lines.outer = launch.lines.inner = 1
    for d in range(dim):
        launch.lines.outer *= x.sizes[d]
    launch.lines.n = x.sizes[dim] if x.ndim else 1
    for d in range(dim + 1, x.ndim):
        launch.lines.inner *= x.sizes[d]
    return 0
