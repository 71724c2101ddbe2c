"""PyTorch's place for what pydl keeps in pydl.nn: `pydl.nn.modules.module` has Module and the hooks of all modules."""

from pydl.nn import *
from pydl.nn.modules import module as module
