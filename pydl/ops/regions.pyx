"""Launches of csrc/region.c and region_sums.c: what region losses, distance maps and metrics of detections are made of."""
from pydl._core.kernels cimport PD_F64, PD_I64, PD_U8, pd_launch
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.recording cimport host_read
from pydl._core.tensor cimport Tensor, empty, empty_of, shape_of

from pydl.ops.join import cat

cdef extern from "pydl.h":
    enum: PD_distance_pass
    enum: PD_match_detections
    enum: PD_region_spread
    enum: PD_region_sums

cdef enum:
    CHUNKS = 16     # REGION_CHUNKS


def distance_pass(Tensor squares not None, int dim, double spacing):
    """Squared distances along one dimension more, in place: a contiguous float64 tensor."""
    cdef pd_launch launch
    cdef ptrdiff_t room = CHUNKS * 3 * squares.sizes[dim]
    cdef Tensor scratch = empty(PD_F64, 1, &room)
    cdef int d
    prepare(&launch, PD_distance_pass, PD_F64)
    launch.buf[0], launch.buf[1] = squares.data, scratch.data
    launch.lines.outer = launch.lines.inner = 1
    launch.lines.n = squares.sizes[dim]
    for d in range(squares.ndim):
        if d < dim:
            launch.lines.outer *= squares.sizes[d]
        elif d > dim:
            launch.lines.inner *= squares.sizes[d]
    launch.scalar[0] = spacing
    if squares.numel:
        run(&launch, PD_distance_pass, PD_F64, squares.numel)


def class_sums(Tensor input not None, Tensor labels not None, double ignore_index):
    """x (N, C, P), labels (N, P), checked int64 -> (3, N, C), see csrc/region_sums.c; no graph knows the result."""
    cdef Tensor x = contiguous(input), t = contiguous(labels), y = empty_of(x.code, (3, x.sizes[0], x.sizes[1]))
    return class_launch(PD_region_sums, x, t, y, x, ignore_index)

def class_spread(Tensor sums not None, Tensor labels not None, double ignore_index):
    """dy (3, N, C), labels (N, P), checked int64 -> (N, C, P); no graph knows the result."""
    cdef Tensor dy = contiguous(sums), t = contiguous(labels), dx = empty_of(dy.code, (dy.sizes[1], dy.sizes[2], t.sizes[1]))
    return class_launch(PD_region_spread, dy, t, dx, dx, ignore_index)

cdef Tensor class_launch(int kernel, Tensor a, Tensor labels, Tensor to, Tensor images, double ignore_index):
    cdef pd_launch launch
    prepare(&launch, kernel, a.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = a.data, labels.data, to.data
    launch.lines.outer, launch.lines.n, launch.lines.inner = images.sizes[0], images.sizes[1], images.sizes[2]
    launch.scalar[0] = ignore_index
    run(&launch, kernel, a.code, images.numel)
    return to


cdef Tensor held(object x, int code, int ndim):
    """An argument of match_detections, whose types and layouts are the caller's business."""
    cdef Tensor t = x
    if t.code != code or t.ndim != ndim or not t.contiguous:
        raise TypeError(f"match_detections: expected contiguous tensors of the types that the docstring says, got {t.dtype} {shape_of(t)}")
    return t

def match_detections(detections, boxes, detection_areas, box_areas, ranged_areas, spans, crowd, thresholds, ranges):
    """Which detections found a box, as COCO matches them: (A, T, D) uint8, of which 0 is nothing, 1 a box, 2 does not count.

    detections (D, 4), boxes (G, 4): x1, y1, x2, y2; detection_areas (D,), box_areas (G,); ranged_areas (G,): what the ranges are
    about; thresholds (T,) of the overlap, ranges (A, 2) of the area: float64. spans (groups, 4) int64: first and behind the last
    detection, best first, first and behind the last box of a group. crowd (G,) uint8. Contiguous. See csrc/region.c.
    """
    cdef Tensor d = held(detections, PD_F64, 2), g = held(boxes, PD_F64, 2), groups = held(spans, PD_I64, 2)
    cdef Tensor levels = held(thresholds, PD_F64, 1), areas = held(ranges, PD_F64, 2), both, found, scratch
    cdef Tensor da = held(detection_areas, PD_F64, 1), ga = held(box_areas, PD_F64, 1), ra = held(ranged_areas, PD_F64, 1)
    cdef Tensor c = held(crowd, PD_U8, 1)
    cdef ptrdiff_t A = areas.sizes[0], T = levels.sizes[0], D = d.sizes[0], G = g.sizes[0], groups_count = groups.sizes[0], most = 0, each, room
    cdef const long long *span = <const long long *>groups.data
    cdef ptrdiff_t i, end_d = 0
    cdef pd_launch launch
    if (d.sizes[1] != 4 or g.sizes[1] != 4 or groups.sizes[1] != 4 or areas.sizes[1] != 2 or da.sizes[0] != D or ga.sizes[0] != G
            or ra.sizes[0] != G or c.sizes[0] != G):
        raise ValueError(f"match_detections: detections {shape_of(d)}, boxes {shape_of(g)} and what goes with them do not fit")
    for i in range(groups_count):
        if not (end_d == span[4 * i] <= span[4 * i + 1] <= D and 0 <= span[4 * i + 2] <= span[4 * i + 3] <= G):
            raise ValueError(f"match_detections: span {i} does not fit detections {shape_of(d)} and boxes {shape_of(g)}")
        end_d = span[4 * i + 1]
        most = max(most, span[4 * i + 3] - span[4 * i + 2])
    if end_d != D:
        raise ValueError(f"match_detections: the spans hold {end_d} of detections {shape_of(d)}")
    host_read("match_detections")
    both = cat((levels, areas.reshape(-1)), 0)
    found = empty_of(PD_U8, (A, T, D))
    each = (8 * (most + A * most + A) + A * T * most + 63) // 64 * 64
    room = CHUNKS * each
    scratch = empty(PD_U8, 1, &room)
    prepare(&launch, PD_match_detections, PD_F64)
    launch.buf[0], launch.buf[1], launch.buf[2], launch.buf[3], launch.buf[4] = d.data, g.data, da.data, ga.data, ra.data
    launch.buf[5], launch.buf[6], launch.buf[7], launch.buf[8], launch.buf[9] = groups.data, c.data, both.data, found.data, scratch.data
    launch.lines.outer, launch.lines.n, launch.lines.inner = groups_count, 1, most
    launch.scalar[0], launch.scalar[1], launch.scalar[2], launch.scalar[3] = T, A, D, each
    if found.numel:
        run(&launch, PD_match_detections, PD_F64)
    return found
