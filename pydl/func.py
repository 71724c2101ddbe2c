"""Functions of functions: a call of a module with other parameters (`torch.func`)."""

from pydl.nn.utils.stateless import functional_call

__all__ = ["functional_call"]
