"""A captured step: its launches, its memory, and what must be as it was when it is replayed."""
import gc
from bisect import bisect_left

from cpython.ref cimport Py_REFCNT
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from pydl._core.dtypes cimport default_float
from pydl._core.generator cimport generator_in_use
from pydl._core.kernels cimport PD_DONE, PD_MAX_DIMS, pd_event, pd_launch, pd_plan, pd_window
from pydl._core.launch cimport duplicate, map_into
from pydl._core.native cimport (
    arena_bytes, arena_meets, arena_move, arena_moved, capture_flag, kernel_name, plan_bytes, plan_finish, plan_free, plan_constant_matrix, plan_input, plan_keep_packed,
    plan_launch, plan_length, plan_measure, plan_pack_again, plan_pointers, plan_read, plan_run, plan_settle, plan_time, plan_together,
    plan_unpack, trace_geometry, trace_measure,
)
from pydl._core.recording cimport Arena, Recorder, module_modes, pause, recorder, resume, structure
from pydl._core.tape cimport anomaly_enabled, grad_enabled
from pydl._core.tensor cimport Storage, Tensor, alias_of, inference_enabled, over_memory, storage_count

from pydl._core.recording import ANY, CaptureError

cdef extern from "pydl.h":
    enum: PD_copy
    enum: PD_COST_MAP
    enum: PD_COST_FLAT
    enum: PD_COST_REDUCE
    enum: PD_COST_LINES
    enum: PD_COST_N
    enum: PD_COST_OUTER
    enum: PD_COST_ROWS
    enum: PD_COST_GEMM
    enum: PD_COST_STEP
    enum: PD_COST_CONV
    enum: PD_COST_WINDOW

cdef enum:
    SMALL = 4096        # bytes: copied without a launch

cdef const int *capturing = capture_flag()
FROZEN = gc.get_freeze_count()


cdef class Look:
    """Which elements a tensor looks at. Not a tensor itself: owners of memory are looked for among the tensors."""
    cdef Storage storage
    cdef char *data
    cdef int code, ndim
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]

    cdef bint same(self, Tensor x) noexcept:
        cdef int d
        if x.storage is not self.storage or x.data != self.data or x.code != self.code or x.ndim != self.ndim:
            return False
        for d in range(self.ndim):
            if x.sizes[d] != self.sizes[d] or x.strides[d] != self.strides[d]:
                return False
        return True

    cdef Tensor tensor(self):
        return over_memory(self.storage, self.data, self.code, self.ndim, self.sizes, self.strides)

cdef Look look_of(Tensor x):
    cdef Look look = Look.__new__(Look)
    cdef int d
    look.storage, look.data, look.code, look.ndim = x.storage, x.data, x.code, x.ndim
    for d in range(x.ndim):
        look.sizes[d], look.strides[d] = x.sizes[d], x.strides[d]
    return look


cdef class Held:
    """A tensor that the step reads or writes and that others have, too."""
    cdef Tensor tensor
    cdef Look look
    cdef object node            # what made it
    cdef bint needs_grad, retains

    cdef bint fits(self) noexcept:
        return (self.tensor.needs_grad == self.needs_grad and self.tensor.node is self.node and self.tensor.retains == self.retains
                and self.look.same(self.tensor))


cdef class Gradient:
    """What a leaf's grad must be before the step (ANY: it does not matter; None; or a look at memory), and what it is afterwards."""
    cdef Tensor leaf
    cdef Look after
    cdef object before
    cdef size_t since           # how many checks there were before it was looked at or overwritten

    cdef bint fits(self) noexcept:
        if self.before is ANY:
            return True
        if self.before is None or self.leaf.gradient is None:
            return self.leaf.gradient is None and self.before is None
        return (<Look>self.before).same(<Tensor>self.leaf.gradient)

    cdef int drop(self, size_t check) except -1:
        """That check has failed. A grad that was overwritten before is gone."""
        if self.before is ANY and check >= self.since:
            self.leaf.gradient = None
        return 0

    cdef int settle(self) except -1:
        """The object that the leaf has stays, where it still looks at the step's memory."""
        if self.after is None:
            self.leaf.gradient = None
            return 0
        if self.leaf.gradient is None or not self.after.same(<Tensor>self.leaf.gradient):
            self.leaf.gradient = self.after.tensor()
        self.after.storage.version += 1
        return 0


cdef class Plan:
    """What `recorded` returns. replay() runs the step anew and returns its result."""
    cdef pd_plan *plan
    cdef Arena arena
    cdef tuple inputs               # the plan's own, which the step was recorded with
    cdef set fixed                  # numbers of the inputs that the step reads there, not where the caller has them
    cdef list held, gradients, packed
    cdef set foreign                # ids of the storages in `held`
    cdef list written, steps, kept, ranges
    cdef list checks
    cdef object result
    cdef size_t structure
    cdef bint grad, inference, anomaly      # the modes of the recording
    cdef int default
    cdef size_t generator
    cdef uint64_t modules
    cdef bint plain                 # all arguments are tensors, given by position
    cdef bint running

    def __init__(self):
        raise TypeError("Plan: made by recorded()")

    def __dealloc__(self):
        plan_free(self.plan)

    def __len__(self):
        return plan_length(self.plan)

    @property
    def nbytes(self):
        """The memory that it holds for what the step makes, in bytes."""
        return arena_bytes(self.arena.arena) + plan_bytes(self.plan)

    @property
    def current(self):
        """False once it can never be replayed again."""
        return self.structure == structure()

    def measure(self, bint on):
        """Whether replays are timed, launch by launch."""
        if plan_measure(self.plan, on) < 0:
            raise MemoryError("capture: no memory to measure")

    cdef bint fits(self, tuple given) except -1:
        """Whether everything is as it was when the step was recorded. Renews hyperparameters."""
        if self.structure != structure():
            return False
        for item in self.held:
            if not (<Held>item).fits():
                return False
        for item in self.gradients:
            if not (<Gradient>item).fits():
                return False
        for item in given:
            if closes_over(self, <Tensor>item):
                return False
        for renew in self.steps:
            if not renew():
                return False
        return True

    cdef int bring(self, tuple given) except -1:
        """The inputs: where they are, or copied into the plan's memory."""
        cdef Tensor mine, other
        cdef int i, n = len(given)
        cdef bint own = False
        for i in range(n):      # what lies in the plan's memory is read before anything is written there
            other = <Tensor>given[i]
            own = own or self.holds(other.storage) or n > 1 and self.is_input(other)
        for i in range(n):
            mine, other = <Tensor>self.inputs[i], <Tensor>given[i]
            if other.storage is mine.storage and not look_of(mine).same(other):
                own = True
        if own:
            given = tuple([duplicate(<Tensor>x) for x in given])
        for i in range(n):
            mine, other = <Tensor>self.inputs[i], <Tensor>given[i]
            if other.contiguous and mine.numel * mine.itemsize > SMALL and not own and i not in self.fixed:
                plan_read(self.plan, i, other.data)
                continue
            self.copy_in(mine, other)
            plan_read(self.plan, i, mine.data)
        return 0

    cdef int copy_in(self, Tensor mine, Tensor other) except -1:
        if other.storage is mine.storage:
            return 0
        if mine.storage.data == NULL:
            mine.storage.take_memory()
            mine.data = mine.storage.data
        if other.contiguous and mine.numel * mine.itemsize <= SMALL:
            memcpy(mine.data, other.data, mine.numel * mine.itemsize)
        else:
            map_into(PD_copy, mine.code, (other,), mine)
        return 0

    cdef int fail(self, size_t check, tuple given) except -1:
        """Raises what the check raises, which looks at the plan's own inputs."""
        cdef int i
        for i in range(len(given)):
            self.copy_in(<Tensor>self.inputs[i], <Tensor>given[i])
        self.checks[check]()
        raise RuntimeError("capture: a check failed")

    cdef bint holds(self, Storage storage) noexcept:
        """Whether it is memory of the plan, perhaps by way of another library."""
        return storage.owner is self.arena or not storage.owned and arena_meets(self.arena.arena, storage.data, storage.nbytes)

    cdef bint is_input(self, Tensor x) except -1:
        for mine in self.inputs:
            if (<Tensor>mine).storage is x.storage:
                return True
        return False

    def quick(self, tuple args):
        """replay(args), or NotImplemented also where args are not just tensors like those of the recording, in the same modes."""
        cdef Tensor mine, other
        cdef int i, d, n = len(args)
        if not self.plain or n != len(self.inputs) or capturing[0] and recorder() is not None:
            return NotImplemented
        for i in range(n):
            if not isinstance(args[i], Tensor):
                return NotImplemented
            mine, other = <Tensor>self.inputs[i], <Tensor>args[i]
            if other.code != mine.code or other.ndim != mine.ndim or other.needs_grad:
                return NotImplemented
            for d in range(mine.ndim):
                if other.sizes[d] != mine.sizes[d]:
                    return NotImplemented
        if (grad_enabled() != self.grad or inference_enabled() != self.inference or anomaly_enabled() != self.anomaly
                or default_float() != self.default or generator_in_use() != self.generator or module_modes() != self.modules):
            return NotImplemented
        return self.replay(args)

    def replay(self, tuple given):
        """The result, or NotImplemented where something is not as it was: then nothing has happened."""
        cdef size_t stopped
        if self.running:
            raise RuntimeError("capture: another thread is replaying this step; give each thread a captured function of its own")
        self.running = True
        try:
            if not self.fits(given):
                return NotImplemented
            self.bring(given)
            for item in self.packed:
                (<Packed>item).renew(self.plan)
            with nogil:
                stopped = plan_run(self.plan)
            for item in self.written:
                (<Storage>item).version += 1
            if stopped == PD_DONE:
                for item in self.gradients:
                    (<Gradient>item).settle()
                return renewed(self.result)
            for item in self.gradients:
                (<Gradient>item).drop(stopped)
            self.fail(stopped, given)
        finally:
            self.running = False


ctypedef Tensor (*change)(Tensor x, Arena arena)

cdef object each(object result, change of, Arena arena):
    """The result, in new containers, with of(tensor, arena) in the place of every tensor."""
    if isinstance(result, Tensor):
        return of(<Tensor>result, arena)
    if isinstance(result, dict):
        return {key: each(value, of, arena) for key, value in result.items()}
    if isinstance(result, (list, tuple)):
        parts = [each(value, of, arena) for value in result]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    return result

cdef Tensor fresh(Tensor x, Arena _):
    """A new tensor on the same memory, which has new values, outside of every graph."""
    x.storage.version += 1
    return alias_of(x)

cdef Tensor without_graph(Tensor x, Arena arena):
    """What the plan keeps: its own tensors without their graph; of others the tensors themselves, whatever they become."""
    return alias_of(x) if x.storage.owner is arena else x

cdef object renewed(object result):
    return each(result, fresh, None)

def tensors_in(result):
    """The tensors of a result, in tuples, lists and dicts."""
    if isinstance(result, Tensor):
        return [result]
    found = []
    for value in result.values() if isinstance(result, dict) else result if isinstance(result, (list, tuple)) else ():
        found += tensors_in(value)
    return found


include "plan_memory.pxi"
include "plan_constants.pxi"
include "plan_table.pxi"


# ---- Recording

def copies(tuple tensors):
    """The inputs of a plan."""
    cdef list made = []
    for x in tensors:
        made.append(duplicate(<Tensor?>x))
    return tuple(made)

def modes():
    """What a plan depends on besides its arguments."""
    return grad_enabled(), inference_enabled(), anomaly_enabled(), default_float(), generator_in_use(), module_modes()

def recorded(step, tuple given, bint lenient, bint plain):
    """(plan, result) of step(copies of given), whose launches are recorded while they run. Instead of the plan: None where modules
    changed meanwhile, so that the next call may do something else; a text that says why it cannot be captured, where lenient.
    """
    cdef Recorder capture = Recorder()
    cdef Plan plan = Plan.__new__(Plan)
    cdef size_t first_storage, before = structure()
    if recorder() is not None:
        raise CaptureError("capture: a captured function cannot be captured inside another; call the plain function there")
    plan.inputs, plan.plain = copies(given), plain
    plan.grad, plan.inference, plan.anomaly, plan.default, plan.generator, plan.modules = modes()
    first_storage = storage_count()
    capture.lenient = lenient
    versions = versions_of(plan.inputs)
    resume(capture)
    try:
        result = step(*plan.inputs)
        if capture.failure is None:
            result = each(result, without_graph, capture.arena)     # what only the graph held is given back while that is noted
        drop_passing(capture)
    finally:
        pause()
    if capture.failure is not None:
        return str(capture.failure), result
    try:
        if versions_of(plan.inputs) != versions:
            raise CaptureError("capture: the function changes one of its arguments in place; pass a copy, or close over the tensor")
        if structure() != before or module_modes() != plan.modules:
            return None, renewed(result)
        finish(plan, capture, result, first_storage)
        for x in given:
            if closes_over(plan, <Tensor>x):
                raise CaptureError("capture: an argument is also a tensor that the function closes over; pass a copy")
    except CaptureError as error:
        if not lenient:
            raise
        return str(error), renewed(result)
    return plan, renewed(result)

cdef int drop_passing(Recorder capture) except -1:
    """Forgets the memory that was changed in place and that nobody has any more: the plan may use it for something else."""
    cdef dict times = {}
    for storage in capture.written:
        times[id(storage)] = times.get(id(storage), 1) + 1      # that often in the list, and here
    storage = None
    capture.written = [storage for storage in capture.written if Py_REFCNT(storage) > <Py_ssize_t>times[id(storage)]]
    return 0

cdef list versions_of(tuple tensors):
    return [(<Tensor>x).storage.version for x in tensors]

cdef int finish(Plan plan, Recorder capture, object result, size_t first_storage) except -1:
    plan.plan, capture.plan = capture.plan, NULL
    if plan_finish(plan.plan) < 0:
        raise MemoryError("capture: no memory for the plan")
    for x, version in capture.borrowed:
        if (<Tensor>x).storage.version != version:
            raise CaptureError("capture: the function changes memory in place that it borrows from NumPy at every call; clone() it first")
    for x in plan.inputs:
        capture.ranges.append(range_of((<Tensor>x).storage))
    x = None        # who else has it is looked at
    plan.held = held_by(capture, kernels_at(plan.plan), first_storage)
    plan.foreign = {id((<Held>held).tensor.storage) for held in plan.held}
    plan.arena, plan.ranges, plan.kept = capture.arena, capture.ranges, capture.kept
    plan.result = result
    plan.gradients = gradients_of(plan, capture)
    refuse_strangers(capture, tensors_in(result), first_storage)
    refuse_escaped(capture, [(<Tensor>x).storage for x in tensors_in(result) + [x for x, _ in capture.seeds] + checked(capture)]
                   + [(<Gradient>g).after.storage for g in plan.gradients if (<Gradient>g).after is not None])
    for renew in capture.steps:
        renew.seal()
    plan.written, plan.steps, plan.checks = capture.written, capture.steps, capture.checks
    gradients = movable(plan)
    if plan_settle(plan.plan, plan.arena.arena) < 0:
        raise MemoryError("capture: no memory for the plan")
    move(plan, gradients)
    keep_packed(plan, capture)
    take_inputs(plan)
    plan.structure = structure()
    return 0

cdef list gradients_of(Plan plan, Recorder capture):
    """Of all leaves but those that were made inside and that nobody has any more."""
    cdef Gradient gradient
    cdef Storage storage
    cdef list found = []
    cdef set inputs = {id((<Tensor>x).storage) for x in plan.inputs}
    cdef bint collected = False
    for leaf, before, since in capture.gradients.values():
        storage = (<Tensor>leaf).storage
        if Py_REFCNT(leaf) > 2 and not collected and (storage.owner is capture.arena or id(storage) in inputs):
            gc.collect()                # it may be garbage
            collected = True
        if Py_REFCNT(leaf) == 2:        # `leaf`, and the recorder's
            continue
        gradient = Gradient.__new__(Gradient)
        gradient.leaf, gradient.since = leaf, since
        gradient.before = look_of(<Tensor>before) if isinstance(before, Tensor) else before
        gradient.after = None if gradient.leaf.gradient is None else look_of(<Tensor>gradient.leaf.gradient)
        found.append(gradient)
    return found

cdef tuple range_of(Storage own):
    return <size_t>own.data, <size_t>own.data + own.nbytes, own

cdef list checked(Recorder capture):
    """What the checks hold: they look at it themselves."""
    found = []
    for check in capture.checks:
        found += check.tensors()
    return found
