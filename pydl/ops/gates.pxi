"""Activations with a second operand: slopes below 0 (prelu, rrelu) and gates (glu). Part of activations.pyx."""

# ---- Slopes

def prelu(input, weight):
    """x above 0, weight x below (He, Zhang, Ren & Sun 2015). The derivative at 0 is weight.

    input (N, C, ...), weight of one element or (C,), of one float type; input of one dimension or none: one element. Raises ValueError where the sizes do not fit.
    """
    cdef Tensor x = real_arg("prelu", input, "input"), w = real_arg("prelu", weight, "weight")
    if x.code != w.code:
        raise TypeError(f"prelu: input is {dtype_of(x.code)}, but weight is {dtype_of(w.code)}; convert one with .to()")
    if w.ndim > 1:
        raise ValueError(f"prelu: weight must have at most one dimension, got input {shape_of(x)} and weight {shape_of(w)}")
    if w.numel != 1:
        if x.ndim == 0 or <size_t>(x.sizes[1] if x.ndim > 1 else 1) != w.numel:
            raise ValueError(f"prelu: expected a weight for each channel, dimension 1 of input, got input {shape_of(x)} and "
                             f"weight {shape_of(w)}")
        w = view(w, (w.numel, *(1 for _ in range(x.ndim - 2))))
    elif w.ndim > x.ndim:
        w = view(w, ())
    return with_slopes(x, w)

cdef Tensor with_slopes(Tensor x, Tensor slopes):
    """x above 0, slopes x below; slopes broadcast to x."""
    cdef Tensor y = map2(PD_prelu_fwd, x, slopes)
    cdef Node node = record2(PRELU, y, x, slopes)
    if node is not None:
        node.keep(0, x)
        node.keep(1, slopes)
    return y

cdef object prelu_backward(Node node, object dy):
    cdef Tensor x = node.kept(0)
    return (prelu_bwd(x, node.kept(1), dy) if node.need(0) else None,
            prelu_slope_bwd(x, dy) if node.need(1) else None)

def prelu_bwd(x, slopes, dy):
    """dy where x > 0, slopes dy elsewhere; slopes broadcast to x."""
    cdef Tensor a = real_arg("prelu_bwd", x, "x"), b = real_arg("prelu_bwd", slopes, "slopes"), g = real_arg("prelu_bwd", dy, "dy")
    if not same_shape(a, g):
        raise ValueError(f"prelu_bwd: expected x and dy of one shape, got x {shape_of(a)}, slopes {shape_of(b)}, dy {shape_of(g)}")
    cdef Tensor dx = map3(PD_prelu_bwd, a, b, g)
    cdef Node node = record(PRELU_BWD, dx, (a, b, g))
    if node is not None:
        node.keep(0, a)
        node.keep(1, b)
        node.keep(2, g)
    return dx

cdef object prelu_bwd_backward(Node node, object g):
    cdef Tensor x = node.kept(0)
    cdef object dslopes = None
    if node.need(1):
        dslopes = where(gt(x, 0), filled(x.code, (), 0), mul(g, node.kept(2)))
    return None, dslopes, prelu_bwd(x, node.kept(1), g) if node.need(2) else None

def prelu_slope_bwd(x, dy):
    """x dy where x <= 0 (or is NaN), else 0."""
    cdef Tensor a = real_arg("prelu_slope_bwd", x, "x"), g = real_arg("prelu_slope_bwd", dy, "dy")
    if not same_shape(a, g):
        raise ValueError(f"prelu_slope_bwd: expected x and dy of one shape, got {shape_of(a)} and {shape_of(g)}")
    cdef Tensor y = map2(PD_prelu_slope_bwd, a, g)
    cdef Node node = record2(PRELU_SLOPE_BWD, y, a, g)
    if node is not None:
        node.keep(0, a)
        node.keep(1, g)
    return y

cdef object prelu_slope_bwd_backward(Node node, object g):
    cdef Tensor x = node.kept(0)
    cdef object dx = None
    if node.need(0):
        dx = where(gt(x, 0), filled(x.code, (), 0), mul(g, node.kept(1)))
    return dx, prelu_slope_bwd(x, g) if node.need(1) else None

cdef Op PRELU = op(prelu, prelu_backward)
cdef Op PRELU_BWD = op(prelu_bwd, prelu_bwd_backward)
cdef Op PRELU_SLOPE_BWD = op(prelu_slope_bwd, prelu_slope_bwd_backward)

def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, generator=None):
    """x above 0, a x below: a uniform in [lower, upper) for each element while training, else (lower + upper) / 2 (Xu et al. 2015).

    input (*) -> (*), float32 or float64. Raises ValueError for bounds that are not finite, and for lower > upper.
    """
    cdef Tensor x = real_arg("rrelu", input, "input"), slopes
    cdef double low = number("rrelu", lower, "lower"), high = number("rrelu", upper, "upper")
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"rrelu: expected finite lower <= upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(x, (low + high) / 2)
    slopes = empty_like(x)
    uniform_(slopes, low, high, generator=generator)
    return with_slopes(x, slopes)


# ---- Gates

def glu(input, dim=-1):
    """a sigmoid(b), a and b the halves of input along dim (Dauphin, Fan, Auli & Grangier 2017).

    input (..., 2 n, ...) -> (..., n, ...); float32 or float64. Raises ValueError for an odd size, IndexError for a dim out of range.
    """
    cdef Tensor x = real_arg("glu", input, "input"), y
    cdef Node node
    cdef int d
    if x.ndim == 0:
        raise ValueError("glu: expected a dimension to halve, got shape ()")
    d = wrap_dim("glu", dim, x.ndim)
    if x.sizes[d] % 2:
        raise ValueError(f"glu: expected an even size of dimension {d}, got shape {shape_of(x)}")
    y = map2(PD_glu_fwd, half(x, d, 0), half(x, d, 1))
    node = record1(GLU, y, x)
    if node is not None:
        node.keep(0, x)
        node.extra = d
    return y

cdef Tensor half(Tensor x, int d, int which):
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int i
    for i in range(x.ndim):
        sizes[i] = x.sizes[i]
    sizes[d] = x.sizes[d] // 2
    return view_of(x, x.ndim, sizes, x.strides, which * sizes[d] * x.strides[d])

cdef object glu_backward(Node node, object dy):
    return glu_bwd(node.kept(0), dy, node.extra)

def glu_bwd(x, dy, dim):
    """The gradient of glu: dy s for a, dy a s (1 - s) for b, s = sigmoid(b). x (..., 2 n, ...), dy (..., n, ...) -> as x."""
    cdef Tensor u = real_arg("glu_bwd", x, "x"), g = real_arg("glu_bwd", dy, "dy"), a, b, dx
    cdef Node node
    cdef int d = wrap_dim("glu_bwd", dim, u.ndim)
    if u.ndim == 0 or u.sizes[d] % 2 or not same_shape(half(u, d, 0), g) or u.code != g.code:
        raise ValueError(f"glu_bwd: expected dy to be half of x along {d}, and of its type, got {shape_of(u)} and {shape_of(g)}")
    a, b, dx = half(u, d, 0), half(u, d, 1), empty_like(u)
    map_into(PD_glu_fwd, u.code, (g, b), half(dx, d, 0))
    map_into(PD_glu_bwd, u.code, (a, b, g), half(dx, d, 1))
    node = record2(GLU_BWD, dx, u, g)
    if node is not None:
        node.keep(0, u)
        node.keep(1, g)
        node.extra = d
    return dx

cdef object glu_bwd_backward(Node node, object g):
    """With v, w the halves of g: by dy it is v s + w a s'; by a, w dy s'; by b, (v + w a (1 - 2 s)) dy s'; s' = s (1 - s)."""
    cdef Tensor x = node.kept(0)
    cdef int d = node.extra
    n = x.sizes[d] // 2
    dy, a, s = node.kept(1), narrow(x, d, 0, n), sigmoid(narrow(x, d, n, n))
    v, w, slope = narrow(g, d, 0, n), narrow(g, d, n, n), mul(s, sub(1, s))
    dx = None
    if node.need(0):
        scaled = mul(dy, slope)
        dx = cat((mul(w, scaled), mul(add(v, mul(mul(w, a), sub(1, mul(s, 2)))), scaled)), d)
    return dx, add(mul(v, s), mul(mul(w, a), slope)) if node.need(1) else None

cdef Op GLU = op(glu, glu_backward)
cdef Op GLU_BWD = op(glu_bwd, glu_bwd_backward)
