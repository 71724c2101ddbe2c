# Part of backward.pyx: what a walk keeps its nodes and leaves in, and its questions to gradients.

cdef class Leaf:
    """The gradient of one leaf so far."""
    cdef Tensor tensor
    cdef object total
    cdef bint owned


cdef struct Pile:
    PyObject **nodes
    size_t count, room

cdef int put(Pile *pile, Node node) except -1:
    cdef size_t room = 2 * pile.room if pile.room else 64
    cdef PyObject **nodes
    if pile.count == pile.room:
        nodes = <PyObject **>realloc(pile.nodes, room * sizeof(PyObject *))
        if nodes == NULL:
            raise MemoryError("backward: no memory for the walk")
        pile.nodes, pile.room = nodes, room
    Py_INCREF(node)
    pile.nodes[pile.count] = <PyObject *>node
    pile.count += 1
    return 0

cdef Node taken(Pile *pile):
    """The last one."""
    cdef Node node
    pile.count -= 1
    node = <Node>pile.nodes[pile.count]
    Py_DECREF(node)
    return node


cdef bint fits(Tensor grad, const ptrdiff_t *shape) noexcept:
    """Whether the gradient has the shape that a node noted: the number of dimensions, then the sizes."""
    cdef int d
    if grad.ndim != shape[0]:
        return False
    for d in range(grad.ndim):
        if grad.sizes[d] != shape[1 + d]:
            return False
    return True

cdef bint is_unique(Tensor total) noexcept:
    """Whether the walk alone holds the gradient and its memory, so that a leaf may keep it."""
    return (total.contiguous and total.node is None and Py_REFCNT(<PyObject *>total) <= 2
            and Py_REFCNT(<PyObject *>total.storage) == 1)
