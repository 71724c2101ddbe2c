"""What a thread notes down while it captures a step: launches, memory, and what a replay must find as it was."""
from libc.stdint cimport int64_t, uint64_t

from pydl._core.kernels cimport pd_arena, pd_plan

cdef class Arena:
    """Memory for everything that a captured step makes; nobody else writes there."""
    cdef pd_arena *arena
    cdef list blocks(self)              # (address, bytes)

cdef class Recorder:
    cdef pd_plan *plan
    cdef readonly Arena arena
    cdef readonly list ranges           # (first address, behind the last, whose they are)
    cdef readonly dict gradients        # id of a leaf -> (leaf, what its grad must be, or ANY, checks before)
    cdef readonly list written          # storages that were changed in place
    cdef readonly list steps            # what renews the hyperparameters of optimizers
    cdef readonly list checks           # what raises where the check of that number fails
    cdef readonly list seeds            # the ones that backward() began with, and their versions
    cdef readonly list kept             # what was made beside the plan: arrays that were looked at, state of optimizers
    cdef readonly list borrowed         # of these, what NumPy or another library lent, and the versions
    cdef readonly list dead             # memory of tensors that are gone: held, so that nobody gets it
    cdef bint lenient                   # what cannot be captured is no error ...
    cdef object failure                 # ... but noted here

    cdef int check(self, const int64_t *value, int64_t low, int64_t high, object refuse) except -1
        # the replay stops unless low <= value[0] < high; refuse() raises the error
    cdef int note_leaf(self, object leaf, object grad) except -1
    cdef void *take(self, size_t nbytes, bint stays) except NULL    # stays: the host writes there, which a replay does not
    cdef int constant(self, void *at, size_t n) except -1       # a replay puts these n <= 8 bytes back

cdef class Refusal:
    """Raises error(text), for a check that needs no more."""
    cdef object memory, error, text

cdef Recorder recorder()                # of this thread, or None; ask the flag first
cdef size_t structure() noexcept        # counts touch(): changes to modules
cdef uint64_t module_modes() noexcept   # says which modules are in training, which in evaluation, and what else was turned
cdef int host_read(str what) except -1  # CaptureError while this thread captures
cdef Recorder pause()                   # from here on this thread records nothing ...
cdef int resume(Recorder paused) except -1      # ... until here
cdef int keep(object tensor) except -1  # the plan holds it
cdef int keep_borrowed(object tensor, size_t version) except -1
cdef int note_constant(void *at, size_t n) except -1
cdef bint hold(char *data, size_t nbytes, bint owned, object owner) except -1   # the memory of a tensor that is gone -> whether it is held
cdef int note_gradient(object leaf, object grad) except -1  # a leaf's grad is looked at
cdef int note_overwritten(object leaf) except -1            # a leaf's grad is replaced, whatever it was
