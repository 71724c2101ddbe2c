"""The tape: nodes that remember how a tensor was made. The walk back is in backward.pyx. Neither knows an op."""
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
    cdef bytes shapes                   # per input: its number of dimensions (-1: no input) and sizes; None where no input was broadcast
    cdef public object extra            # whatever else the rule needs (attributes, geometry)
    cdef object context                 # a custom Function's ctx, forgotten with what was kept
    cdef int outputs
    cdef object metas                   # several outputs: their (code, shape); None otherwise
    cdef Tensor slot0, slot1, slot2, slot3
    cdef size_t version0, version1, version2, version3
    cdef int own_outputs                # bit per slot: it holds an output of this node
    cdef bint freed
    cdef dict hooks                     # key -> (output, function of its gradient)
    cdef object where                   # anomaly mode: the user's line
    cdef size_t wanted                  # backward.pyx: which inputs this run wants, one bit each; all bits outside a run
    cdef int cursor                     # backward.pyx: the next edge to follow
    cdef object run                     # backward.pyx: the walk that is visiting
    cdef object total                   # backward.pyx: the gradient so far
    cdef bint total_owned               # backward.pyx: total may be added to in place
    cdef object __weakref__

    cdef bint need(self, int i) noexcept
    cdef int keep(self, int slot, Tensor x) except -1           # an input (or any tensor that is not the output); slots 0..3
    cdef int keep_output(self, int slot, Tensor y) except -1    # the op's own output
    cdef Tensor kept(self, int slot)                            # RuntimeError where it was changed in place, or is freed
    cdef int release(self) except -1                            # forgets what was kept

cdef class Output:
    """An edge to one of several outputs of a node."""
    cdef Node node
    cdef int index

cdef Op op(object forward, backward_rule rule)      # registers an op under forward.__name__
cdef Op register(Op new, object forward, backward_rule rule)     # the same for an Op made elsewhere
cdef bint recording(Tensor x) except -1             # would an op of x be recorded?
cdef bint grad_enabled() noexcept
cdef int set_grad_enabled(bint enabled) except -1

# After the launch: attach a node to the result. None where nothing needs a gradient (or under no_grad).
cdef Node record1(Op op, Tensor y, Tensor a)
cdef Node record2(Op op, Tensor y, Tensor a, Tensor b)
cdef Node record(Op op, object outputs, tuple inputs)           # outputs: a Tensor, or a tuple; inputs: Tensors or None

# In-place changes.
cdef int changed(Tensor x) except -1                            # counts a change; refuses read-only memory
cdef int writable_in_place(str op, Tensor x) except -1          # RuntimeError for a leaf that requires grad, under grad mode
cdef int rebase(Tensor x, Tensor result) except -1              # x was overwritten with result's values: x takes its node
cdef int take_place(Tensor x, Tensor other) except -1          # x stands where other stands in the graph
cdef str what_changed(Tensor x, size_t version)
cdef object edge_of(Tensor x)
cdef int refresh_view(Tensor x) except -1

cdef inline bint tracked(Tensor x) except -1:
    """needs_grad, once a view of a base that was changed in place is up to date."""
    if x.base is not None and x.base.history != x.history:
        refresh_view(x)
    return x.needs_grad

cdef Op unregistered_op(str name, backward_rule rule)           # for custom Functions
cdef bint anomaly_enabled() noexcept
cdef int set_anomaly(bint enabled) except -1
cdef int check_gradient(Node node, Tensor grad) except -1       # anomaly mode: finite?
