"""Rows of pydl.linalg: pydl/ops/solvers.py, factors.py, least_squares.py, matrix_norms.py and matrix_functions.py."""

import numpy as np

import pydl
from pydl import linalg
from rows import Flat, In, Row, bad, sample

SQUARE = [sample(s) for s in ((3, 3), (1, 1), (2, 4, 4), (2, 0, 3, 3), (0, 0), (5, 5))]
FULL = [sample(s) for s in ((3, 3), (5, 3), (3, 4), (2, 4, 2), (0, 3, 2))]
NOT_SQUARE = [bad((2, 3)), bad((3,)), bad(In((2, 2), dtype="int64"), error=TypeError), bad(Flat("x"), error=TypeError)]
NO_MATRIX = [bad((3,)), bad(In((2, 2), dtype="int64"), error=TypeError), bad(Flat("x"), error=TypeError)]


def floats(x):
    return hasattr(x, "ndim") and x.ndim > 1 and "float" in str(x.dtype)


def apart(x):
    """x, small, plus 1, 2, 3 ... on the diagonal: regular, with eigenvalues and singular values that lie apart."""
    if not floats(x):
        return x
    more = np.zeros(tuple(x.shape[-2:]))
    np.fill_diagonal(more, np.arange(1, 1 + min(more.shape)))
    if isinstance(x, np.ndarray):
        return x + more
    library = __import__(type(x).__module__.split(".")[0])
    return x + library.from_numpy(more).to(x.dtype)


def symmetric(x):
    """apart() of the symmetric matrix with x's lower triangle; x is used once, and so its gradients add up to the last bit."""
    if not floats(x) or x.shape[-1] != x.shape[-2]:
        return x
    i, j = np.indices(tuple(x.shape[-2:]))
    return apart(x[..., np.maximum(i, j), np.minimum(i, j)])


def without_signs(ys):
    return tuple(y if y.ndim < max(one.ndim for one in ys) else y * y for y in ys)


def six(x):
    return apart(x.reshape(6, 6)).reshape(*x.shape) if floats(x) and x.shape in ((2, 3, 6), (6, 2, 3), (6, 6)) else x


def plain(x):
    return x


def row(name, ref, samples, prepare=apart, variant="", invariant=False, **options):
    """linalg.<name>(prepare(A), ...) against ref; invariant: the squares of vectors, whose signs LAPACK's makers choose."""
    def of(function):
        last = without_signs if invariant and function is not ref else lambda y: y
        return lambda a, *rest, **attrs: last(function(prepare(a), *rest, **attrs))

    options.setdefault("torch", of(lambda *args, **attrs: getattr(__import__("torch").linalg, name)(*args, **attrs)))
    options.setdefault("ulp", 4)
    options.setdefault("ulp64", 400)
    return Row(name + variant, of(ref), samples, fn=of(getattr(linalg, name)), by="max", domain=(-0.3, 0.3), **{"composed": True, **options})


def solve(a, b, left=True):
    if not left:
        return np.swapaxes(solve(np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2)), -1, -2)
    vector = b.ndim == 1 or b.shape == a.shape[:-1]
    b = b[..., None] if vector else b
    x = np.linalg.inv(a) @ b
    return x[..., 0] if vector else x


def triangular(a, b, *, upper, left=True, unitriangular=False):
    t = np.triu(a) if upper else np.tril(a)
    if unitriangular:
        t = t - np.eye(t.shape[-1]) * t + np.eye(t.shape[-1])
    return solve(t, b, left)


def exponential(a):
    y = term = np.eye(a.shape[-1]) + 0 * a
    for k in range(1, 60):
        term = term @ a / k
        y = y + term
    return y


def least(a, b):
    vector = b.ndim == 1
    x = np.linalg.pinv(a) @ (b[..., None] if vector else b)
    return x[..., 0] if vector else x


def norm_of(a, ord="fro", dim=(-2, -1), keepdim=False):
    return np.linalg.norm(a, ord, dim, keepdim)


def householder(a, tau):
    m, n = a.shape[-2:]
    q = np.eye(m) + np.zeros((*a.shape[:-2], m, m))
    for i in range(tau.shape[-1]):
        v = np.tril(a, -1)[..., i] + np.eye(m)[i]
        q = q @ (np.eye(m) - tau[..., i, None, None] * v[..., :, None] * v[..., None, :])
    return q[..., :n]


def scipy_lu(x):
    import scipy.linalg

    k = min(x.shape[-2:])
    if not x.size:
        return np.eye(x.shape[-2]) + np.zeros((*x.shape[:-2], 1, 1)), x[..., :k] * 0, x[..., :k, :]
    parts = [scipy.linalg.lu(m) for m in x.reshape(-1, *x.shape[-2:])]
    return tuple(np.stack(each).reshape(*x.shape[:-2], *each[0].shape) for each in zip(*parts))


def packed(l, u):
    m, n = l.shape[-2], u.shape[-1]
    y = np.zeros((m, n))
    y[:, :l.shape[1]] += np.tril(l, -1)
    y[:u.shape[0]] += u
    return y


def swaps(p, k):
    """The rows that elimination swapped, from 1; the permutation of a small matrix that is turned upside down."""
    order, found = list(np.argmax(p, 0)), []
    rows = list(range(len(p)))
    for i in range(k):
        j = rows.index(order[i])
        found.append(j + 1)
        rows[i], rows[j] = rows[j], rows[i]
    return np.array(found, np.int32)


def qr(a, mode="reduced"):
    return tuple(np.linalg.qr(a, mode))


MORE = [sample((3, 3), (3, 2)), sample((2, 3, 3), (2, 3, 2)), sample((3, 3), (3,)), sample((2, 3, 3), (2, 3)), sample((3, 3), (2, 3, 2)),
        sample((2, 3, 3), (3, 2)), sample((2, 1, 3, 3), (4, 3, 1)), sample((3, 3), (3, 0)), sample((0, 0), (0, 2)),
        sample((3, 3), (2, 3), left=False)]
ROWS = [
    row("det", np.linalg.det, SQUARE, refusals=NOT_SQUARE),
    row("slogdet", lambda x: tuple(np.linalg.slogdet(x)), SQUARE, refusals=NOT_SQUARE),
    Row("logdet", lambda x: np.log(np.linalg.det(apart(x))), SQUARE, fn=lambda x: pydl.logdet(apart(x)), ulp=4, ulp64=400, by="max",
        domain=(-0.3, 0.3), composed=True, refusals=NOT_SQUARE, torch=False),
    row("inv", np.linalg.inv, SQUARE, refusals=NOT_SQUARE),
    row("inv_ex", lambda x: (np.linalg.inv(x), np.zeros(x.shape[:-2], np.int32)), SQUARE[:3], torch=False),
    row("solve", solve, MORE, refusals=[bad((3, 3), (2, 2)), bad((2, 3), (3,), shapes=False), bad((2, 2, 2), (3, 2, 2)), bad((3, 3), (2, 2), left=False),
                                        bad(In((2, 2), dtype="float32"), In((2,), dtype="float64"), error=TypeError)]),
    row("solve_ex", lambda a, b: (solve(a, b), np.zeros(a.shape[:-2], np.int32)), [sample((3, 3), (3, 2))], torch=False),
    row("solve_triangular", triangular,
        [sample(*s, upper=u) for s in (((3, 3), (3, 2)), ((2, 3, 3), (2, 3, 1)), ((3, 3), (2, 3, 2)), ((0, 0), (0, 2))) for u in (True, False)]
        + [sample((3, 3), (2, 3), upper=u, left=False) for u in (True, False)]
        + [sample((3, 3), (3, 2), upper=u, unitriangular=True) for u in (True, False)],
        refusals=[bad((3, 3), (2, 2), upper=True), bad((3, 3), (3,), upper=True, shapes=False), bad((2, 3), (3, 1), upper=False, shapes=False)]),
    Row("cholesky_solve", lambda b, x, upper=False: solve((u := np.triu(apart(x))).T @ u if upper else (u := np.tril(apart(x))) @ u.T, b),
        [sample((3, 2), (3, 3)), sample((3, 2), (3, 3), upper=True)], fn=lambda b, x, upper=False: pydl.cholesky_solve(b, apart(x), upper),
        ulp=8, ulp64=400, by="max", domain=(-0.3, 0.3), composed=True, torch=False, refusals=[bad((2, 2), (3, 3)), bad((3,), (3, 3), shapes=False)]),
    Row("cholesky_inverse", lambda x: np.linalg.inv(np.tril(apart(x)) @ np.swapaxes(np.tril(apart(x)), -1, -2)), [sample((3, 3)), sample((2, 2, 2))],
        fn=lambda x: pydl.cholesky_inverse(apart(x)), ulp=8, ulp64=400, by="max", domain=(-0.3, 0.3), composed=True, torch=False,
        refusals=NOT_SQUARE),
    row("tensorinv", np.linalg.tensorinv, [sample((2, 3, 6)), sample((6, 2, 3), 1)], refusals=[bad((2, 3, 5)), bad((2, 2), 0, shapes=False)],
        prepare=six),
    row("tensorsolve", lambda a, b: np.linalg.tensorsolve(a, b), [sample((2, 3, 6), (2, 3)), sample((6, 6), (6,))], refusals=[bad((2, 3, 5), (2, 3))],
        prepare=six),
    row("cholesky", np.linalg.cholesky, [sample((3, 3)), sample((1, 1)), sample((2, 4, 4)), sample((0, 3, 3)), sample((0, 0))], symmetric,
        refusals=NOT_SQUARE),
    row("cholesky", lambda x, upper: np.swapaxes(np.linalg.cholesky(x), -1, -2), [sample((3, 3), upper=True)], symmetric, ":upper"),
    row("cholesky_ex", lambda x: (np.linalg.cholesky(x), np.zeros(x.shape[:-2], np.int32)), [sample((3, 3)), sample((2, 4, 4))], symmetric,
        torch=False),
    row("qr", qr, [*FULL, sample((3, 3), mode="complete"), sample((2, 3), mode="complete")], refusals=[*NO_MATRIX, bad((2, 2), "x", shapes=False)]),
    row("qr", qr, [sample((4, 3), mode="complete")], variant=":complete", diff=()),
    row("qr", lambda x, mode: (np.zeros(0), np.linalg.qr(x, mode)), [sample((4, 3), mode="r"), sample((2, 3, 2), mode="r")], variant=":r", diff=()),
    row("svd", lambda x, full_matrices=True: tuple(np.linalg.svd(x, full_matrices)),
        [sample(*one.args, full_matrices=False) for one in FULL] + [sample((3, 3)), sample((2, 2, 2))],
        refusals=NO_MATRIX, torch=False),
    row("svd", lambda x: tuple(np.linalg.svd(x)), [sample((4, 2)), sample((2, 4))], variant=":full", diff=(), torch=False),
    row("svd", lambda x, full_matrices: without_signs(np.linalg.svd(x, False)),
        [sample(s, full_matrices=False) for s in ((3, 3), (4, 2), (2, 2, 4))],
        variant=":signless", invariant=True),
    row("svdvals", lambda x: np.linalg.svd(x, compute_uv=False), FULL, refusals=NO_MATRIX),
    row("eigh", lambda x: tuple(np.linalg.eigh(x)), SQUARE, symmetric, refusals=[*NOT_SQUARE, bad((2, 2), "X", shapes=False)],
        torch=False),
    row("eigh", lambda x: without_signs(np.linalg.eigh(x)), SQUARE[:3], symmetric, ":signless", invariant=True),
    row("eigvalsh", np.linalg.eigvalsh, SQUARE, symmetric, refusals=NOT_SQUARE),
    row("householder_product", householder, [sample((4, 3), (3,)), sample((2, 3, 3), (2, 2))], plain,
        refusals=[bad((2, 3), (2,)), bad((3, 2), (3,)), bad((3, 2), (2, 2))]),
    row("lu", lambda x: tuple(f(*scipy_lu(x)) for f in (lambda p, l, u: p, lambda p, l, u: l, lambda p, l, u: u)),
        [sample(s) for s in ((3, 3), (4, 2), (2, 5), (2, 3, 3), (0, 2, 2), (3, 0))], refusals=NO_MATRIX),
    row("lu_factor", lambda x: (lambda p, l, u: (packed(l, u), swaps(p, l.shape[1])))(*scipy_lu(x)), [sample((3, 3)), sample((4, 2)), sample((2, 4))],
        lambda x: apart(x)[..., ::-1, :] if isinstance(x, np.ndarray) else apart(x).flip(-2) if floats(x) else x, refusals=NO_MATRIX, torch=False),
    Row("lu_solve", lambda a, b, left=True, adjoint=False: solve(np.swapaxes(apart(a), -1, -2) if adjoint else apart(a), b, left),
        [sample(*s, **k) for k in ({}, {"adjoint": True}) for s in (((3, 3), (3, 2)), ((2, 3, 3), (3, 1)), ((3, 3), (2, 3, 2)))]
        + [sample((3, 3), (2, 3), left=False), sample((3, 3), (2, 3), left=False, adjoint=True)],
        fn=lambda a, b, **attrs: linalg.lu_solve(*linalg.lu_factor(apart(a)), b, **attrs), ulp=8, ulp64=400, by="max", domain=(-0.3, 0.3),
        composed=True, torch=lambda a, b, **attrs: __import__("torch").linalg.lu_solve(*__import__("torch").linalg.lu_factor(apart(a)), b, **attrs),
        refusals=[bad((3, 3), (2, 2)), bad((3, 3), (2, 2), left=False), bad((3, 3), (3,), shapes=False)]),
    row("pinv", np.linalg.pinv, FULL, refusals=NO_MATRIX),
    row("pinv", lambda x, hermitian: np.linalg.inv(x), [sample((3, 3), hermitian=True)], symmetric, ":hermitian"),
    Row("lstsq", lambda a, b, **attrs: least(apart(a), b), [sample((5, 3), (5, 2)), sample((3, 4), (3, 2)), sample((5, 3), (5,)),
                                                           sample((2, 4, 3), (2, 4, 1))],
        fn=lambda a, b, **attrs: linalg.lstsq(apart(a), b, **attrs).solution, ulp=8, ulp64=400, by="max", domain=(-0.3, 0.3), composed=True,
        torch=lambda a, b: __import__("torch").linalg.lstsq(apart(a), b).solution,
        refusals=[bad((3, 2), (2, 2)), bad((2, 2), (2,), driver="x", shapes=False)]),
    Row("lstsq:residuals", lambda a, b: ((apart(a) @ least(apart(a), b) - b) ** 2).sum(-2), [sample((5, 3), (5, 2)), sample((2, 4, 2), (2, 4, 1))],
        fn=lambda a, b: linalg.lstsq(apart(a), b).residuals, ulp=64, ulp64=4000, by="max", domain=(-0.3, 0.3), composed=True, torch=False),
    row("matrix_rank", lambda x: np.linalg.matrix_rank(x), FULL, diff=(), out="int64", refusals=NO_MATRIX),
    row("cond", lambda x, p=None: np.linalg.cond(x, p), [sample((3, 3)), sample((4, 2)), *(sample((3, 3), p) for p in (2, -2, 1, "fro", "nuc", np.inf))],
        torch=False, refusals=[bad((3,)), bad((2, 3), 1)]),
    row("matrix_norm", norm_of,
        [sample((3, 4), p) for p in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)]
        + [sample((2, 3, 4), p, dim=d, keepdim=k) for p in ("fro", "nuc", 2, 1) for d in ((0, 2), (2, 0), (-1, 0)) for k in (False, True)],
        refusals=[bad((3,)), bad((2, 2), 3), bad((2, 2), "x"), bad((2, 2), 2, dim=(0, 0)), bad((2, 2), 2, dim=(0, 2), error=IndexError),
                  bad(In((2, 2), dtype="int64"), error=TypeError)]),
    row("vector_norm", lambda x, ord=2, dim=None, keepdim=False: np.linalg.norm(x.ravel() if dim is None else x, ord, 0 if dim is None else dim, keepdim),
        [sample((3, 4), p) for p in (2, 1, 3, np.inf, -np.inf, 0.5)] + [sample((3, 4), p, dim=1, keepdim=True) for p in (2, 1, np.inf)]
        + [sample((0, 3), np.inf, dim=1), sample((5,))], away=(0,), gap=0.02,
        refusals=[bad((0,), np.inf), bad((2, 0), -1, dim=1), bad((2,), "x"), bad((2,), 2, dim=1, error=IndexError),
                  bad(In((3,), dtype="int64"), error=TypeError)]),
    row("norm", lambda x, ord=None, dim=None, keepdim=False: np.linalg.norm(x, ord, dim, keepdim),
        [sample((3, 4)), sample((3, 4), "nuc"), sample((3, 4), 1), sample((5,), 1), sample((5,), np.inf), sample((2, 3, 4), 2, dim=(0, 1)),
         sample((2, 3, 4), 3, dim=1), sample((2, 3, 4), None, dim=(1, 2))], variant=":linalg", composed=False,
        refusals=[bad((2, 2, 2), 2), bad((2,), "fro"), bad((2, 2), 3), bad((), 2)]),
    row("matrix_exp", exponential, [sample((3, 3)), sample((2, 4, 4)), sample((0, 0)), sample((2, 0, 2, 2))], refusals=NOT_SQUARE),
    row("matrix_power", np.linalg.matrix_power, [sample((3, 3), n) for n in (1, 2, 3, 7, -1, -3)] + [sample((2, 2, 2), 5)],
        refusals=[bad((2, 3), 2), bad((3,), 2), bad((2, 2), 1.5, error=TypeError)], torch=False),
    row("matrix_power", np.linalg.matrix_power, [sample((3, 3), 0), sample((2, 2, 2), 0)], plain, ":zero", diff=()),
    row("vander", lambda x, N=None: x[..., None] ** np.arange(x.shape[-1] if N is None else N), [sample((3,)), sample((2, 3), N=2), sample((2, 0), N=2)],
        plain, ":linalg", refusals=[bad(()), bad((3,), N=0, shapes=False)]),
    row("diagonal", lambda x, offset=0: np.diagonal(x, offset, -2, -1), [sample((3, 4)), sample((2, 3, 3), offset=1)], plain, ":linalg", composed=False),
    Row("inverse", lambda x: np.linalg.inv(apart(x)), SQUARE[:3], fn=lambda x: pydl.inverse(apart(x)), ulp=4, ulp64=400, by="max",
        domain=(-0.3, 0.3), composed=True, torch=False),
    Row("pinverse", lambda x: np.linalg.pinv(apart(x)), FULL, fn=lambda x: pydl.pinverse(apart(x)), ulp=4, ulp64=400, by="max",
        domain=(-0.3, 0.3), composed=True, torch=False),
    Row("svd:legacy", lambda x: tuple(np.swapaxes(m, -1, -2) if i == 2 else m for i, m in enumerate(np.linalg.svd(apart(x), False))), FULL,
        fn=lambda x: pydl.svd(apart(x)), ulp=4, ulp64=400, by="max", domain=(-0.3, 0.3), composed=True, torch=False),
    Row("qr:legacy", lambda x: tuple(np.linalg.qr(apart(x))), FULL, fn=lambda x: pydl.qr(apart(x)), ulp=4, ulp64=400, by="max",
        domain=(-0.3, 0.3), composed=True, torch=False),
]
