import builtins

class dtype:
    name: str
    itemsize: int
    is_floating_point: builtins.bool

float32: dtype
float64: dtype
int64: dtype
int32: dtype
uint8: dtype
bool: dtype
