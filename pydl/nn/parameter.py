"""Parameter: a tensor that a module trains."""

from pydl.tensor import Tensor, empty


class Parameter(Tensor):
    """A tensor that a module registers when it is assigned as an attribute. Shares memory with `data`, outside its graph."""

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = empty((0,))
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data: expected a Tensor, got {type(data).__name__}; make one with pydl.tensor()")
        self.data = data
        self.requires_grad = requires_grad
