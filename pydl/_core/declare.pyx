"""Ops whose forward and rule are Python: for what calls NumPy or other ops, and is not called a million times a second."""
cimport cython
from pydl._core.kernels cimport pd_launch
from pydl._core.launch cimport broadcast_to, contiguous, prepare, run
from pydl._core.tape cimport Node, Op, backward_rule, record, register
from pydl._core.tensor cimport Tensor, empty, empty_like, empty_of, same_shape, scalar_of

cdef extern from "pydl.h":
    enum: PD_addcdiv
    enum: PD_frac
    enum: PD_hypot
    enum: PD_lerp
    enum: PD_logaddexp
    enum: PD_nan_to_num
    enum: PD_triangle
    enum: PD_xlogy

cdef dict KERNELS = {
    "addcdiv": PD_addcdiv, "frac": PD_frac, "hypot": PD_hypot, "lerp": PD_lerp, "logaddexp": PD_logaddexp, "nan_to_num": PD_nan_to_num,
    "xlogy": PD_xlogy,
}


@cython.binding(False)
cdef class PythonOp(Op):
    """An op of the registry that Python can record. Made by declare()."""
    cdef object backward

    def record(self, outputs, tuple inputs not None, tuple saved not None=(), extra=None):
        """Attaches the outputs (a Tensor or a tuple) to the inputs (Tensors or None), and returns them.

        saved: up to 4 inputs or outputs that the rule gets; extra: anything else that it needs.
        """
        cdef Node node = record(self, outputs, inputs)
        cdef int slot = 0
        if node is None:
            return outputs
        every = outputs if isinstance(outputs, tuple) else (outputs,)
        for x in saved:
            if any(x is y for y in every):
                node.keep_output(slot, x)
            else:
                node.keep(slot, x)
            slot += 1
        node.extra = (len(saved), extra)
        return outputs


cdef object python_rule(Node node, object dy):
    cdef int i
    count, extra = node.extra
    saved = tuple([node.kept(i) for i in range(count)])
    need = tuple([node.need(i) for i in range(len(node.edges))])
    return (<PythonOp>node.op).backward(dy, need, saved, extra)


def declare(forward, backward=None):
    """Registers an op under forward's name -> PythonOp.

    backward(dy, need, saved, extra) -> the gradient of the one input, or a tuple with one for each (None where need is False).
    dy: the gradient of the output; with several outputs a tuple with None where there is none. It is made of ops, so that it
    can be differentiated again. None: the op has no derivative, and record() is not to be called.
    """
    cdef PythonOp new = PythonOp.__new__(PythonOp)
    cdef backward_rule rule = NULL
    if backward is not None:
        rule = python_rule
    new.backward = backward
    register(new, forward, rule)
    return new


def map_kernel(str name not None, tuple inputs not None, shape, double s0=0, double s1=0, double s2=0):
    """The elementwise kernel `name` on tensors of one type and numbers, which broadcast to `shape`; no graph knows the result."""
    cdef pd_launch launch
    cdef int kernel = KERNELS[name], d, o = 0
    cdef Tensor first = next(x for x in inputs if isinstance(x, Tensor)), x
    cdef Tensor y = empty_like(first) if shape is None else empty_of(first.code, shape)
    cdef bint flat = True
    cdef list operands = []
    for given in inputs:
        x = <Tensor>given if isinstance(given, Tensor) else scalar_of(first.code, given)
        if x.code != first.code:
            raise TypeError(f"{name}: expected tensors of one type")
        flat &= x.contiguous and (same_shape(x, y) or x.numel == 1)
        operands.append(x)
    operands.append(y)
    prepare(&launch, kernel, first.code)
    launch.scalar[0], launch.scalar[1], launch.scalar[2] = s0, s1, s2
    launch.map.ndim = 1 if flat else y.ndim
    launch.map.shape[0] = y.numel
    for given in operands:
        x = <Tensor>given
        if not flat:
            x = broadcast_to(x, y.ndim, y.sizes)
        launch.buf[o] = x.data
        launch.map.stride[o][0] = 1 if x.numel == y.numel else 0
        if not flat:
            for d in range(y.ndim):
                launch.map.shape[d] = y.sizes[d]
                launch.map.stride[o][d] = 0 if x.sizes[d] == 1 else x.strides[d]
        o += 1
    run(&launch, kernel, first.code)
    return y


def triangle(Tensor input not None, double diagonal, bint upper):
    """Matrices with zeros above (upper: on and below) a diagonal; no graph knows the result."""
    cdef pd_launch launch
    cdef Tensor x = contiguous(input), y = empty_like(x)
    prepare(&launch, PD_triangle, x.code)
    launch.buf[0], launch.buf[1] = x.data, y.data
    launch.scalar[0], launch.scalar[1], launch.scalar[2] = diagonal, upper, x.itemsize
    launch.lines.n, launch.lines.inner = x.sizes[x.ndim - 2], x.sizes[x.ndim - 1]
    launch.lines.outer = x.numel // max(1, launch.lines.n * launch.lines.inner)
    run(&launch, PD_triangle, x.code)
    return y
