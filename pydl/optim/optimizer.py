"""What all optimizers share: parameter groups, state, saving and loading, checks of hyperparameters."""
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydl._core.step import Step
from pydl._core.step import zero_grad as zero_all
from pydl.autograd import enable_grad
from pydl.tensor import Tensor, tensor

Group = dict[str, Any]
LATER = ("maximize", "decoupled_weight_decay")      # hyperparameters that older states, PyTorch's too, do not name


class Optimizer:
    """Base of all optimizers. params: tensors, or dicts {"params": tensors, hyperparameters of their own ...}.

    Parameters without a gradient are left as they are. Numbers below the smallest normal one (1.2e-38 in float32) count as zero in a step:
    state that decays would stay at the smallest number there is, where processors are several times slower. Raises ValueError where there
    are no parameters, a parameter is no leaf or comes twice; TypeError for what is no Tensor.

    A subclass may say what it keeps for a parameter that it has updated: state_names always, state_options sometimes; then
    load_state_dict refuses anything else. state_numbers are those that are one number, not of the parameter's shape.
    """

    state_names: tuple[str, ...] | None = None
    state_options: tuple[str, ...] = ()
    state_numbers: tuple[str, ...] = ("step",)
    _opt_called = False         # whether step() has run: a schedule that steps before it warns

    def __init__(self, params: Iterable[Any], defaults: Group) -> None:
        if isinstance(params, Tensor):
            raise TypeError("params argument given to the optimizer should be an iterable of Tensors or dicts, got a Tensor")
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[Group] = []
        self._launches = Step()
        if not isinstance(params, Iterable):
            raise TypeError(f"{type(self).__name__}: params must be an iterable of Tensors or dicts, got {type(params).__name__}")
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__}: optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name in ("state", "param_groups") and "_launches" in self.__dict__:
            self._launches.forget()

    def add_param_group(self, param_group: Group) -> None:
        """Also optimize these parameters: {"params": tensors, and hyperparameters that differ from the defaults}."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, got {type(param_group).__name__}")
        if "params" not in param_group:
            names = sorted(map(str, param_group))
            raise ValueError(f"{type(self).__name__}: a parameter group must have 'params', got one with only {names}")
        params = param_group["params"]
        if not isinstance(params, (Tensor, Iterable)):
            raise TypeError(f"{type(self).__name__}: params of a group must be Tensors, got {type(params).__name__}")
        if isinstance(params, (set, frozenset)):
            raise TypeError("optimizer parameters need to be in an order, and a set has none; use a list")
        group = {**self.defaults, **param_group, "params": [params] if isinstance(params, Tensor) else list(params)}
        if group["params"] and isinstance(group["params"][0], tuple):
            group["param_names"], group["params"] = map(list, zip(*group["params"], strict=True))
        self.check(group)
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for p in group["params"]:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(f"can't optimize a non-leaf Tensor (shape {p.shape}, made by {p.grad_fn!r})")
            if not p.dtype.is_floating_point:
                raise TypeError(f"optimizer can only optimize float32 and float64, but a param of shape {p.shape} is {p.dtype}")
            if id(p) in known:
                raise ValueError(f"a parameter of shape {p.shape} appears more than once in the optimizer's groups")
            known.add(id(p))
        self.param_groups.append(group)
        self._launches.forget()

    def check(self, group: Group) -> None:
        """Raises for hyperparameters out of range."""
        raise NotImplementedError

    def update(self) -> None:
        """One step on the present gradients."""
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates all parameters that have a gradient. closure, if given, computes the loss anew and is returned.

        A step is all or nothing: whatever can be wrong is found before the first parameter changes.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self.update()
        if not self._opt_called:
            self._opt_called = True
        return loss

    zero_grad = zero_all

    def state_dict(self) -> dict[str, Any]:
        """{"state": {index: its tensors}, "param_groups": hyperparameters and indices}: PyTorch's layout. Nothing is copied."""
        index: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                index[id(p)] = len(index)
            groups.append({**group, "params": [index[id(p)] for p in group["params"]]})
        return {"state": {index[id(p)]: dict(own) for p, own in self.state.items() if id(p) in index}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over state and hyperparameters of a state_dict(); tensors are copied.

        Raises ValueError where it does not fit, or belongs to another kind of optimizer; nothing has changed then.
        """
        check_layout(type(self).__name__, state_dict)
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(f"load_state_dict: {len(saved)} parameter groups saved, the optimizer has {len(self.param_groups)}")
        by_index: dict[int, Tensor] = {}
        groups = []
        for number, (old, new) in enumerate(zip(self.param_groups, saved, strict=True)):
            if len(old["params"]) != len(new["params"]):
                raise ValueError(f"load_state_dict: group {number} holds {len(new['params'])} parameters in the saved state, "
                                 f"{len(old['params'])} in the optimizer")
            missing = [name for name in self.defaults if name not in new and name not in LATER]
            if missing:
                raise ValueError(f"load_state_dict: group {number} of the saved state has no {missing[0]}: "
                                 f"it is not of {type(self).__name__}")
            by_index.update(zip(new["params"], old["params"], strict=True))
            groups.append({**old, **new, "params": old["params"]})
            self.check(groups[-1])
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for index, own in state_dict["state"].items():
            if index not in by_index:
                raise ValueError(f"load_state_dict: state for parameter {index}, which no group has")
            p = by_index[index]
            kept = {key: value for key, value in own.items() if value is not None}      # None: not begun yet
            self.check_names(index, kept)
            if kept:
                state[p] = {key: single_number(key, value) if key in self.state_numbers else loaded(p, key, value)
                            for key, value in kept.items()}
        self.state, self.param_groups = state, groups

    def check_names(self, index: Any, own: dict[str, Any]) -> None:
        """ValueError where the saved state of a parameter is not this optimizer's."""
        if self.state_names is None or not own:
            return
        known = (*self.state_names, *self.state_options)
        for name in own:
            if name not in known:
                raise ValueError(f"load_state_dict: {name!r} of parameter {index} is not state of {type(self).__name__}, "
                                 f"which keeps {', '.join(known)}")
        for name in self.state_names:
            if name not in own:
                raise ValueError(f"load_state_dict: the state of parameter {index} has no {name!r}, which {type(self).__name__} needs")

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key not in ("params", "param_names")]
        return "\n".join([*lines, ")"])


def check_layout(optimizer: str, state_dict: Any) -> None:
    """TypeError or ValueError for what is not laid out as a state_dict() is."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"load_state_dict: {optimizer} expected a state_dict(), got {type(state_dict).__name__}")
    for name, kind in (("param_groups", (list, tuple)), ("state", Mapping)):
        if name not in state_dict:
            raise ValueError(f"load_state_dict: {optimizer} expected a state_dict() with 'state' and 'param_groups': {name!r} is missing")
        if not isinstance(state_dict[name], kind):
            raise TypeError(f"load_state_dict: {name} of a state of {optimizer} must not be a {type(state_dict[name]).__name__}")
    for number, group in enumerate(state_dict["param_groups"]):
        if not isinstance(group, Mapping) or not isinstance(group.get("params"), (list, tuple)):
            raise ValueError(f"load_state_dict: group {number} of the saved state must be a dict with a list of 'params'")
    for index, own in state_dict["state"].items():
        if not isinstance(own, Mapping):
            raise TypeError(f"load_state_dict: the state of parameter {index} must be a dict, got {type(own).__name__}")


def loaded(p: Tensor, key: str, value: Any) -> Any:
    """A copy of a saved value for parameter p: of p's type and shape."""
    if not isinstance(value, Tensor):
        return value
    if value.shape != p.shape:
        raise ValueError(f"load_state_dict: {key} has shape {value.shape}, its parameter {p.shape}")
    return value.detach().to(p.dtype).clone()


def single_number(key: str, value: Any) -> Tensor:
    """A saved number such as the step count, or a tensor of one, as the kernels keep it: a 0-dimensional float32 tensor."""
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ValueError(f"load_state_dict: {key} must be a number >= 0, got {value!r}")
    return tensor(float(value))


def number(optimizer: str, group: Group, name: str) -> float:
    """group[name] as a number >= 0."""
    value = group[name]
    try:
        if isinstance(value, (str, bytes)):     # float() would parse them
            raise TypeError
        ok = float(value) >= 0
    except (TypeError, ValueError):
        raise TypeError(f"{optimizer}: {name} must be a number, got {type(value).__name__}") from None
    if not ok:
        raise ValueError(f"{optimizer}: {name} must be a number >= 0, got {value}")
    return float(value)


def betas(optimizer: str, group: Group) -> None:
    """Two numbers in [0, 1)."""
    pair = group["betas"]
    try:
        first, second = pair
        ok = 0 <= first < 1 and 0 <= second < 1
    except (TypeError, ValueError):
        raise TypeError(f"{optimizer}: betas must be a pair of numbers, got {pair!r}") from None
    if not ok:
        raise ValueError(f"{optimizer}: betas must be two numbers in [0, 1), got {pair}")


def not_nan(optimizer: str, group: Group, *names: str) -> None:
    """ValueError where one of group[names] is NaN, TypeError where it is no number."""
    for name in names:
        value = group[name]
        try:
            wrong = math.isnan(value)
        except TypeError:
            raise TypeError(f"{optimizer}: {name} must be a number, got {type(value).__name__}") from None
        if wrong:
            raise ValueError(f"{optimizer}: {name} must be a number, got nan")


def decay_is(optimizer: str, group: Group, decoupled: bool, other: str) -> None:
    """ValueError where a group asks for the other kind of weight decay, as a state of the other optimizer does."""
    if bool(group["decoupled_weight_decay"]) is not decoupled:
        raise ValueError(f"{optimizer}: decoupled_weight_decay must be {decoupled}, got {group['decoupled_weight_decay']!r}: use {other}")


def only_off(optimizer: str, **switches: bool) -> None:
    """ValueError where one of these is on: they belong to other devices, or to steps that are differentiated."""
    for name, value in switches.items():
        if value:
            raise ValueError(f"{optimizer}: {name} must be False, got {value!r}: a step is one call on this processor, not recorded")
