"""What a thread notes down while it captures a step: launches, memory, and what a replay must find as it was."""
import traceback

from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from pydl._core.kernels cimport pd_plan
from pydl._core.native cimport (
    arena_block, arena_count, arena_free, arena_give, arena_new, arena_take, capture_flag, plan_check, plan_constant, plan_free, plan_length, plan_new,
    plan_record, release,
)

cdef extern from *:
    """
    static _Thread_local PyObject *pydl_recorder;
    """
    PyObject *pydl_recorder

cdef const int *capturing = capture_flag()


ANY = object()      # a gradient that does not matter: it is overwritten before it is read


class CaptureError(RuntimeError):
    """What was captured cannot be replayed: it looks at values, or depends on what a plan does not hold."""


cdef class Arena:
    def __cinit__(self):
        self.arena = arena_new()
        if self.arena == NULL:
            raise MemoryError("capture: no memory for the plan")

    cdef list blocks(self):
        cdef size_t i, nbytes
        cdef const void *at
        cdef list found = []
        for i in range(arena_count(self.arena)):
            at = arena_block(self.arena, i, &nbytes)
            found.append((<size_t>at, nbytes))
        return found

    def __dealloc__(self):
        arena_free(self.arena)


cdef class Recorder:
    def __cinit__(self):
        self.plan = plan_new()
        if self.plan == NULL:
            raise MemoryError("capture: could not allocate a plan")
        self.arena = Arena()
        self.ranges, self.written, self.steps, self.seeds, self.kept = [], [], [], [], []
        self.borrowed, self.dead, self.checks = [], [], []
        self.gradients = {}

    def __dealloc__(self):
        plan_free(self.plan)
        if self.dead is not None:
            for first, nbytes, owned, _ in self.dead:
                if owned:
                    release(<void *><size_t>first, nbytes)

    cdef void *take(self, size_t nbytes, bint stays) except NULL:
        cdef void *block = arena_take(self.arena.arena, nbytes, plan_length(self.plan), stays)
        if block == NULL:
            raise MemoryError(f"could not allocate {nbytes} bytes")
        return block

    cdef int note_leaf(self, object leaf, object grad) except -1:
        self.gradients.setdefault(id(leaf), (leaf, grad, len(self.checks)))
        return 0

    cdef int constant(self, void *at, size_t n) except -1:
        plan_constant(self.plan, at, n)
        return 0

    cdef int check(self, const int64_t *value, int64_t low, int64_t high, object refuse) except -1:
        self.checks.append(refuse)
        plan_check(self.plan, value, low, high)
        return 0


cdef class Refusal:
    def __init__(self, memory, error, text):
        self.memory, self.error, self.text = memory, error, text

    def tensors(self):
        return [self.memory]

    def __call__(self):
        raise self.error(self.text)


cdef size_t changes = 0

cdef size_t structure() noexcept:
    return changes

def touch():
    """A module got or lost something: captured steps are recorded anew."""
    global changes
    changes += 1

cdef uint64_t turned = 0

cdef uint64_t module_modes() noexcept:
    return turned

def turn(what):
    """A module went from training to evaluation, or another switch between two modes was turned: plans recorded in other modes wait
    until these return."""
    global turned
    cdef uint64_t mixed = <size_t><PyObject *>what          # so that no two sets of them have the same xor (splitmix64)
    mixed = (mixed ^ (mixed >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    mixed = (mixed ^ (mixed >> 27)) * <uint64_t>0x94D049BB133111EB
    turned ^= mixed ^ (mixed >> 31)

cdef Recorder recorder():
    return None if pydl_recorder == NULL else <Recorder>pydl_recorder

cdef int keep(object tensor) except -1:
    if pydl_recorder != NULL:
        (<Recorder>pydl_recorder).kept.append(tensor)
    return 0

cdef int keep_borrowed(object tensor, size_t version) except -1:
    if pydl_recorder != NULL:
        (<Recorder>pydl_recorder).kept.append(tensor)
        (<Recorder>pydl_recorder).borrowed.append((tensor, version))
    return 0

cdef int note_constant(void *at, size_t n) except -1:
    if pydl_recorder != NULL:
        (<Recorder>pydl_recorder).constant(at, n)
    return 0

cdef bint hold(char *data, size_t nbytes, bint owned, object owner) except -1:
    cdef Recorder capture
    if pydl_recorder == NULL:
        return False
    capture = <Recorder>pydl_recorder
    if owner is capture.arena:
        arena_give(capture.arena.arena, data, plan_length(capture.plan))
        return False
    capture.dead.append((<size_t>data, nbytes, owned, owner))
    return True

cdef int note_gradient(object leaf, object grad) except -1:
    if pydl_recorder != NULL:
        (<Recorder>pydl_recorder).note_leaf(leaf, grad)
    return 0

cdef int note_overwritten(object leaf) except -1:
    if pydl_recorder != NULL:
        (<Recorder>pydl_recorder).note_leaf(leaf, ANY)
    return 0

cdef int host_read(str what) except -1:
    cdef Recorder capture
    if not capturing[0] or pydl_recorder == NULL:
        return 0
    capture = <Recorder>pydl_recorder
    text = f"{what}: looks at values on the host, which a replay does not do ({users_line()}); leave it out of the captured function"
    if not capture.lenient:
        raise CaptureError(text)
    if capture.failure is None:
        capture.failure = text
    return 0

cdef Recorder pause():
    """Balanced by resume(), also after an error."""
    global pydl_recorder
    cdef Recorder paused = recorder()
    if paused is not None:
        pydl_recorder = NULL
        plan_record(NULL)
    return paused

cdef int resume(Recorder paused) except -1:
    global pydl_recorder
    if paused is not None:
        pydl_recorder = <PyObject *>paused      # whoever runs the capture holds it
        plan_record(paused.plan)
    return 0

def is_capturing():
    """Whether this thread captures."""
    return capturing[0] and pydl_recorder != NULL

def users_line():
    """The innermost line of the caller's own code: file:line: text."""
    package = __file__.rpartition("/_core/")[0]
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(package):
            return f"{frame.filename}:{frame.lineno}: {frame.line}"
    return "no line of Python"
