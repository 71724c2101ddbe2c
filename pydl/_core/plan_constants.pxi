# Part of plan.pyx: weights that a step only reads, kept packed for products of few rows.

cdef class Packed:
    """One such product. Where other libraries look at the weights, which may write without pydl's knowing, it reads them as they are."""
    cdef Storage storage
    cdef size_t number, version, returned
    cdef bint used

    cdef int renew(self, pd_plan *plan) except -1:
        if self.storage.lent:
            if self.used:
                plan_unpack(plan, self.number)
            self.used = False
        elif not self.used or self.version != self.storage.version or self.returned != self.storage.returned:
            plan_pack_again(plan, self.number)
            self.used, self.version, self.returned = True, self.storage.version, self.storage.returned
        return 0

cdef int keep_packed(Plan plan, Recorder capture) except -1:
    """Of all products whose right matrix is somebody's tensor, in pydl's memory, that the step does not change."""
    cdef size_t i, nbytes
    cdef const void *at
    cdef Storage storage
    cdef Packed packed
    cdef int number
    plan.packed = []
    changed = {id(storage) for storage in capture.written}
    for i in range(plan_length(plan.plan)):
        nbytes = plan_constant_matrix(plan.plan, i, &at)
        storage = owner_of(plan.held, at, nbytes) if nbytes else None
        if storage is None or id(storage) in changed:
            continue
        number = plan_keep_packed(plan.plan, i)
        if number < 0:
            continue        # it works without
        packed = Packed.__new__(Packed)
        packed.storage, packed.number = storage, number
        plan.packed.append(packed)
    return 0

cdef Storage owner_of(list held, const void *at, size_t nbytes):
    """The memory of pydl's that n bytes lie in, or None."""
    cdef Storage storage
    for item in held:
        storage = (<Held>item).tensor.storage
        if storage.owned and storage.data <= <const char *>at and <const char *>at + nbytes <= storage.data + storage.nbytes:
            return storage
    return None
