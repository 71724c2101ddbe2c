# Part of plan.pyx: what a plan says of its launches.

def launches_of(Plan plan not None):
    """[(kernel's number, element type's, sizes, items, bytes, ns of all measured runs, addresses)] in order. A check is (-1, 0, "", 0 ...);
    the time of launches that run together, in strips, is all at the first of them, those after it have None.
    """
    cdef size_t i, together = 1
    cdef const pd_launch *launch
    cdef pd_event event
    cdef list found = []
    for i in range(plan_length(plan.plan)):
        launch = plan_launch(plan.plan, i)
        time = plan_time(plan.plan, i) if together == 1 else None
        together = plan_together(plan.plan, i) if together == 1 else together - 1
        if launch == NULL:
            found.append((-1, 0, "", 0, 0, time, ()))
            continue
        trace_measure(launch, &event)
        found.append((event.kernel, event.dtype, sizes_text(launch), event.items, event.bytes, time, tuple(pointers_of(plan.plan, i))))
    return found

cdef tuple ACTIVATIONS = ("", " relu", " sigmoid", " tanh", " gelu", " silu", " relu_bwd")      # as in pydl.h

cdef str sizes_text(const pd_launch *launch):
    """The sizes of a launch: of what it walks over; (what it reduces); of a product m x k @ k x n."""
    cdef int geometry = trace_geometry(launch.kernel)
    if geometry == PD_COST_MAP or geometry == PD_COST_FLAT:
        return times(&launch.map.shape[0], launch.map.ndim) or "1"
    if geometry == PD_COST_GEMM:
        batch = times(&launch.gemm.batch[0], launch.gemm.batch_ndim)
        more = ACTIVATIONS[launch.gemm.activation] + (" packed" if launch.gemm.b_packed else "")
        return f"{batch + ': ' if batch else ''}{launch.gemm.m}x{launch.gemm.k} @ {launch.gemm.k}x{launch.gemm.n}{more}"
    if geometry == PD_COST_CONV or geometry == PD_COST_WINDOW:
        return window_text(&launch.window) + conv_text(&launch.window, geometry)
    if geometry == PD_COST_REDUCE:
        kept = times(&launch.reduce.shape[0], launch.reduce.kept)
        reduced = times(&launch.reduce.shape[launch.reduce.kept], launch.reduce.reduced)
        return f"{kept}({reduced})"
    if geometry == PD_COST_ROWS:
        return f"{launch.rows.outer}x{launch.rows.count}x{launch.rows.inner} of {launch.rows.n}"
    if geometry == PD_COST_STEP:
        return f"{launch.step.count} tensors"
    if geometry == PD_COST_LINES:
        return f"{launch.lines.outer}x{launch.lines.n}x{launch.lines.inner}"
    if geometry == PD_COST_N:
        return str(launch.lines.n)
    return str(launch.lines.outer) if geometry == PD_COST_OUTER else ""

cdef str times(const size_t *sizes, size_t count):
    return "x".join([str(sizes[i]) for i in range(count)])

cdef str window_text(const pd_window *w):
    """Images, windows -> images: 8x3x32x32 3x3 -> 8x16x32x32; the dimensions of size 1 that stand first are left out."""
    cdef int first = 0
    while first < 2 and w.in_[first] == 1 and w.kernel[first] == 1 and w.out[first] == 1:
        first += 1
    count = 3 - first
    return (f"{w.n}x{w.c}x{times(&w.in_[first], count)} {times(&w.kernel[first], count)} -> {w.n}x{w.o}x{times(&w.out[first], count)}")

cdef str conv_text(const pd_window *w, int geometry):
    return ACTIVATIONS[w.activation] + (" packed" if w.packed else "") if geometry == PD_COST_CONV else ""
