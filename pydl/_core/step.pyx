"""One launch a step: gathers the parameters, gradients and state of an optimizer, checks everything, then makes one C call.

A step is all or nothing: whatever can fail (a gradient that does not fit, no memory) fails before the call.
"""
cimport cython
from cpython.dict cimport PyDict_Next
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free

from pydl._core.kernels cimport PD_F32, PD_F64, pd_launch
from pydl._core.hyper cimport HYPER, Hyper, put_adam, put_sgd
from pydl._core.launch cimport contiguous, fill, find, map_into, run
from pydl._core.native cimport capture_flag
from pydl._core.recording cimport Recorder, keep, note_gradient, note_overwritten, pause, resume
from pydl._core.tape cimport changed
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, empty, empty_like, same_shape, shape_of, strides_overlap

from pydl._core.hyper import Layout, write_adam, write_sgd

cdef extern from "pydl.h":
    enum: PD_copy
    enum: PD_sgd_step
    enum: PD_adam_step
    enum: PD_adamw_step
    enum: PD_rmsprop_step
    enum: PD_adagrad_step
    enum: PD_adadelta_step
    enum: PD_adamax_step
    enum: PD_nadam_step
    enum: PD_radam_step
    enum: PD_asgd_step
    enum: PD_rprop_step
    enum: PD_STEP_PLACE

cdef const int *capturing = capture_flag()

cdef enum:
    ARRAYS = 9          # rows of pointers of a counted_step
    STATE = 5           # the first of them that is state


cdef class Gathered:
    """The pointers of up to `room` parameters of one type: `arrays` rows of them, then sizes, objects, flags and scratch."""
    cdef pd_launch launch
    cdef void **pointers
    cdef size_t *sizes
    cdef uint8_t *started
    cdef char *places
    cdef size_t room, count, elements, held
    cdef int code
    cdef PyObject **params
    cdef PyObject **alive           # all that must live while other threads run: the parameters, and the memory of what is pointed at
    cdef list written_back

    def __cinit__(self, int code, size_t room, int arrays):
        cdef size_t words = room * (2 * arrays + 3) * sizeof(void *)
        cdef int i
        self.room, self.code = room, code
        self.written_back = []
        self.pointers = <void **>calloc(words + room * (PD_STEP_PLACE + 1) + 1, 1)
        if self.pointers == NULL:
            raise MemoryError("step: could not allocate the launch")
        self.sizes = <size_t *>(self.pointers + room * arrays)
        self.params = <PyObject **>(self.sizes + room)
        self.alive = self.params + room
        self.places = <char *>(self.alive + room * (arrays + 1))
        self.started = <uint8_t *>(self.places + room * PD_STEP_PLACE)
        for i in range(arrays):
            self.launch.buf[i] = &self.pointers[room * i]

    def __dealloc__(self):
        free(self.pointers)

    cdef inline void hold(self, object x) noexcept:
        Py_INCREF(x)
        self.alive[self.held] = <PyObject *>x
        self.held += 1

    cdef inline void put(self, int array, void *pointer) noexcept:
        self.pointers[array * self.room + self.count] = pointer

    cdef inline void put_memory(self, int array, Tensor x) noexcept:
        self.put(array, x.data)
        self.hold(x.storage)

    cdef int add(self, str name, Tensor p, Tensor g) except -1:
        """The parameter and its gradient; `finish` follows when its state is in place."""
        cdef Tensor dense = p
        if self.count >= self.room:
            raise RuntimeError(f"{name}: the parameters of the optimizer change during its step")
        if not p.storage.writable:
            raise ValueError(f"{name}: a parameter of shape {shape_of(p)} looks at read-only memory; use clone()")
        if g.code != p.code:
            raise TypeError(f"{name}: parameter is {dtype_of(p.code)} but its gradient is {dtype_of(g.code)}")
        if not same_shape(p, g):
            raise ValueError(f"{name}: parameter has shape {shape_of(p)} but its gradient has {shape_of(g)}")
        if not p.contiguous and strides_overlap(p.ndim, p.sizes, p.strides):
            raise ValueError(f"{name}: elements of a parameter of shape {shape_of(p)} share memory (strides {p.stride()}); use clone()")
        if not p.contiguous:
            dense = contiguous(p)
            self.written_back.append((p, dense))
        if not g.contiguous:
            g = contiguous(g)
        self.put_memory(0, dense)
        self.put_memory(1, g)
        self.sizes[self.count] = p.numel
        self.elements += p.numel
        self.hold(p)
        self.params[self.count] = <PyObject *>p
        return 0

    cdef int put_state(self, str name, int array, object value, str key) except -1:
        cdef Tensor p = <Tensor>self.params[self.count], x
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: state {key!r} must be a Tensor, got {type(value).__name__}")
        x = <Tensor>value
        if x.code != p.code or not x.contiguous or not same_shape(x, p):
            raise ValueError(f"{name}: state {key!r} is {dtype_of(x.code)} of shape {shape_of(x)}, expected a contiguous "
                             f"{dtype_of(p.code)} of shape {shape_of(p)}")
        self.put_memory(array, x)
        return 0

    cdef int execute(self, int kernel) except -1:
        cdef Tensor p, dense
        cdef size_t i
        self.launch.step.count = self.count
        self.launch.step.sizes = self.sizes
        find(&self.launch, kernel, self.code)
        run(&self.launch, kernel, self.code, self.elements)
        for p, dense in self.written_back:
            map_into(PD_copy, p.code, (dense,), p)
        for i in range(self.count):
            changed(<Tensor>self.params[i])
        return 0


@cython.binding(False)
cdef class Step:
    """What an optimizer keeps between steps: the launches of both types, and the hyperparameters of its groups."""
    cdef Gathered single, double_
    cdef readonly Hyper hyper
    cdef bint busy

    def __cinit__(self):
        self.hyper = Hyper()

    def __reduce__(self):
        return Step, ()     # a copied optimizer gathers anew

    def forget(self):
        """Captured steps are no longer valid: the optimizer has other parameters, or another state."""
        self.hyper.epoch += 1

    cdef int open(self, list groups, int arrays) except -1:
        cdef size_t room = 0
        if self.busy:
            raise RuntimeError("step: another thread is in a step of this optimizer")
        for group in groups:
            room += len(<list?>group["params"])
        if self.hyper.groups != <size_t>len(groups) or self.single is None or self.single.room < room:
            self.hyper.make(len(groups))
            self.single = Gathered(PD_F32, room, arrays)
            self.double_ = Gathered(PD_F64, room, arrays)
        self.busy = True
        return 0

    cdef int run(self, int kernel) except -1:
        if self.single.count:
            self.single.execute(kernel)
        if self.double_.count:
            self.double_.execute(kernel)
        return 0

    cdef int close(self) except -1:
        clear(self.single)
        clear(self.double_)
        self.busy = False
        return 0


cdef void clear(Gathered gathered) noexcept:
    cdef size_t i
    for i in range(gathered.held):
        Py_DECREF(<object>gathered.alive[i])
    gathered.count = gathered.elements = gathered.held = 0
    if gathered.written_back:
        gathered.written_back.clear()

cdef Tensor state_as(Tensor p, double value=0):
    """New state of p's shape. Made once: no part of a captured step."""
    cdef Recorder paused = pause() if capturing[0] else None
    cdef Tensor x
    try:
        x = empty_like(p)
        fill(x, value)
    finally:
        resume(paused)
    if paused is not None:
        keep(x)
    return x

cdef Tensor single_float(float value=0):
    cdef Recorder paused = pause() if capturing[0] else None
    cdef Tensor t
    try:
        t = empty(PD_F32, 0, NULL)
    finally:
        resume(paused)
    if paused is not None:
        keep(t)
    (<float *>t.data)[0] = value
    return t

cdef Gathered gathered_for(Step step, str name, Tensor p):
    if p.code == PD_F32:
        return step.single
    if p.code == PD_F64:
        return step.double_
    raise TypeError(f"{name}: parameters must be float32 or float64, got {dtype_of(p.code)}")


def sgd_step(Step step not None, list groups, state):
    """One step of stochastic gradient descent over all groups."""
    cdef list new = []
    step.open(groups, 5)
    try:
        step.hyper.note(groups, state, write_sgd)
        gather_sgd(step, groups, state, new)
        for own, buffer in new:
            (<dict>own)["momentum_buffer"] = buffer
        step.run(PD_sgd_step)
    finally:
        step.close()

cdef int gather_sgd(Step step, list groups, state, list new) except -1:
    cdef Tensor p
    cdef Gathered g
    cdef double *hyper = step.hyper.values
    cdef dict own
    cdef bint momentum
    cdef object buffer
    for group in groups:
        momentum = put_sgd(group, hyper)
        for item in <list?>group["params"]:
            p = <Tensor?>item
            if capturing[0]:
                note_gradient(p, p.gradient)
            if p.gradient is None:
                continue
            g = gathered_for(step, "SGD", p)
            g.add("SGD", p, <Tensor>p.gradient)
            g.started[g.count] = 1
            g.put(2, NULL)
            if momentum:
                own = state[p]
                buffer = own.get("momentum_buffer")
                if buffer is None:
                    g.started[g.count] = 0
                    buffer = state_as(p)
                    new.append((own, buffer))
                g.put_state("SGD", 2, buffer, "momentum_buffer")
            g.put(4, hyper)
            g.count += 1
        hyper += HYPER
    for g in (step.single, step.double_):
        g.launch.buf[3], g.launch.buf[5] = g.started, g.places
    return 0

def adam_step(Step step not None, list groups, state, bint decoupled):
    """One step of Adam over all groups, or of AdamW (decoupled)."""
    step.open(groups, 7)
    try:
        step.hyper.note(groups, state, write_adam)
        gather_adam(step, groups, state, "AdamW" if decoupled else "Adam")
        step.run(PD_adamw_step if decoupled else PD_adam_step)
    finally:
        step.close()

cdef int gather_adam(Step step, list groups, state, str name) except -1:
    cdef Tensor p
    cdef Gathered g
    cdef double *hyper = step.hyper.values
    cdef dict own
    cdef AdamEntries entries
    cdef bint amsgrad
    for group in groups:
        amsgrad = put_adam(group, hyper)
        for item in <list?>group["params"]:
            p = <Tensor?>item
            if capturing[0]:
                note_gradient(p, p.gradient)
            if p.gradient is None:
                continue
            g = gathered_for(step, name, p)
            g.add(name, p, <Tensor>p.gradient)
            own = state[p]
            if not own or amsgrad and "max_exp_avg_sq" not in own:
                start_adam(own, p, amsgrad)
            entries = adam_entries(own)
            g.put_state(name, 2, own["exp_avg"] if entries.m == NULL else <object>entries.m, "exp_avg")
            g.put_state(name, 3, own["exp_avg_sq"] if entries.v == NULL else <object>entries.v, "exp_avg_sq")
            g.put(4, NULL)
            if amsgrad:
                g.put_state(name, 4, own["max_exp_avg_sq"], "max_exp_avg_sq")
            g.put_memory(5, single_of(name, own["step"] if entries.step == NULL else <object>entries.step, "step"))
            g.put(6, hyper)
            g.count += 1
        hyper += HYPER
    for g in (step.single, step.double_):
        g.launch.buf[7] = g.places
    return 0

cdef struct AdamEntries:
    PyObject *step
    PyObject *m
    PyObject *v

cdef AdamEntries adam_entries(dict own) noexcept:
    """Borrowed; NULL where the key is not the very string. One pass over so few takes less time than three look-ups."""
    cdef AdamEntries found
    cdef Py_ssize_t at = 0
    cdef PyObject *key
    cdef PyObject *value
    found.step = found.m = found.v = NULL
    while PyDict_Next(own, &at, &key, &value):
        if key == <PyObject *>"step":
            found.step = value
        elif key == <PyObject *>"exp_avg":
            found.m = value
        elif key == <PyObject *>"exp_avg_sq":
            found.v = value
    return found

cdef int start_adam(dict own, Tensor p, bint amsgrad) except -1:
    """The state of one parameter; everything is made before anything is kept."""
    cdef dict new = {"step": single_float(), "exp_avg": state_as(p), "exp_avg_sq": state_as(p)}
    if amsgrad:
        new["max_exp_avg_sq"] = state_as(p)
    for key in new:
        own.setdefault(key, new[key])
    return 0

cdef Tensor single_of(str name, object value, str key):
    cdef Tensor t
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: state {key!r} must be a Tensor, got {type(value).__name__}")
    t = <Tensor>value
    if t.code != PD_F32 or t.numel != 1:
        raise ValueError(f"{name}: state {key!r} must be one float32, got {dtype_of(t.code)} of shape {shape_of(t)}")
    return t

cdef dict KERNELS = {
    "RMSprop": PD_rmsprop_step, "Adagrad": PD_adagrad_step, "Adadelta": PD_adadelta_step, "Adamax": PD_adamax_step,
    "NAdam": PD_nadam_step, "RAdam": PD_radam_step, "ASGD": PD_asgd_step, "Rprop": PD_rprop_step,
}

def counted_step(Step step not None, str name, list groups, state, layout):
    """One step of an optimizer of optim_adaptive.c over all groups.

    layout(group) -> hyperparameters, arrays, scalars: the numbers and the state that the kernel asks for, in its order. Of the
    state: (name, first value, needed) each; name None is an array that the kernel does without; needed False is one that may begin later.
    """
    step.open(groups, ARRAYS)
    try:
        step.hyper.note(groups, state, Layout(layout))
        gather_counted(step, name, groups, state, layout)
        step.run(KERNELS[name])
    finally:
        step.close()

cdef int gather_counted(Step step, str name, list groups, state, layout) except -1:
    cdef Tensor p
    cdef Gathered g
    cdef double *hyper = step.hyper.values
    cdef dict own
    cdef tuple arrays, scalars
    cdef int i
    for group in groups:
        numbers, arrays, scalars = layout(group)
        for i, number in enumerate(<tuple>numbers):
            hyper[i] = number
        for item in <list?>group["params"]:
            p = <Tensor?>item
            if capturing[0]:
                note_gradient(p, p.gradient)
            if p.gradient is None:
                continue
            g = gathered_for(step, name, p)
            g.add(name, p, <Tensor>p.gradient)
            own = state[p]
            start_counted(name, own, p, arrays, scalars)
            g.put_memory(2, single_of(name, own.get("step"), "step"))
            g.put(3, hyper)
            i = STATE
            for key, _, _ in arrays:
                if key is None:
                    g.put(i, NULL)
                else:
                    g.put_state(name, i, own.get(key), key)
                i += 1
            for key, _, _ in scalars:
                g.put_memory(i, single_of(name, own.get(key), key))
                i += 1
            g.count += 1
        hyper += HYPER
    for g in (step.single, step.double_):
        g.launch.buf[4] = g.places
    return 0

cdef int start_counted(str name, dict own, Tensor p, tuple arrays, tuple scalars) except -1:
    """The state of one parameter that has none yet; everything is made before anything is kept."""
    cdef dict new = {}
    cdef bint begun = bool(own)
    if not begun:
        new["step"] = single_float()
    for key, value, needed in arrays:
        if key is not None and key not in own and not (begun and needed):
            new[key] = state_as(p, value)
    if not begun:
        for key, value, _ in scalars:
            new[key] = single_float(value)
    own.update(new)
    return 0

def zero_grad(self, bint set_to_none=True):
    """Forgets the gradients of all parameters, or sets them to zero."""
    cdef Tensor p, g
    for group in self.param_groups:     # self: an Optimizer, whose method this is
        for item in <list?>group["params"]:
            p = <Tensor?>item
            if capturing[0]:
                note_overwritten(p) if set_to_none else note_gradient(p, p.gradient)
            if p.gradient is None:
                continue
            if set_to_none:
                p.gradient = None
                continue
            g = <Tensor>p.gradient
            if g.node is not None:
                g = empty_like(g)
                p.gradient = g
            fill(g, 0)
            changed(g)
