"""Sums of products over named dimensions: einsum and tensordot. Pairs of tensors go through matmul; nothing larger is made."""
import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydl._core.checks import dim_arg, int_arg, tensor_arg
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import mul
from pydl.ops.matmul import matmul
from pydl.ops.parts import diagonal
from pydl.ops.reduce import sum as total
from pydl.ops.shape import permute, reshape, squeeze

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DOTS = -1                   # the label of "..." before it is spelled out
Labels = tuple[int, ...]
Shape = tuple[int, ...]


class Own(NamedTuple):
    """What is done with one tensor first: diagonals of pairs of dims, dims of size one that go, dims that are summed."""

    diagonals: tuple[tuple[int, int], ...]
    ones: Labels
    sums: Labels


class Step(NamedTuple):
    """Tensors i and j, each permuted and reshaped (None: left as it is), are multiplied; the product is reshaped."""

    i: int
    j: int
    product: Any
    orders: tuple[Labels | None, Labels | None]
    shapes: tuple[Shape | None, Shape | None]
    result: Shape | None


class Plan(NamedTuple):
    own: tuple[Own | None, ...]
    steps: tuple[Step, ...]
    order: Labels | None


# ---- Reading

def _labels(text: str, equation: str) -> Labels:
    """The labels of one term of an equation."""
    found = []
    rest = text.replace(" ", "").replace("...", ".", 1)
    for letter in rest:
        if letter == ".":
            found.append(DOTS)
        elif letter in LETTERS:
            found.append(LETTERS.index(letter))
        else:
            raise ValueError(f"einsum: expected letters, '...', ',' and one '->', got {letter!r} in {equation!r}")
    if found.count(DOTS) > 1:
        raise ValueError(f"einsum: one '...' at most for a tensor, got {text!r} in {equation!r}")
    return tuple(found)


@functools.lru_cache(256)
def _read(equation: str) -> tuple[tuple[Labels, ...], Labels | None]:
    left, arrow, right = equation.partition("->")
    return tuple(_labels(term, equation) for term in left.split(",")), _labels(right, equation) if arrow else None


def _of_list(given: object) -> Labels:
    """The labels of a list of numbers and Ellipsis."""
    found = []
    for one in given if isinstance(given, (list, tuple)) else (given,):
        label = DOTS if one is Ellipsis else int_arg("einsum", one, "a label")
        if one is not Ellipsis and not 0 <= label < len(LETTERS):
            raise ValueError(f"einsum: labels are numbers from 0 to {len(LETTERS) - 1}, got {label}")
        found.append(label)
    if found.count(DOTS) > 1:
        raise ValueError(f"einsum: one Ellipsis at most for a tensor, got {given}")
    return tuple(found)


# ---- Planning

def _spelled(terms: Sequence[Labels], output: Labels | None, shapes: Sequence[Shape], said: str) -> tuple[list[Labels], Labels]:
    """The dimensions of "..." get labels of their own, counted from the right; an output that is not given is made."""
    widths = []
    for labels, shape in zip(terms, shapes):
        width = len(shape) - len(labels) + (DOTS in labels)
        if width < 0 or width and DOTS not in labels:
            raise ValueError(f"einsum: {len(labels) - (DOTS in labels)} labels for {len(shape)} dimensions ({said})")
        widths.append(width)
    most, base = max(widths), len(LETTERS)
    if output is None:
        flat = [label for labels in terms for label in labels if label != DOTS]
        output = (DOTS, *sorted(label for label in set(flat) if flat.count(label) == 1))

    def spell(labels: Labels, width: int) -> Labels:
        return tuple(x for label in labels for x in (range(base + most - width, base + most) if label == DOTS else (label,)))

    spelled, result = [spell(labels, width) for labels, width in zip(terms, widths)], spell(output, most)
    for label in result:
        if result.count(label) > 1:
            raise ValueError(f"einsum: {LETTERS[label]!r} stands twice in the output ({said})")
        if not any(label in labels for labels in spelled):
            raise ValueError(f"einsum: {LETTERS[label]!r} stands in the output, but at no tensor ({said})")
    return spelled, result


def _sizes(terms: Sequence[Labels], shapes: Sequence[Shape], said: str) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for labels, shape in zip(terms, shapes):
        own: dict[int, int] = {}
        for label, size in zip(labels, shape):
            if own.setdefault(label, size) != size or size != 1 and sizes.get(label, 1) not in (1, size):
                name = LETTERS[label] if label < len(LETTERS) else "..."
                raise ValueError(f"einsum: {name!r} has the sizes {own[label] if own[label] != size else sizes[label]} and {size} ({said})")
            if sizes.get(label, 1) == 1:
                sizes[label] = size
    return sizes


def _own(labels: Labels, shape: Shape, sizes: dict[int, int], wanted: set[int]) -> tuple[Own | None, Labels]:
    """How a tensor loses what it does not share: (what to do, the labels that are left)."""
    left, ones, sums, diagonals = list(labels), [], [], []
    for label in dict.fromkeys(labels):
        while left.count(label) > 1:
            first = left.index(label)
            second = left.index(label, first + 1)
            diagonals.append((first, second))
            del left[second], left[first]
            left.append(label)          # diagonal() puts it last
    size_of = dict(zip(labels, shape))
    for d, label in enumerate(left):
        if size_of[label] == 1 != sizes[label]:
            ones.append(d)
        elif label not in wanted:
            sums.append(d)
    own = Own(tuple(diagonals), tuple(ones), tuple(d - sum(one < d for one in ones) for d in sums))
    return own if diagonals or ones or sums else None, tuple(label for d, label in enumerate(left) if d not in ones and d not in sums)


def _order(old: Labels, new: Sequence[int]) -> Labels | None:
    order = tuple(old.index(label) for label in new)
    return None if order == tuple(range(len(order))) else order


def _pair(i: int, j: int, a: Labels, b: Labels, wanted: set[int], sizes: dict[int, int]) -> tuple[Step, Labels]:
    """One product, and the labels of its result."""
    batch = [label for label in a if label in b and label in wanted]
    summed = [label for label in a if label in b and label not in wanted]
    left, right = [label for label in a if label not in b], [label for label in b if label not in a]
    result = (*batch, *left, *right)
    if not summed or batch and not (left or right):     # nothing to sum, or the dot products of rows: element by element
        every = (*result, *summed)
        product = functools.partial(_row_dots, count=len(summed)) if summed else mul
        orders = [_order(own, [label for label in every if label in own]) for own in (a, b)]
        shapes = [None if len(own) == len(every) else tuple(sizes[label] if label in own else 1 for label in every) for own in (a, b)]
        return Step(i, j, product, (orders[0], orders[1]), (shapes[0], shapes[1]), None), result
    rows, columns = [left] if left or batch else [], [right] if right or batch else []
    kept = [sizes[label] for label in batch]

    def merged(*groups: list[int]) -> Shape | None:
        """The shape with the dimensions of each group as one; None where each group is one already."""
        if all(len(group) == 1 for group in groups):
            return None
        return (*kept, *(math.prod(sizes[label] for label in group) for group in groups))

    split = merged(*rows, *columns) and tuple(sizes[label] for label in result)
    return Step(i, j, matmul, (_order(a, [*batch, *left, *summed]), _order(b, [*batch, *summed, *right])),
                (merged(*rows, summed), merged(summed, *columns)), split), result


def _row_dots(a: Tensor, b: Tensor, count: int) -> Tensor:
    return total(mul(a, b), tuple(range(-count, 0)))


def _cheapest(left: dict[int, Labels], output: Labels, sizes: dict[int, int]) -> tuple[int, int]:
    """The pair whose product grows least over its factors: the greedy path."""
    def size(labels: Sequence[int] | set[int]) -> int:
        return math.prod(sizes[label] for label in labels)

    best, least = (0, 0), None
    for i in left:
        for j in (j for j in left if j > i):
            others = set(output).union(*(labels for k, labels in left.items() if k not in (i, j)))
            both = set(left[i]) | set(left[j])
            cost = (not set(left[i]) & set(left[j]), size(both & others) - size(left[i]) - size(left[j]), size(both))
            if least is None or cost < least:
                best, least = (i, j), cost
    return best


@functools.lru_cache(512)
def _plan(terms: tuple[Labels, ...], output: Labels | None, shapes: tuple[Shape, ...]) -> Plan:
    said = f"shapes {', '.join(map(str, shapes))}"
    if len(terms) != len(shapes):
        raise ValueError(f"einsum: {len(terms)} terms for {len(shapes)} tensors ({said})")
    spelled, result = _spelled(terms, output, shapes, said)
    sizes = _sizes(spelled, shapes, said)
    own, left = [], {}
    for i, (labels, shape) in enumerate(zip(spelled, shapes)):
        # a size-1 dimension that another tensor stretches does not count as sharing the label
        shared = set(result).union(*(
            (x for x, n in zip(other, theirs) if n == sizes[x]) for k, (other, theirs) in enumerate(zip(spelled, shapes)) if k != i))
        what, left[i] = _own(labels, shape, sizes, shared)
        own.append(what)
    steps: list[Step] = []
    while len(left) > 1:
        i, j = _cheapest(left, result, sizes) if len(left) > 2 else tuple(left)
        a, b = left.pop(i), left.pop(j)
        step, labels = _pair(i, j, a, b, set(result).union(*left.values()), sizes)
        left[len(shapes) + len(steps)] = labels
        steps.append(step)
    return Plan(tuple(own), tuple(steps), _order(next(iter(left.values())), result))


# ---- The calls

def _apply(x: Tensor, own: Own) -> Tensor:
    for first, second in own.diagonals:
        x = diagonal(x, 0, first, second)
    if own.ones:
        x = squeeze(x, own.ones)
    return total(x, own.sums) if own.sums else x


def einsum(equation: Any, *operands: Any) -> Tensor:
    """The sum of products that the labels of dimensions name: einsum("bij,bjk->bik", x, y)[b, i, k] = sum_j x[b, i, j] y[b, j, k].

    A letter a dimension. Twice at one tensor: its diagonal. Not in the output: summed. "...": the other dimensions, which
    broadcast. Without "->" the output has "...", then the letters that stand once, capitals first, by the alphabet. Dimensions
    of size 1 broadcast. Or with lists of numbers from 0 to 51 and Ellipsis: einsum(x, [0, 1], y, [1, 2], [0, 2]).

    Three tensors and more are multiplied pair by pair, greedily the pair whose product grows least; a pair is one matmul, or
    one mul where nothing is summed. Types as in matmul: floats or integers, all the same. Raises ValueError where labels and
    shapes do not fit, TypeError where types differ.
    """
    if isinstance(equation, str):
        given = operands[0] if len(operands) == 1 and isinstance(operands[0], (tuple, list)) else operands
        terms, output = _read(equation)
    else:
        flat = (equation, *operands)
        given, lists = flat[:len(flat) // 2 * 2:2], flat[1::2]
        terms = tuple(map(_of_list, lists))
        output = _of_list(flat[-1]) if len(flat) % 2 else None
    tensors = [tensor_arg("einsum", x, f"operands[{i}]") for i, x in enumerate(given)]
    if not tensors:
        raise ValueError("einsum: expected one tensor or more, got none")
    if any(x.dtype is not tensors[0].dtype for x in tensors):
        raise TypeError(f"einsum: expected one type, got {', '.join(str(x.dtype) for x in tensors)} "
                        f"(shapes {', '.join(str(x.shape) for x in tensors)}); use .to()")
    plan = _plan(terms, output, tuple([x.shape for x in tensors]))
    for i, own in enumerate(plan.own):
        if own is not None:
            tensors[i] = _apply(tensors[i], own)
    for i, j, product, orders, shapes, result in plan.steps:
        a, b = tensors[i], tensors[j]
        if orders[0] is not None:
            a = permute(a, orders[0])
        if orders[1] is not None:
            b = permute(b, orders[1])
        if shapes[0] is not None:
            a = reshape(a, shapes[0])
        if shapes[1] is not None:
            b = reshape(b, shapes[1])
        y = product(a, b)
        tensors.append(y if result is None else reshape(y, result))
    return tensors[-1] if plan.order is None else permute(tensors[-1], plan.order)


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over dims of a and of b: a number n (the last n of a, the first n of b), or two lists of dims.

    (..., k...), (k..., ...) -> the other dimensions of a, then those of b. One matmul. Types as in matmul. Raises ValueError
    where sizes differ, IndexError for dims.
    """
    x, y = tensor_arg("tensordot", a, "a"), tensor_arg("tensordot", b, "b")
    if x.dtype is not y.dtype:
        raise TypeError(f"tensordot: {x.dtype} and {y.dtype} do not mix (shapes {x.shape} and {y.shape}); use .to()")
    given = dims.tolist() if isinstance(dims, Tensor) else dims
    if isinstance(given, (tuple, list)):
        if len(given) != 2:
            raise ValueError(f"tensordot: dims must be a number or two lists, got {dims}")
        pair = [[dim_arg("tensordot", d, t.ndim) for d in (one if isinstance(one, (tuple, list)) else (one,))]
                for one, t in zip(given, (x, y))]
    else:
        count = int_arg("tensordot", given, "dims", 0)
        if count > min(x.ndim, y.ndim):
            raise ValueError(f"tensordot: {count} dims of shapes {x.shape} and {y.shape}")
        pair = [list(range(x.ndim - count, x.ndim)), list(range(count))]
    left, right = pair
    if len(left) != len(right) or len(set(left)) < len(left) or len(set(right)) < len(right):
        raise ValueError(f"tensordot: expected as many different dims of a as of b, got {left} and {right} "
                         f"(shapes {x.shape} and {y.shape})")
    for i, j in zip(left, right):       # as PyTorch: one of size 1 is stretched
        if x.shape[i] == 1 != y.shape[j]:
            y = total(y, j, True)
        elif y.shape[j] == 1 != x.shape[i]:
            x = total(x, i, True)
    if any(x.shape[i] != y.shape[j] for i, j in zip(left, right)):
        raise ValueError(f"tensordot: dims {left} and {right} of shapes {x.shape} and {y.shape} differ in size")
    rows, columns = [d for d in range(x.ndim) if d not in left], [d for d in range(y.ndim) if d not in right]
    shape = (*(x.shape[d] for d in rows), *(y.shape[d] for d in columns))
    k = math.prod(x.shape[d] for d in left)
    m, n = math.prod(x.shape[d] for d in rows), math.prod(y.shape[d] for d in columns)
    p = _as_matrix(x, (*rows, *left), m, k)
    q = _as_matrix(y, (*right, *columns), k, n)
    z = matmul(p, q)
    return z if z.shape == shape else reshape(z, shape)


def _as_matrix(x: Tensor, order: Labels, m: int, n: int) -> Tensor:
    if order != tuple(range(x.ndim)):
        x = permute(x, order)
    return x if x.ndim == 2 and x.shape[0] == m and x.shape[1] == n else reshape(x, (m, n))


__all__ = ["einsum", "tensordot"]
METHODS: list[str] = []
