"""Layers, losses and the Module they are made of. Names, arguments and state_dict keys are PyTorch's."""

from pydl.nn import functional, init, utils
from pydl.nn.activations import ELU, GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from pydl.nn.containers import ModuleDict, ModuleList, Sequential
from pydl.nn.dropout import Dropout
from pydl.nn.linear import Flatten, Identity, Linear, Unflatten
from pydl.nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from pydl.nn.module import Module
from pydl.nn.parameter import Parameter
from pydl.nn.parameter_containers import ParameterDict, ParameterList

__all__ = [
    "ELU",
    "GELU",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Identity",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "Unflatten",
    "functional",
    "init",
    "utils",
]
