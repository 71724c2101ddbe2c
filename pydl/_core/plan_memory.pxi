# Part of plan.pyx: whose memory a step reads and writes.

cdef list pointers_of(const pd_plan *plan, size_t index):
    cdef size_t count = plan_pointers(plan, index, NULL), i
    cdef const void **found
    if count == 0:
        return []
    found = <const void **>malloc(count * sizeof(void *))
    if found == NULL:
        raise MemoryError("capture")
    plan_pointers(plan, index, found)
    try:
        return [<size_t>found[i] for i in range(count)]
    finally:
        free(found)

cdef dict kernels_at(const pd_plan *plan):
    """Every address that the launches hold -> the kernel of the first that does."""
    cdef size_t i
    cdef const pd_launch *launch
    cdef dict found = {}
    for i in range(plan_length(plan)):
        launch = plan_launch(plan, i)
        if launch != NULL:
            for address in pointers_of(plan, i):
                found.setdefault(address, kernel_name(launch.kernel).decode())
    return found

cdef list within(list addresses, first, last):
    """Of sorted addresses."""
    return addresses[bisect_left(addresses, first):bisect_left(addresses, last)]

cdef int refuse_dead(Recorder capture, list addresses, dict kernels) except -1:
    for first, nbytes, _, _ in capture.dead:
        lost = within(addresses, first, first + max(nbytes, 1))
        if lost:
            raise CaptureError(f"{kernels[lost[0]]}: reads or writes a tensor that was there before and is gone after the call; "
                               "a captured function must not replace tensors: change them in place (copy_)")
    return 0

cdef list held_by(Recorder capture, dict kernels, size_t first_storage):
    """Held of all memory beside the plan's own. Raises CaptureError for what nobody holds."""
    cdef Tensor x
    cdef Storage storage
    cdef Held held
    cdef list found = []
    cdef set written = {id(storage) for storage in capture.written}
    cdef set foreign = set(kernels), own = {id((<Tensor>x).storage) for x in capture.kept}
    addresses = sorted(foreign)
    for first, nbytes in capture.arena.blocks():
        foreign.difference_update(within(addresses, first, first + nbytes + 1))     # an empty view may begin at the end
    for first, last, _ in capture.ranges:
        foreign.difference_update(within(addresses, first, last + 1))
    addresses = sorted(foreign)
    refuse_dead(capture, addresses, kernels)
    if foreign and gc.get_freeze_count() > FROZEN:
        raise CaptureError("capture: gc.freeze() hides the tensors that the function closes over; capture before it, or call gc.unfreeze()")
    for item in gc.get_objects() if foreign else ():
        if not isinstance(item, Tensor):
            continue
        x = <Tensor>item
        storage = x.storage
        here = within(addresses, <size_t>storage.data, <size_t>storage.data + max(storage.nbytes, 1))
        # One that came later, and that the plan does not hold, may lie where another was that is gone.
        if here and storage.owner is not capture.arena and (storage.version >> 32 <= first_storage or id(storage) in own):
            foreign.difference_update(here)
            if x.node is not None and id(storage) in written:
                raise CaptureError("capture: a tensor that the function closes over joins a graph by a change in place; detach() what it is "
                                   "changed with, or make it inside")
            held = Held.__new__(Held)
            held.tensor, held.look, held.node, held.needs_grad, held.retains = x, look_of(x), x.node, x.needs_grad, x.retains
            found.append(held)
    if foreign:
        raise CaptureError(f"{kernels[min(foreign)]}: reads or writes memory that came into being during the call and that the plan does "
                           "not hold; make the tensor before, outside of the captured function")
    return found

cdef int refuse_strangers(Recorder capture, list tensors, size_t first_storage) except -1:
    """Results that neither the step made nor anybody had before: another thread's work, which a replay does not do."""
    cdef Storage storage
    cdef set own = {id((<Tensor>x).storage) for x in capture.kept}
    for x in tensors:
        storage = (<Tensor>x).storage
        if storage.owner is not capture.arena and storage.version >> 32 > first_storage and id(storage) not in own:
            raise CaptureError("capture: a result was made outside of the recording, perhaps by another thread, whose work is not replayed")
    return 0

cdef int refuse_escaped(Recorder capture, list allowed) except -1:
    """A tensor that the step made and that somebody else keeps would be made anew by every replay, whatever it has become."""
    cdef set known = {id(storage) for storage in allowed}
    for attempt in range(2):
        escaped = [x for x in gc.get_objects() if isinstance(x, Tensor) and (<Tensor>x).storage.owner is capture.arena
                   and id((<Tensor>x).storage) not in known]
        if not escaped:
            return 0
        del escaped
        gc.collect()        # a graph may be garbage
    raise CaptureError("capture: a tensor that the function makes is kept by somebody else than its caller; return it, or make it before, outside, "
                       "and change it in place")

cdef bint closes_over(Plan plan, Tensor x) except -1:
    """Whether it is one of the tensors that the step closes over, perhaps by way of another library."""
    cdef Storage own = x.storage, other
    if id(own) in plan.foreign:
        return True
    for held in plan.held if not own.owned and own.owner is not None else ():
        other = (<Held>held).tensor.storage
        if own.data < other.data + other.nbytes and other.data < own.data + own.nbytes:
            return True
    return False

cdef int take_inputs(Plan plan) except -1:
    """Where the launches read the arguments. Where somebody looks at the plan's own, as part of a result or in a check, that is used."""
    cdef Tensor mine
    cdef Storage own
    cdef int i
    plan.fixed = set()
    for i in range(len(plan.inputs)):
        mine = <Tensor>plan.inputs[i]
        own = mine.storage
        if plan_input(plan.plan, own.data, own.nbytes) < 0:
            raise MemoryError("capture: no memory for the plan")
        if Py_REFCNT(mine) > 2 or Py_REFCNT(own) > 3:       # `mine`, the inputs'; `own`, the input, its range
            plan.fixed.add(i)
        elif own.nbytes > SMALL:
            own.drop_memory()
    return 0

cdef list movable(Plan plan):
    """Gradients that every step makes anew, which nobody else looks at: until they are made, their memory may be others'."""
    cdef Gradient gradient
    cdef Storage storage
    cdef list found = []
    for item in plan.gradients:
        gradient = <Gradient>item
        if gradient.before is not ANY or gradient.after is None or gradient.since:
            continue
        storage = gradient.after.storage
        if Py_REFCNT(storage) == 3 and storage.owner is plan.arena:     # `storage`, the gradient, and `after`
            arena_move(plan.arena.arena, storage.data)
            found.append(gradient)
    return found

cdef int move(Plan plan, list gradients) except -1:
    cdef Gradient gradient
    cdef Storage storage
    cdef Tensor x
    cdef char *to
    for item in gradients:
        gradient = <Gradient>item
        storage, x = gradient.after.storage, <Tensor>gradient.leaf.gradient
        to = <char *>arena_moved(plan.arena.arena, storage.data)
        if to != NULL:
            x.data = gradient.after.data = to + (x.data - storage.data)
            storage.data = to
    return 0
