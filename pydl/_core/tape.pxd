"""The tape: nodes that remember how a tensor was made, and the walk back. It knows no op."""
from pydl._core.tensor cimport Tensor

ctypedef object (*backward_rule)(Node node, object dy)
# dy: the gradient of the output (a tuple of Tensor or None where the op has several outputs).
# Returns one gradient per input: a Tensor or None for an op of one input, else a tuple. Made of ops, so that with
# create_graph=True it records itself; ask node.need(i) before computing. A gradient of the broadcast shape is
# summed to the input's shape by the tape.

cdef class Op:
    cdef readonly str name
    cdef readonly object forward        # the Python function
    cdef backward_rule rule

cdef class Node:
    cdef readonly Op op
    cdef tuple edges                    # per input: Node, Output, leaf Tensor, or None where no gradient is wanted
    cdef tuple shapes                   # per input: its shape; None where no input was broadcast
    cdef public object extra            # whatever else the rule needs (attributes, geometry)
    cdef bint need(self, int i)
    cdef int keep(self, int slot, Tensor x) except -1           # an input (or any tensor that is not the output); slots 0..3
    cdef int keep_output(self, int slot, Tensor y) except -1    # the op's own output
    cdef Tensor kept(self, int slot)                            # RuntimeError where it was changed in place, or is freed

cdef Op op(object forward, backward_rule rule)      # registers an op under forward.__name__
cdef bint recording(Tensor x) noexcept              # would an op of x be recorded?

# After the launch: attach a node to the result. None where nothing needs a gradient (or under no_grad).
cdef Node record1(Op op, Tensor y, Tensor a)
cdef Node record2(Op op, Tensor y, Tensor a, Tensor b)
cdef Node record(Op op, object outputs, tuple inputs)           # outputs: a Tensor, or a tuple; inputs: Tensors or None
