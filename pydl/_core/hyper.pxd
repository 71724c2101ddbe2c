"""The hyperparameters of an optimizer's groups, as its kernel reads them."""

cdef enum:
    HYPER = 8           # doubles a group

cdef class Hyper:
    cdef double *values                 # HYPER for each group
    cdef size_t groups
    cdef readonly size_t epoch          # counts what a captured step does not survive: other parameters, another state
    cdef int make(self, size_t groups) except -1            # memory for so many groups, which a plan did not know
    cdef int note(self, list groups, object state, object write) except -1      # where a step is captured: a replay writes them anew
    cdef bytes numbers(self)

cdef bint put_sgd(dict group, double *hyper) except -1      # the kernel's hyperparameters -> whether there is momentum
cdef bint put_adam(dict group, double *hyper) except -1     # ... -> whether it is amsgrad
