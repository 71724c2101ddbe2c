"""Launches for the ops of boxes and regions, which are written in Python."""
from libc.stdint cimport int64_t

from pydl._core.kernels cimport PD_I64, PD_NO_ACTIVATION, pd_launch
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.native cimport capture_flag
from pydl._core.recording cimport Recorder, recorder
from pydl._core.tensor cimport Tensor, empty_for_host

cdef extern from "pydl.h":
    enum: PD_assign_rows
    enum: PD_box_check
    enum: PD_box_pairs
    enum: PD_match_boxes
    enum: PD_nms
    enum: PD_roi_align_bwd
    enum: PD_roi_align_fwd
    enum: PD_roi_pool
    enum: PD_soft_nms

cdef const int *capturing = capture_flag()

cdef dict NUMBERS = {
    "assign_rows": PD_assign_rows, "box_pairs": PD_box_pairs, "match_boxes": PD_match_boxes, "nms": PD_nms, "soft_nms": PD_soft_nms,
    "roi_align_fwd": PD_roi_align_fwd, "roi_align_bwd": PD_roi_align_bwd, "roi_pool": PD_roi_pool,
}


cdef tuple fill(pd_launch *launch, int kernel, int code, tuple inputs, tuple outputs, tuple scalars):
    """-> the contiguous inputs, to be held while the launch runs."""
    cdef tuple dense = tuple([contiguous(<Tensor>x) for x in inputs])
    cdef int i = 0
    prepare(launch, kernel, code)
    for x in dense + outputs:
        launch.buf[i] = (<Tensor>x).data
        i += 1
    for i in range(4):
        launch.scalar[i] = scalars[i] if i < len(scalars) else 0
    return dense

def launch_lines(str kernel, tuple inputs not None, tuple outputs not None, size_t outer, size_t n, tuple scalars=()):
    """Runs a kernel of box.c, nms.c or assign.c in the type of its first input; the outputs, and scratch, are new contiguous tensors."""
    cdef pd_launch launch
    cdef int number = NUMBERS[kernel], code = (<Tensor>inputs[0]).code
    dense = fill(&launch, number, code, inputs, outputs, scalars)
    launch.lines.outer, launch.lines.n, launch.lines.inner = outer, n, 1
    run(&launch, number, code)

def launch_regions(str kernel, tuple inputs not None, tuple outputs not None, tuple images not None, tuple size not None, tuple scalars=()):
    """The same for roi.c. images: their shape (n, c, h, w); size: of the result, (boxes, c, h, w)."""
    cdef pd_launch launch
    cdef int number = NUMBERS[kernel], code = (<Tensor>inputs[0]).code, d
    dense = fill(&launch, number, code, inputs, outputs, scalars)
    launch.window.n, launch.window.c = images[0], images[1]
    launch.window.groups, launch.window.o = size[0], size[1]
    for d in range(3):
        launch.window.in_[d] = images[d + 1] if d else 1
        launch.window.out[d] = size[d + 1] if d else 1
        launch.window.kernel[d] = launch.window.stride[d] = launch.window.dilation[d] = 1
        launch.window.pad[d] = 0
    launch.window.activation, launch.window.exact = PD_NO_ACTIVATION, False
    run(&launch, number, code)


cdef class RowCheck:
    """Raises for the first row that is not as it should be, at once or where a replay comes to it."""
    cdef Tensor rows, bad
    cdef object refuse

    def tensors(self):
        return [self.rows, self.bad]

    def __call__(self):
        raise self.refuse(self.rows, (<int64_t *>self.bad.data)[0])

def check_rows(Tensor rows not None, int what, refuse, double images=-1):
    """Raises refuse(rows, i), an error, for the first row i of (n, k) floats that box_check of box.c finds: `what` are its flags."""
    cdef pd_launch launch
    cdef Recorder capture = recorder() if capturing[0] else None
    cdef RowCheck check
    if rows.numel == 0:
        return
    check = RowCheck()
    check.rows, check.bad, check.refuse = contiguous(rows), empty_for_host(PD_I64, 0, NULL), refuse
    dense = fill(&launch, PD_box_check, rows.code, (check.rows,), (check.bad,), (what, images))
    launch.lines.outer, launch.lines.n, launch.lines.inner = rows.sizes[0], rows.sizes[1], 1
    run(&launch, PD_box_check, rows.code, rows.numel)
    if capture is not None:
        capture.check(<int64_t *>check.bad.data, -1, 0, check)
    if (<int64_t *>check.bad.data)[0] >= 0:
        check()
