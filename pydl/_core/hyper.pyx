"""The hyperparameters of an optimizer's groups, as its kernel reads them."""
from cpython.ref cimport PyObject
from libc.stdlib cimport calloc, free

from pydl._core.native cimport capture_flag
from pydl._core.recording cimport Recorder, recorder

from pydl._core.recording import CaptureError

cdef extern from "Python.h":
    PyObject *PyDict_GetItem(object mapping, object key)
    Py_ssize_t PyDict_Size(object mapping)
    Py_ssize_t PyTuple_GET_SIZE(object items)
    PyObject *PyTuple_GET_ITEM(object items, Py_ssize_t i)
    PyObject *PyList_GET_ITEM(object items, Py_ssize_t i)

cdef const int *capturing = capture_flag()


cdef class Hyper:
    """Memory that kernels read when they run."""

    def __dealloc__(self):
        free(self.values)

    cdef int make(self, size_t groups) except -1:
        self.epoch += 1
        free(self.values)
        self.groups, self.values = 0, <double *>calloc((groups + 1) * HYPER, sizeof(double))
        if self.values == NULL:
            raise MemoryError("step: could not allocate the launch")
        self.groups = groups
        return 0

    cdef int note(self, list groups, object state, object write) except -1:
        cdef Recorder capture = recorder() if capturing[0] else None
        if capture is not None:
            capture.ranges.append((<size_t>self.values, <size_t>(self.values + HYPER * self.groups), self))
            capture.steps.append(Renewal(self, groups, state, write))
        return 0

    cdef bytes numbers(self):
        return (<char *>self.values)[:HYPER * self.groups * sizeof(double)]     # bits: NaN is itself


cdef class Kept:
    """A parameter's state, and what was in it."""
    cdef object parameter
    cdef object state
    cdef tuple keys, values

    cdef bint fits(self, object states) noexcept:
        cdef Py_ssize_t i
        if PyDict_GetItem(states, self.parameter) != <PyObject *>self.state or PyDict_Size(self.state) != PyTuple_GET_SIZE(self.keys):
            return False
        for i in range(PyTuple_GET_SIZE(self.keys)):
            if PyDict_GetItem(self.state, <object>PyTuple_GET_ITEM(self.keys, i)) != PyTuple_GET_ITEM(self.values, i):
                return False
        return True

cdef Kept kept_of(object parameter, object state):
    cdef Kept kept = Kept.__new__(Kept)
    kept.parameter, kept.state, kept.keys, kept.values = parameter, state, tuple(state.keys()), tuple(state.values())
    return kept


cdef class Renewal:
    """The hyperparameters of a captured step, read anew from the optimizer's groups before every replay."""
    cdef Hyper hyper
    cdef list groups
    cdef object state       # the optimizer's: parameter -> its own
    cdef list own           # Kept of every parameter that has state
    cdef bytes numbers      # the hyperparameters of the recorded step
    cdef size_t epoch
    cdef object write       # (group, address of its hyperparameters) -> what must not change
    cdef list params, fixed     # of each group: its parameters, and that

    def __init__(self, Hyper hyper, list groups, state, write):
        self.hyper, self.groups, self.state, self.epoch, self.write = hyper, groups, state, hyper.epoch, write
        self.fixed = self.written()
        self.numbers = hyper.numbers()

    def seal(self):
        """The recording is over. CaptureError where the hyperparameters have changed since the step."""
        self.params = [list(group["params"]) for group in self.groups]
        self.fixed = self.written()
        if self.hyper.numbers() != self.numbers:
            raise CaptureError("capture: hyperparameters of an optimizer change inside the captured function; step a schedule outside of it")
        self.own = [kept_of(p, self.state[p]) for params in self.params for p in params if p in self.state]

    cdef list written(self):
        cdef double *hyper = self.hyper.values
        cdef list fixed = []
        for group in self.groups:
            fixed.append(self.write(group, <size_t>hyper))
            hyper += HYPER
        return fixed

    cdef bint same_parameters(self) except -1:
        cdef list before, now
        cdef Py_ssize_t i, k
        for i in range(len(self.groups)):
            params = self.groups[i]["params"]
            if not isinstance(params, list):
                return False
            before, now = <list>self.params[i], <list>params
            if len(before) != len(now):
                return False
            for k in range(len(now)):
                if PyList_GET_ITEM(before, k) != PyList_GET_ITEM(now, k):
                    return False
        return True

    def __call__(self):
        """Whether the plan is still right."""
        if (self.epoch != self.hyper.epoch or len(self.groups) != self.hyper.groups or not self.same_parameters()
                or self.written() != self.fixed):
            return False
        for kept in self.own:
            if not (<Kept>kept).fits(self.state):
                return False
        return True


def write_sgd(dict group, size_t hyper):
    return put_sgd(group, <double *>hyper)

cdef bint put_sgd(dict group, double *hyper) except -1:
    cdef double momentum = group["momentum"]
    hyper[0], hyper[1], hyper[2] = group["lr"], momentum, group["dampening"]
    hyper[3], hyper[4], hyper[5] = group["weight_decay"], -1 if group["maximize"] else 1, bool(group["nesterov"])
    return momentum != 0

def write_adam(dict group, size_t hyper):
    return put_adam(group, <double *>hyper)

cdef bint put_adam(dict group, double *hyper) except -1:
    hyper[0], hyper[3], hyper[4] = group["lr"], group["eps"], group["weight_decay"]
    hyper[1], hyper[2] = group["betas"]
    hyper[5] = -1 if group["maximize"] else 1
    return group["amsgrad"]


cdef class Layout:
    """Writes what layout(group) says -> the arrays and scalars it names."""
    cdef object layout

    def __init__(self, layout):
        self.layout = layout

    def __call__(self, dict group, size_t hyper):
        numbers, arrays, scalars = self.layout(group)
        for i, number in enumerate(<tuple>numbers):
            (<double *>hyper)[i] = number
        return arrays, scalars
