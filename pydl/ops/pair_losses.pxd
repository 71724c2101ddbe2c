"""What losses of pairs share."""
from pydl._core.tape cimport Node, Op
from pydl._core.tensor cimport Tensor

cdef tuple pair_of(str name, object input, object target)       # both in the float type that they have in common, of one shape
cdef Tensor pair_loss(Op which, int kernel, Tensor x, Tensor t, tuple how, Tensor total=*)
cdef tuple plain(str name, Tensor x, object reduction, double a=*, double b=*)     # pair_loss's `how` of a loss without weights
cdef Tensor pair_gradient(Node node, int kernel, object dy)     # dx, from what the forward left or anew
cdef object mean_share(Node node, object dy)                    # dy of one element's loss
