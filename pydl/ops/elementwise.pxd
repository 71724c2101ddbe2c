"""What the activations share with the elementwise functions."""
from pydl._core.tape cimport Op
from pydl._core.tensor cimport Tensor

cdef Tensor of_input(Op which, int kernel, Tensor x)        # kernel(x), recorded; the rule gets x
cdef Tensor of_output(Op which, int kernel, Tensor x)       # kernel(x), recorded; the rule gets the result
