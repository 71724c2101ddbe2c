"""Tables of vectors: embedding, and embedding_bag for sums, means and maxima of what is looked up. Kernels: csrc/embed.c.

bag_sum, bag_grad and bag_dot are the derivatives of sum_b sum_(i in b) factor_i <dy_b, weight[index_i]> in dy, in the weight and in
the factor, so that each one's rule is made of the other two.
"""
from libc.stdint cimport int64_t

from pydl._core.kernels cimport PD_F32, PD_I64, pd_launch
from pydl._core.launch cimport contiguous, filled, map_into, prepare, run
from pydl._core.recording cimport host_read
from pydl._core.tape cimport Node, Op, changed, op, record, record1, recording
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, empty, empty_for_host, real_arg, same_shape, shape_of, tensor_arg, strides_overlap
from pydl.ops.gather cimport check_range, index_arg, launch_rows
from pydl.ops.operands cimport is_number

from pydl.ops.arithmetic import div, mul
from pydl.ops.compare import ne, where
from pydl.ops.gather import gather
from pydl.ops.shape import reshape

cdef extern from "pydl.h":
    enum: PD_copy
    enum: PD_rows_take
    enum: PD_bag_sum
    enum: PD_bag_dot
    enum: PD_bag_grad
    enum: PD_bag_argmax
    enum: PD_embed_renorm


# ---- Arguments

cdef Tensor table_arg(str name, object weight):
    cdef Tensor w = real_arg(name, weight, "weight")
    if w.ndim != 2:
        raise ValueError(f"{name}: expected weight (V, D), got shape {shape_of(w)}")
    return w

cdef int64_t padding_arg(str name, object padding_idx, Tensor w) except? -2:
    """The row that padding_idx names, or -1."""
    cdef ptrdiff_t rows = w.sizes[0]
    if padding_idx is None:
        return -1
    if not isinstance(padding_idx, int):
        raise TypeError(f"{name}: padding_idx must be an int or None, got {type(padding_idx).__name__}")
    if not -rows <= padding_idx < rows:
        raise ValueError(f"{name}: padding_idx {padding_idx} is out of range for weight {shape_of(w)}")
    return padding_idx % rows

cdef int refuse_sparse(str name, object sparse) except -1:
    if sparse:
        raise ValueError(f"{name}: sparse gradients are not there; with sparse=False the gradient is dense")
    return 0

cdef Tensor offsets_arg(str name, object offsets, Tensor index, bint with_last):
    """(B + 1,): where every bag starts, and where the last one ends."""
    cdef Tensor given = index_arg(name, offsets, "offsets"), ends
    cdef ptrdiff_t size = given.numel if with_last else given.numel + 1, b
    cdef const int64_t *start = <const int64_t *>given.data
    cdef int64_t *to
    host_read(name)
    if given.ndim != 1 or size < 1:
        raise ValueError(f"{name}: expected offsets of one dimension{', one or more' if with_last else ''}, got shape {shape_of(given)}")
    ends = empty(PD_I64, 1, &size)
    to = <int64_t *>ends.data
    for b in range(<ptrdiff_t>given.numel):
        if (start[b] != 0 if b == 0 else start[b] < start[b - 1]) or start[b] > <int64_t>index.numel:
            raise ValueError(f"{name}: expected offsets that begin with 0 and grow up to the {index.numel} items of input {shape_of(index)}, "
                             f"got {start[b]} at position {b} of {shape_of(given)}")
        to[b] = start[b]
    if not with_last:
        to[size - 1] = index.numel
    return ends

cdef Tensor even_offsets(Tensor index):
    """Those of bags that are the rows of index (B, L)."""
    cdef ptrdiff_t size = index.sizes[0] + 1, b
    cdef Tensor ends = empty_for_host(PD_I64, 1, &size)
    for b in range(size):
        (<int64_t *>ends.data)[b] = b * index.sizes[1]
    return ends

cdef Tensor flat(Tensor index):
    return index if index.ndim == 1 else <Tensor>reshape(index, -1)

cdef ptrdiff_t bags_in(Tensor index, Tensor offsets) noexcept:
    return index.numel if offsets is None else offsets.numel - 1

cdef Tensor inverse_frequencies(Tensor index, ptrdiff_t rows, int code):
    """1 / how often index names the row, for every item."""
    host_read("scale_grad_by_freq")
    cdef Tensor counts = filled(PD_I64, (rows,), 0), y = empty(code, 1, &index.sizes[0])
    cdef const int64_t *at = <const int64_t *>index.data
    cdef int64_t *count = <int64_t *>counts.data
    cdef size_t i
    for i in range(index.numel):
        count[at[i]] += 1
    for i in range(index.numel):
        if code == PD_F32:
            (<float *>y.data)[i] = <float>(1.0 / <double>count[at[i]])
        else:
            (<double *>y.data)[i] = 1.0 / <double>count[at[i]]
    return y

cdef int renormalize(str name, Tensor w, Tensor index, object max_norm, object norm_type) except -1:
    """Shortens the rows of w that are looked up, in place, outside of any graph."""
    cdef pd_launch launch
    cdef Tensor rows
    if not (is_number(max_norm) and is_number(norm_type)):
        raise TypeError(f"{name}: max_norm and norm_type must be numbers, got {max_norm!r} and {norm_type!r}")
    if not norm_type > 0:
        raise ValueError(f"{name}: norm_type must be positive, got {norm_type}")
    if not w.storage.writable:
        raise ValueError(f"{name}: max_norm changes weight {shape_of(w)}, which looks at read-only memory; use clone()")
    if not w.contiguous and strides_overlap(w.ndim, w.sizes, w.strides):
        raise ValueError(f"{name}: max_norm changes weight {shape_of(w)}, whose rows lie over one another in memory; use clone()")
    rows = contiguous(w)
    prepare(&launch, PD_embed_renorm, w.code)
    launch.buf[0], launch.buf[1] = rows.data, index.data
    launch.rows.outer, launch.rows.n, launch.rows.inner, launch.rows.count = 1, w.sizes[0], w.sizes[1], index.numel
    launch.scalar[0], launch.scalar[1] = max_norm, norm_type
    if index.numel:
        run(&launch, PD_embed_renorm, w.code)
        if rows is not w:
            map_into(PD_copy, w.code, (rows,), w)
        changed(w)
    return 0


# ---- The three derivatives of one sum

cdef int bag_launch(int kernel, Tensor first, Tensor index, Tensor offsets, Tensor other, Tensor y, ptrdiff_t rows, ptrdiff_t width,
                    int64_t padding) except -1:
    cdef pd_launch launch
    prepare(&launch, kernel, first.code)
    launch.buf[0], launch.buf[1], launch.buf[4] = first.data, index.data, y.data
    launch.buf[2] = NULL if offsets is None else offsets.data
    launch.buf[3] = NULL if other is None else other.data
    launch.rows.outer, launch.rows.n, launch.rows.inner, launch.rows.count = bags_in(index, offsets), rows, width, index.numel
    launch.scalar[0] = <double>padding
    return run(&launch, kernel, first.code)

cdef object with_items(Node node, Tensor a, Tensor b, Tensor index, Tensor offsets, tuple extra):
    if node is not None:
        node.shapes = None
        if a is not None:
            node.keep(0, a)
        if b is not None:
            node.keep(1, b)
        node.keep(2, index)
        if offsets is not None:
            node.keep(3, offsets)
        node.extra = extra

cdef Tensor dense(Tensor x):
    return None if x is None else contiguous(x)

cdef Tensor sum_bags(Tensor w, Tensor index, Tensor offsets, Tensor factor, int64_t padding, Tensor by_frequency=None):
    cdef ptrdiff_t sizes[2]
    sizes[0], sizes[1] = bags_in(index, offsets), w.sizes[1]
    cdef Tensor y = empty(w.code, 2, sizes)
    bag_launch(PD_bag_sum, contiguous(w), index, offsets, dense(factor), y, w.sizes[0], w.sizes[1], padding)
    with_items(record(BAG_SUM, y, (w, factor)), w if factor is not None and recording(factor) else None, factor, index, offsets,
               (padding, by_frequency, w.sizes[0]))
    return y

cdef object bag_sum_backward(Node node, object dy):
    cdef Tensor w = node.kept(0), factor = node.kept(1), index = node.kept(2), offsets = node.kept(3)
    padding, by_frequency, rows = <tuple>node.extra
    scale = factor if by_frequency is None else by_frequency if factor is None else mul(factor, by_frequency)
    return (grad_bags(dy, index, offsets, scale, rows, padding) if node.need(0) else None,
            dot_bags(dy, w, index, offsets, padding) if node.need(1) else None)

cdef Tensor grad_bags(Tensor dy, Tensor index, Tensor offsets, Tensor factor, ptrdiff_t rows, int64_t padding):
    cdef ptrdiff_t sizes[2]
    sizes[0], sizes[1] = rows, dy.sizes[1]
    cdef Tensor dw = empty(dy.code, 2, sizes)
    bag_launch(PD_bag_grad, contiguous(dy), index, offsets, dense(factor), dw, rows, dy.sizes[1], padding)
    with_items(record(BAG_GRAD, dw, (dy, factor)), dy, factor, index, offsets, (padding,))
    return dw

cdef object bag_grad_backward(Node node, object ddw):
    cdef Tensor dy = node.kept(0), factor = node.kept(1), index = node.kept(2), offsets = node.kept(3)
    cdef int64_t padding = (<tuple>node.extra)[0]
    return (sum_bags(ddw, index, offsets, factor, padding) if node.need(0) else None,
            dot_bags(dy, ddw, index, offsets, padding) if node.need(1) else None)

cdef Tensor dot_bags(Tensor dy, Tensor w, Tensor index, Tensor offsets, int64_t padding):
    cdef Tensor df = empty(w.code, 1, &index.sizes[0])
    bag_launch(PD_bag_dot, contiguous(dy), index, offsets, contiguous(w), df, w.sizes[0], w.sizes[1], padding)
    with_items(record(BAG_DOT, df, (dy, w)), dy, w, index, offsets, (padding,))
    return df

cdef object bag_dot_backward(Node node, object ddf):
    cdef Tensor dy = node.kept(0), w = node.kept(1), index = node.kept(2), offsets = node.kept(3)
    cdef int64_t padding = (<tuple>node.extra)[0]
    return (sum_bags(w, index, offsets, ddf, padding) if node.need(0) else None,
            grad_bags(dy, index, offsets, ddf, w.sizes[0], padding) if node.need(1) else None)

cdef tuple items_arg(str name, object index, object offsets, ptrdiff_t rows, Tensor x, object factor):
    """(index, offsets, factor), checked against a table of `rows` rows and x's type."""
    cdef Tensor i = index_arg(name, index, "index"), f = None
    if i.ndim != 1:
        raise ValueError(f"{name}: expected index (count,), got shape {shape_of(i)}")
    check_range(name, i, rows, False)
    if factor is not None:
        f = tensor_arg(name, factor, "factor")
        if f.code != x.code:
            raise TypeError(f"{name}: {dtype_of(x.code)} and factor {dtype_of(f.code)} do not mix; use .to()")
        if not same_shape(f, i):
            raise ValueError(f"{name}: expected factor {shape_of(i)}, one an item of index {shape_of(i)}, got {shape_of(f)}")
    return i, None if offsets is None else offsets_arg(name, offsets, i, True), f

cdef Tensor bags_arg(str name, object dy, tuple items):
    cdef Tensor g = <Tensor>dy
    if g.ndim != 2 or g.sizes[0] != bags_in(items[0], items[1]):
        raise ValueError(f"{name}: expected dy ({bags_in(items[0], items[1])}, D), one row a bag, got shape {shape_of(g)}")
    return g

def bag_sum(weight, index, offsets=None, factor=None):
    """y_b = sum over the items i of bag b of factor_i weight[index_i]: (V, D), (count,), (B + 1,), (count,) -> (B, D).

    Bag b is the items offsets[b] .. offsets[b + 1] - 1; without offsets every item is a bag; factor is 1 where there is none.
    Raises IndexError, ValueError, TypeError.
    """
    cdef Tensor w = table_arg("bag_sum", weight)
    i, at, f = items_arg("bag_sum", index, offsets, w.sizes[0], w, factor)
    return sum_bags(w, i, at, f, -1)

def bag_grad(dy, index, rows, offsets=None, factor=None):
    """The gradient of bag_sum in a weight of `rows` rows: dw[index_i] += factor_i dy_b, in the order of i. dy (B, D) -> (rows, D)."""
    cdef Tensor g = real_arg("bag_grad", dy, "dy")
    if not isinstance(rows, int) or rows < 0:
        raise ValueError(f"bag_grad: rows must be a number of rows, got {rows!r} (dy {shape_of(g)})")
    items = items_arg("bag_grad", index, offsets, rows, g, factor)
    return grad_bags(bags_arg("bag_grad", g, items), items[0], items[1], items[2], rows, -1)

def bag_dot(dy, weight, index, offsets=None):
    """The gradient of bag_sum in the factor: df_i = <dy_b, weight[index_i]>, 0 for an item of no bag. dy (B, D) -> (count,)."""
    cdef Tensor w = table_arg("bag_dot", weight), g = real_arg("bag_dot", dy, "dy")
    items = items_arg("bag_dot", index, offsets, w.sizes[0], w, None)
    if g.code != w.code:
        raise TypeError(f"bag_dot: dy is {dtype_of(g.code)} but weight {dtype_of(w.code)}; use .to()")
    if bags_arg("bag_dot", g, items).sizes[1] != w.sizes[1]:
        raise ValueError(f"bag_dot: expected dy (B, {w.sizes[1]}) for weight {shape_of(w)}, got {shape_of(g)}")
    return dot_bags(g, w, items[0], items[1], -1)

cdef Op BAG_SUM = op(bag_sum, bag_sum_backward)
cdef Op BAG_GRAD = op(bag_grad, bag_grad_backward)
cdef Op BAG_DOT = op(bag_dot, bag_dot_backward)


# ---- Embedding

def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """y = weight[input]: (*) int64 or int32, (V, D) -> (*, D). float32 or float64.

    padding_idx: this row of weight gets no gradient. max_norm: rows that are looked up and whose norm of order norm_type is above
    it are shortened to it first, in place. scale_grad_by_freq: an item's gradient is divided by how often input names its row.
    The gradient is dense and can be differentiated again. Raises IndexError for an index out of range, ValueError for shapes
    that do not fit and for sparse=True, TypeError for other types.
    """
    cdef Tensor w = table_arg("embedding", weight), given = index_arg("embedding", input, "input"), index, y
    cdef int64_t padding = padding_arg("embedding", padding_idx, w)
    cdef ptrdiff_t sizes[2]
    cdef Node node
    refuse_sparse("embedding", sparse)
    check_range("embedding", given, w.sizes[0], False)
    index = flat(given)
    if max_norm is not None:
        renormalize("embedding", w, index, max_norm, norm_type)
    sizes[0], sizes[1] = index.numel, w.sizes[1]
    y = empty(w.code, 2, sizes)
    launch_rows(PD_rows_take, contiguous(w), index, y, 1, w.sizes[0], w.sizes[1])
    y = <Tensor>reshape(y, shape_of(given) + (w.sizes[1],))
    node = record1(EMBEDDING, y, w)
    if node is not None:
        node.keep(0, index)
        node.extra = (shape_of(w), padding, scale_grad_by_freq)
    return y

cdef object embedding_backward(Node node, object dy):
    cdef Tensor index = node.kept(0), g = <Tensor>dy
    shape, padding, by_frequency = <tuple>node.extra
    scale = inverse_frequencies(index, shape[0], g.code) if by_frequency else None
    return grad_bags(<Tensor>reshape(g, (index.numel, shape[1])), index, None, scale, shape[0], padding)

cdef Op EMBEDDING = op(embedding, embedding_backward)


# ---- Bags

cdef Tensor counts_of(Tensor index, Tensor offsets, int64_t padding, int code, int64_t least):
    """(B, 1): how many items of every bag are not padding, at least `least`."""
    cdef ptrdiff_t sizes[2]
    cdef const int64_t *at = <const int64_t *>index.data
    cdef const int64_t *start = <const int64_t *>offsets.data
    cdef int64_t count, b, i
    sizes[0], sizes[1] = offsets.numel - 1, 1
    cdef Tensor y = empty(code, 2, sizes)
    host_read("embedding_bag")
    for b in range(sizes[0]):
        count = 0
        for i in range(start[b], start[b + 1]):
            count += at[i] != padding
        if code == PD_F32:
            (<float *>y.data)[b] = <float>max(count, least)
        else:
            (<double *>y.data)[b] = <double>max(count, least)
    return y

cdef object largest_of(Tensor w, Tensor index, Tensor offsets, int64_t padding):
    """The largest elements of every bag, gathered from where the kernel found them; 0 for an empty bag."""
    cdef ptrdiff_t sizes[2]
    cdef Tensor best, y
    sizes[0], sizes[1] = offsets.numel - 1, w.sizes[1]
    best, y = empty(PD_I64, 2, sizes), empty(w.code, 2, sizes)
    bag_launch(PD_bag_argmax, contiguous(w), index, offsets, best, y, w.sizes[0], w.sizes[1], padding)
    if not recording(w):
        return y
    return where(ne(counts_of(index, offsets, padding, w.code, 0), 0), gather(w, 0, best), 0.0)

cdef Tensor per_sample_arg(str name, object given, Tensor input, Tensor w, object mode):
    cdef Tensor f
    if given is None:
        return None
    f = tensor_arg(name, given, "per_sample_weights")
    if mode != "sum":
        raise ValueError(f"{name}: per_sample_weights are there for mode='sum' only, got mode={mode!r}")
    if f.code != w.code:
        raise TypeError(f"{name}: weight is {dtype_of(w.code)} but per_sample_weights {dtype_of(f.code)}; use .to()")
    if not same_shape(f, input):
        raise ValueError(f"{name}: expected per_sample_weights of input's shape {shape_of(input)}, got {shape_of(f)}")
    return <Tensor>reshape(f, -1)

def embedding_bag(input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean", sparse=False,
                  per_sample_weights=None, include_last_offset=False, padding_idx=None):
    """y_b = the sum, mean or maximum (mode) of the rows of weight (V, D) that bag b names: -> (B, D). An empty bag gives 0.

    input int64 or int32: (B, L), a bag a row, or (count,) with offsets (B,), where every bag starts; include_last_offset:
    offsets (B + 1,) say where the last one ends, too. per_sample_weights, of input's shape: factors, for mode="sum". Items that
    name padding_idx do not count at all. max_norm, norm_type, scale_grad_by_freq (not for "max") as in embedding. Of equal
    largest elements the first gets the gradient; NaN is the largest. Everything can be differentiated again. Raises IndexError
    for an index out of range, ValueError for shapes and values that do not fit, TypeError for other types.
    """
    cdef str name = "embedding_bag"
    cdef Tensor w = table_arg(name, weight), given = index_arg(name, input, "input"), index, ends, factor, scale = None
    cdef int64_t padding = padding_arg(name, padding_idx, w)
    refuse_sparse(name, sparse)
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"{name}: mode must be 'sum', 'mean' or 'max', got {mode!r}")
    if scale_grad_by_freq and mode == "max":
        raise ValueError(f"{name}: scale_grad_by_freq is not there for mode='max'")
    if given.ndim not in (1, 2) or (given.ndim == 1) != (offsets is not None):
        raise ValueError(f"{name}: expected input (B, L), or input (count,) with offsets (B,), got input {shape_of(given)} and "
                         f"{'no offsets' if offsets is None else 'offsets'}")
    factor = per_sample_arg(name, per_sample_weights, given, w, mode)
    check_range(name, given, w.sizes[0], False)
    ends = even_offsets(given) if offsets is None else offsets_arg(name, offsets, given, include_last_offset)
    index = flat(given)
    if max_norm is not None:
        renormalize(name, w, index, max_norm, norm_type)
    if mode == "max" and index.numel:
        return largest_of(w, index, ends, padding)
    if scale_grad_by_freq and recording(w):
        scale = inverse_frequencies(index, w.sizes[0], w.code)
    y = sum_bags(w, index, ends, factor, padding, scale)
    return div(y, counts_of(index, ends, padding, w.code, 1)) if mode == "mean" else y

__all__ = ["bag_dot", "bag_grad", "bag_sum", "embedding", "embedding_bag"]
METHODS = []
