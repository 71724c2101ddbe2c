import numpy as np

import pydl
from rows import Flat, In, Row, bad, sample

INTS = In((4,), 0, 4, dtype="int64", grad=False)


def each(function):
    return lambda *xs, **attrs: tuple(function(x, **attrs) for x in xs)


def windows(x, dimension, size, step):
    """NumPy's windows, as PyTorch places them: last."""
    seen = np.lib.stride_tricks.sliding_window_view(x, size, dimension)
    return np.moveaxis(np.moveaxis(seen, dimension, 0)[::step], 0, dimension)


def torch_method(name):
    return lambda x, *args, **attrs: getattr(x, name)(*args, **attrs)


def row(name, ref, samples, **options):
    return Row(name, ref, samples, ulp=0, ulp64=0, composed=True, **options)


def stacked(name, ref, samples):
    return row(name, ref, samples, refusals=[bad([], shapes=False), bad(Flat(None), error=TypeError), bad([Flat(1)], error=TypeError)])


ROWS = [
    row("ravel", np.ravel, [sample(s) for s in ((), (0,), (5,), (2, 3, 4), (2, 0))], refusals=[bad(Flat(1), error=TypeError)]),
    row("swapaxes", np.swapaxes, [sample((2, 3), 0, 1), sample((2, 3, 4), -1, 0), sample((5,), 0, -1)]),
    row("swapdims", np.swapaxes, [sample((2, 3), 0, 1), sample((2, 3, 4), -1, 0)]),
    row("moveaxis", np.moveaxis, [sample((2, 3, 4), 0, -1), sample((2, 3, 4), Flat((0, 1)), Flat((-1, 0))), sample((3,), 0, 0)]),
    row("adjoint", lambda x: np.swapaxes(x, -1, -2), [sample((2, 3)), sample((4, 1, 3)), sample((0, 2))], refusals=[bad((3,)), bad(())]),
    row("rot90", lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
        [sample((2, 3)), sample((2, 3), 2), sample((2, 3), -1), sample((2, 3), 4), sample((2, 3, 4), 1, Flat((-1, 0))), sample((0, 3))],
        refusals=[bad((3,)), bad((2, 3), 1, Flat((0,))), bad((2, 3), 1, Flat((0, -2))), bad((2, 3), 1.5, error=TypeError),
                  bad((2, 3), 1, Flat((0, 2)), error=IndexError)]),
    row("fliplr", np.fliplr, [sample((2, 3)), sample((2, 0)), sample((2, 3, 4))], refusals=[bad((3,))]),
    row("flipud", np.flipud, [sample((2, 3)), sample((5,)), sample((0,))], refusals=[bad(())]),
    row("unfold", windows, [sample((7,), 0, 3, 2), sample((3, 5), -1, 2, 1), sample((3, 5), 0, 3, 4), sample((2, 0), 0, 1, 1)],
        fn=lambda x, *args: x.unfold(*args), torch=torch_method("unfold"),
        refusals=[bad((3,), 0, 4, 1), bad((3,), 0, 2, 0, shapes=False), bad((3,), 1, 1, 1, error=IndexError),
                  bad((3,), 0, -1, 1, shapes=False), bad((3,), 0, 1.0, 1, error=TypeError)]),
    row("narrow_copy", lambda x, dim, start, n: np.take(x, range(start, start + n), dim), [sample((5, 3), 0, 1, 2), sample((4,), -1, 0, 0)]),
    row("atleast_1d", each(np.atleast_1d), [sample((), ()), sample((), (0,), (2, 3))], refusals=[bad(Flat(1), error=TypeError)]),
    row("atleast_2d", each(np.atleast_2d), [sample((), (4,)), sample((0,), (2, 3))]),
    row("atleast_3d", each(np.atleast_3d), [sample((), (4,), (2, 3), (1, 2, 3)), sample((0,), ())]),
    row("broadcast_tensors", lambda *xs: tuple(np.broadcast_arrays(*xs)), [sample((3, 1), (4,), ()), sample((0,), (1,))],
        refusals=[bad((2, 3), (4,))]),
    stacked("hstack", np.hstack, [sample([(2,), (), (3,)]), sample([(2, 3), (2, 1)]), sample([(2, 0), (2, 1)])]),
    stacked("vstack", np.vstack, [sample([(3,), (2, 3)]), sample([(), ()])]),
    stacked("row_stack", np.vstack, [sample([(3,), (2, 3)])]),
    stacked("dstack", np.dstack, [sample([(3,), (1, 3)]), sample([(2, 3, 1), (2, 3, 4)])]),
    stacked("column_stack", np.column_stack, [sample([(3,), (3, 2)]), sample([(3,), (3,), (3, 0)])]),
    row("split_with_sizes", lambda x, sizes, dim=0: np.split(x, np.cumsum(sizes)[:-1], dim),
        [sample((5, 3), Flat((1, 4))), sample((2, 6), Flat((0, 2, 4)), dim=-1)], refusals=[bad((5,), 2, error=TypeError)]),
    row("tensor_split", np.array_split, [sample((7, 2), 3), sample((7,), Flat((2, 5))), sample((2, 5), Flat((1,)), -1), sample((2, 0), 2, 1)],
        fn=lambda x, where, dim=0: pydl.tensor_split(x, where, dim),
        refusals=[bad((3,), 0), bad((), 1), bad((3,), 1.5, error=TypeError), bad((3,), 2, 1, error=IndexError)]),
    row("hsplit", np.hsplit, [sample((6,), 3), sample((2, 6), Flat((2, 3)))], refusals=[bad((2, 5), 2), bad((), 1)]),
    row("vsplit", np.vsplit, [sample((6, 1), 3), sample((4, 2), Flat((1,)))], refusals=[bad((4,), 2)]),
    row("dsplit", np.dsplit, [sample((1, 2, 4), 2), sample((1, 2, 4), Flat((1,)))], refusals=[bad((2, 4), 2)]),
    row("repeat_interleave", lambda x, r, dim=None: np.repeat(x, r, dim),
        [sample((3, 4), 2), sample((3, 4), 3, dim=-1), sample((3, 4), INTS, dim=1), sample((2, 3), 0), sample((), 2), sample((0, 2), 2, dim=1)],
        refusals=[bad((3,), -1, shapes=False), bad((3,), INTS), bad((4,), In((4,), dtype="float32"), error=TypeError),
                  bad((3,), 1, dim=1, error=IndexError), bad((3,), 1, output_size=4), bad((3, 2))]),
    row("repeat_interleave:counts", lambda r: np.repeat(np.arange(r.size), r), [sample(INTS)], out="int64", diff=(),
        fn=pydl.repeat_interleave, dtypes=["int64"]),
    row("meshgrid", lambda *xs, indexing="ij": tuple(np.meshgrid(*xs, indexing=indexing)),
        [sample((3,), (4,)), sample((3,), (4,), (2,), indexing="xy"), sample((0,), (2,)), sample((5,), indexing="xy")],
        refusals=[bad((2, 3)), bad((2,), indexing="ab", shapes=False), bad(shapes=False),
                  bad(In((3,), dtype="float32"), In((3,), dtype="float64"), error=TypeError)]),
    row("cartesian_prod", lambda *xs: np.stack([g.ravel() for g in np.meshgrid(*xs, indexing="ij")], 1),
        [sample((3,), (4,)), sample((2,), (0,)), sample((2,), (1,), (3,))], refusals=[bad((2, 3)), bad(())]),
]
