import builtins

class dtype:
    name: str
    itemsize: int
    is_floating_point: builtins.bool
    @property
    def is_signed(self) -> builtins.bool: ...
    @property
    def is_complex(self) -> builtins.bool: ...

float32: dtype
float64: dtype
int64: dtype
int32: dtype
uint8: dtype
bool: dtype

_DType = dtype | type[builtins.float] | type[builtins.int]

def get_default_dtype() -> dtype: ...
def set_default_dtype(d: dtype) -> None: ...
def promote_types(type1: _DType, type2: _DType) -> dtype: ...
def can_cast(from_: _DType, to: _DType) -> builtins.bool: ...
