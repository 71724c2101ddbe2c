"""pydl.linalg and the products: what the rows of the table do not say: errors, singular matrices, integers, types of results."""
from __future__ import annotations

import numpy as np
import pytest

import pydl
from calls import leaf, numpy, tensor
from pydl import linalg
from pydl.testing import gradcheck, gradgradcheck

EYE = pydl.eye(2)
SINGULAR = tensor(np.array([[1.0, 2.0], [2.0, 4.0]]))
BATCH = pydl.stack([EYE.double(), SINGULAR, EYE.double()])


# ---- What cannot be done

@pytest.mark.parametrize(("call", "said"), [
    (lambda: linalg.inv(SINGULAR), r"^inv: the matrix is singular$"),
    (lambda: linalg.inv(BATCH), r"^inv: element 1 of the batch: the matrix is singular"),
    (lambda: linalg.inv(BATCH.reshape(3, 1, 2, 2)), r"^inv: element \(1, 0\) of the batch"),
    (lambda: linalg.inv_ex(BATCH, check_errors=True), r"^inv_ex: element 1 of the batch"),
    (lambda: linalg.solve(BATCH, pydl.ones(2).double()), r"^solve: element 1 of the batch"),
    (lambda: linalg.solve(SINGULAR, pydl.ones(4, 2).double(), left=False), r"^solve: the matrix is singular"),
    (lambda: linalg.tensorinv(SINGULAR, 1), r"^tensorinv: the matrix is singular"),
    (lambda: linalg.solve_triangular(pydl.zeros(2, 2), EYE, upper=True), r"^solve_triangular: the diagonal has a 0"),
    (lambda: linalg.matrix_power(SINGULAR, -1), "singular"),
    (lambda: linalg.cholesky(-BATCH[:1]), r"^cholesky: element 0 of the batch: the matrix is not positive definite \(its leading minor of order 1"),
    (lambda: linalg.cholesky(SINGULAR - 1e-9 * EYE), r"^cholesky: the matrix is not positive definite \(its leading minor of order 2"),
    (lambda: linalg.cholesky(pydl.full((3, 3), float("nan"))), "^cholesky: the matrix is not positive definite"),
    (lambda: linalg.svd(BATCH * float("nan")), "^svd: element 0 of the batch: the matrix has NaN or infinite"),
    (lambda: linalg.eigh(SINGULAR * float("inf")), "^eigh: the matrix has NaN or infinite"),
    (lambda: linalg.pinv(SINGULAR * float("nan")), "^pinv: the matrix has NaN"),
    (lambda: linalg.lstsq(SINGULAR * float("nan"), EYE.double()), "^lstsq: the matrix has NaN"),
], ids=lambda x: None if callable(x) else x)
def test_errors_name_the_matrix(call, said) -> None:
    with pytest.raises(linalg.LinAlgError, match=said):
        call()
    assert issubclass(linalg.LinAlgError, RuntimeError)


def test_no_complex_types() -> None:
    assert not hasattr(linalg, "eig") and not hasattr(linalg, "eigvals") and not hasattr(linalg, "nothing")
    with pytest.raises(AttributeError, match="complex"):
        linalg.eig  # noqa: B018


@pytest.mark.parametrize("upper", [False, True])
def test_ex_forms_say_which_matrix_failed(upper: bool) -> None:
    inverse, info = linalg.inv_ex(BATCH)
    assert info.tolist() == [0, 2, 0] and info.dtype is pydl.int32
    assert numpy(inverse.isnan()).all((1, 2)).tolist() == [False, True, False]
    x, info = linalg.solve_ex(BATCH, EYE.double())
    assert info.tolist() == [0, 2, 0] and np.isfinite(numpy(x[2])).all()
    good = pydl.tensor([[4.0, 2], [2, 3]])
    L, info = linalg.cholesky_ex(pydl.stack([good, -EYE, good - 2 * EYE]), upper=upper)
    assert info.tolist() == [0, 1, 2]
    np.testing.assert_allclose(numpy((L.mT @ L if upper else L @ L.mT)[0]), numpy(good), rtol=1e-6)


def test_nan_goes_through_where_lapack_lets_it() -> None:
    nan = pydl.full((2, 2), float("nan"))
    for y in (linalg.inv(nan), linalg.solve(nan, EYE), linalg.det(nan), linalg.matrix_exp(nan), linalg.qr(nan).R[0], linalg.vector_norm(nan)):
        assert numpy(y.isnan()).all()
    assert numpy(linalg.matrix_exp(pydl.stack([nan, EYE]))[1]).tolist() == pytest.approx(np.exp(1) * np.eye(2), rel=1e-6)


def test_singular_values_of_functions() -> None:
    assert linalg.det(SINGULAR).item() == 0
    sign, size = linalg.slogdet(SINGULAR)
    assert (sign.item(), size.item()) == (0, -np.inf)
    assert pydl.logdet(EYE[[1, 0]]).isnan().item()
    assert linalg.cond(SINGULAR, 1).item() == np.inf and linalg.cond(BATCH, "fro").tolist() == [2.0000000000000004, np.inf, 2.0000000000000004]
    assert linalg.matrix_rank(BATCH).tolist() == [2, 1, 2]
    assert linalg.matrix_rank(BATCH, atol=6.0).tolist() == [0, 0, 0] and linalg.matrix_rank(BATCH, rtol=tensor(np.array([0.5, 0.5, 2]))).tolist() == [2, 1, 0]
    np.testing.assert_allclose(numpy(linalg.pinv(SINGULAR)), np.linalg.pinv(numpy(SINGULAR)), rtol=1e-12)


def test_no_elements() -> None:
    nothing, none = pydl.ones(0, 0), pydl.ones(0, 2, 2)
    assert linalg.det(nothing).item() == 1 and linalg.slogdet(nothing).sign.item() == 1
    assert linalg.matrix_rank(nothing).item() == 0 and linalg.cond(nothing).item() == 0
    for name in ("inv", "cholesky", "matrix_exp", "pinv"):
        assert getattr(linalg, name)(none).shape == (0, 2, 2) and getattr(linalg, name)(nothing).shape == (0, 0)
    assert [x.shape for x in linalg.svd(pydl.ones(0, 2))] == [(0, 0), (0,), (2, 2)]
    assert [x.shape for x in linalg.qr(pydl.ones(3, 0), "complete")] == [(3, 3), (3, 0)]
    assert all(linalg.matrix_norm(pydl.ones(2, 0), p).item() == 0 for p in ("fro", "nuc", 1, 2, -2, np.inf))


def test_elimination() -> None:
    import scipy.linalg

    a = np.random.default_rng(0).normal(size=(2, 70, 75))
    for x in (a, a[:, :, :60], a[:, :, :70]):
        p, l, u = linalg.lu(tensor(x))
        np.testing.assert_allclose(numpy(p @ l @ u), x, atol=1e-12)
        want = scipy.linalg.lu(x[1])
        for got, right in zip((p, l, u), want):
            np.testing.assert_allclose(numpy(got[1]), right, atol=1e-11)
        packed, pivots = linalg.lu_factor(tensor(x))
        for got, right in zip(pydl.lu_unpack(packed, pivots), (p, l, u)):
            np.testing.assert_array_equal(numpy(got), numpy(right))
    with pytest.raises(linalg.LinAlgError, match="^lu_factor: element 1 of the batch: pivot 2 is 0"):
        linalg.lu_factor(BATCH)
    assert linalg.lu_factor_ex(BATCH).info.tolist() == [0, 2, 0] and numpy(linalg.lu(pydl.zeros(2, 2)).U).tolist() == [[0, 0], [0, 0]]
    for call, error in ((lambda: linalg.lu(EYE, pivot=False), ValueError), (lambda: linalg.lu_solve(EYE, pydl.tensor([1, 3]).int(), EYE), ValueError),
                        (lambda: linalg.lu_solve(EYE, pydl.tensor([1, 2]), EYE), TypeError), (lambda: pydl.lu_unpack(EYE, pydl.tensor([1]).int()), ValueError)):
        with pytest.raises(error, match="^lu"):
            call()


# ---- Gradients where there could be none

@pytest.mark.parametrize("values", [
    [[1.0, 2], [2, 4]], [[1.0, 0, 0], [0, 0, 0], [0, 0, 2]], [[0.0, 0, 0], [0, 0, 0], [0, 0, 2]], [[1.0, 2, 3], [4, 5, 6], [7, 8, 9]],
], ids=["rank 1 of 2", "rank 2 of 3", "rank 1 of 3", "rank 2 up to rounding"])
def test_gradient_of_det_of_a_singular_matrix_is_that_of_the_cofactors(values) -> None:
    a = np.array(values)
    x = tensor(a).requires_grad_(True)
    n = len(a)
    cofactors = [[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(n)] for i in range(n)]
    (gradient,) = pydl.autograd.grad(linalg.det(x), x)
    np.testing.assert_allclose(numpy(gradient), cofactors, atol=1e-12)
    (gradient,) = pydl.autograd.grad(linalg.det(pydl.stack([x, 2 * pydl.eye(n).double()])).sum(), x)
    np.testing.assert_allclose(numpy(gradient), cofactors, atol=1e-12)


def test_second_derivative_of_det_of_a_singular_matrix() -> None:
    x = tensor(np.array([[1.0, 2, 3], [4, 5, 6], [5, 7, 9]])).requires_grad_(True)
    assert gradcheck(linalg.det, (x,)) and gradgradcheck(linalg.det, (x,))


def test_gradients_that_do_not_exist() -> None:
    x = pydl.rand(4, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="qr: there is no derivative with mode='complete'"):
        linalg.qr(x, "complete").R.sum().backward()
    with pytest.raises(RuntimeError, match="qr: there is no derivative with mode='r'"):
        linalg.qr(x, "r").R.sum().backward()
    y = SINGULAR.detach().requires_grad_(True)
    with pytest.raises(linalg.LinAlgError, match="slogdet: the matrix is singular"):
        linalg.slogdet(y).logabsdet.backward()


def test_gradient_of_cdist_at_distance_zero_is_zero() -> None:
    for p in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, np.inf):
        for mode in ("donot_use_mm_for_euclid_dist", "use_mm_for_euclid_dist"):
            x = pydl.ones(3, 2, dtype=pydl.float64, requires_grad=True)
            (first,) = pydl.autograd.grad(pydl.cdist(x, x.detach(), p, mode).sum(), x, create_graph=True)
            assert numpy(first).tolist() == [[0, 0]] * 3
            if first.requires_grad:
                (second,) = pydl.autograd.grad(first.sum(), x, allow_unused=True)
                assert second is None or np.isfinite(numpy(second)).all()


def test_cdist_of_nan() -> None:
    x = tensor(np.array([[np.nan, 1.0], [0, 0]]))
    for p in (1.0, 2.0, 3.0, np.inf):
        y = numpy(pydl.cdist(x, x[1:], p))
        assert np.isnan(y[0, 0]) and y[1, 0] == 0
    with pytest.raises(TypeError, match="cdist: p must be a number"):
        pydl.cdist(x, x, None)


# ---- Products of integers

@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("shape", [(3, 4, 5), (70, 60, 50)])
def test_products_of_integers_are_exact_and_wrap_around(dtype, shape) -> None:
    m, k, n = shape
    rng = np.random.default_rng(0)
    limits = np.iinfo(dtype)
    for low, high in ((0, 100), (limits.min, limits.max)):
        a, b = rng.integers(low, high, (m, k)).astype(dtype), rng.integers(low, high, (k, n)).astype(dtype)
        want = np.matmul(a, b)
        np.testing.assert_array_equal(numpy(tensor(a) @ tensor(b)), want)
        np.testing.assert_array_equal(numpy(tensor(a.T.copy()).T @ tensor(b)), want)
        np.testing.assert_array_equal(numpy(pydl.einsum("ij,jk->ki", tensor(a), tensor(b))), want.T)
        np.testing.assert_array_equal(numpy(pydl.bmm(tensor(a[None]), tensor(b[None]))[0]), want)
        np.testing.assert_array_equal(numpy(pydl.mv(tensor(a), tensor(b[:, 0]))), want[:, 0])
        np.testing.assert_array_equal(numpy(pydl.addmm(tensor(want), tensor(a), tensor(b), beta=2, alpha=3)), 2 * want + 3 * want)
    assert linalg.matrix_power(tensor(np.array([[1, 1], [1, 0]], np.int64)), 40).tolist() == [[165580141, 102334155], [102334155, 63245986]]


def test_beta_zero_does_not_read_the_input_and_integers_want_integers() -> None:
    nan, a, x = pydl.full((2, 2), float("nan")), pydl.ones(2, 2), pydl.ones(2)
    for y in (pydl.addmm(nan, a, a, beta=0), pydl.addmv(nan[0], a, x, beta=0), pydl.addr(nan, x, x, beta=0), pydl.addbmm(nan, a[None], a[None], beta=0)):
        assert not numpy(y.isnan()).any()
    whole = pydl.ones(2, 2).long()
    for call, name in ((lambda: pydl.addmm(whole, whole, whole, beta=0.5), "addmm"), (lambda: pydl.addmv(whole[0], whole, whole[0], alpha=0.5), "addmv")):
        with pytest.raises(TypeError, match=f"^{name}: beta and alpha must be integers"):
            call()


def test_sums_with_products_in_place() -> None:
    c, a, v = pydl.ones(2, 2), pydl.ones(2, 2), pydl.ones(2)
    assert c.addmm_(a, a, beta=2).addr_(v, v).addbmm_(a[None], a[None]) is c and c.tolist() == [[7, 7], [7, 7]]
    assert v.addmv_(a, pydl.ones(2)).tolist() == [3, 3] and c[None].baddbmm_(a[None], a[None]).tolist() == [[[9, 9], [9, 9]]]


# ---- Results and names

def test_results_have_names() -> None:
    x = pydl.rand(3, 3) + 2 * pydl.eye(3)
    assert linalg.svd(x)._fields == ("U", "S", "Vh") and pydl.svd(x)._fields == ("U", "S", "V") and x.svd(compute_uv=False).U.sum().item() == 0
    assert linalg.qr(x)._fields == ("Q", "R") and linalg.eigh(x)._fields == ("eigenvalues", "eigenvectors")
    assert linalg.slogdet(x)._fields == ("sign", "logabsdet") and linalg.inv_ex(x)._fields == ("inverse", "info")
    assert linalg.lstsq(x, x)._fields == ("solution", "residuals", "rank", "singular_values")
    assert linalg.cholesky_ex(x @ x.mT)._fields == ("L", "info") and linalg.solve_ex(x, x)._fields == ("result", "info")


def test_least_squares_says_what_it_found() -> None:
    a, b = pydl.rand(5, 3).double(), pydl.rand(5, 2).double()
    x, residuals, rank, sizes = linalg.lstsq(a, b, driver="gelsd")
    want = np.linalg.lstsq(numpy(a), numpy(b), rcond=None)
    for got, value in zip((x, residuals, rank, sizes), want):
        np.testing.assert_allclose(numpy(got), value, rtol=1e-9)
    assert linalg.lstsq(a, b).singular_values.numel() == 0 and linalg.lstsq(a.mT, b[:3]).residuals.numel() == 0
    low = linalg.lstsq(pydl.ones(3, 2), pydl.ones(3))
    assert low.rank.item() == 1 and low.residuals.numel() == 0 and low.solution.tolist() == pytest.approx([0.5, 0.5])


def test_methods_are_the_functions() -> None:
    x = pydl.rand(3, 3).double() + 2 * pydl.eye(3)
    for name in ("det", "logdet", "inverse", "pinverse", "matrix_exp", "trace"):
        np.testing.assert_array_equal(numpy(getattr(x, name)()), numpy(getattr(pydl, name)(x)))
    np.testing.assert_allclose(numpy(x.matrix_power(3)), numpy(x @ x @ x), rtol=1e-12)
    spd = x @ x.mT
    upper = spd.cholesky(upper=True)
    np.testing.assert_allclose(numpy(upper.mT @ upper), numpy(spd), rtol=1e-12)
    np.testing.assert_allclose(numpy(upper.cholesky_inverse(upper=True) @ spd), np.eye(3), atol=1e-10)
    np.testing.assert_allclose(numpy(spd @ x.cholesky_solve(upper, upper=True)), numpy(x), rtol=1e-10)
    packed, pivots = linalg.lu_factor(x)
    np.testing.assert_allclose(numpy(x @ pydl.lu_solve(spd, packed, pivots)), numpy(spd), rtol=1e-10)
    assert x.qr(some=False).Q.shape == (3, 3) and x.inner(x).shape == (3, 3) and x.cross(x).abs().max().item() < 1e-15


def test_leading_dimensions_of_one_matrix_share_its_factors() -> None:
    a, b = pydl.rand(3, 3) + 2 * pydl.eye(3), pydl.rand(4, 5, 3, 2)
    np.testing.assert_allclose(numpy(a @ linalg.solve(a, b)), numpy(b), rtol=1e-4, atol=1e-5)


def test_matrix_exp_of_large_and_of_mixed_norms() -> None:
    x = np.array([[[0.0, -30], [30, 0]], [[1e-9, 0], [0, 2]], [[0, 0], [0, 0]]])
    y = numpy(linalg.matrix_exp(tensor(x)))
    np.testing.assert_allclose(y[0], [[np.cos(30), -np.sin(30)], [np.sin(30), np.cos(30)]], rtol=1e-11)
    np.testing.assert_allclose(y[1], np.diag(np.exp([1e-9, 2])), rtol=1e-14)
    np.testing.assert_allclose(y[2], np.eye(2), rtol=1e-15)


def test_einsum_takes_lists_of_operands_and_says_types() -> None:
    x = leaf(1, 2, 3)
    assert pydl.einsum("i,i", [x, x]).item() == 14
    with pytest.raises(TypeError, match="einsum: expected one type"):
        pydl.einsum("i,i", x, x.detach().float())


def test_einsum_does_not_make_large_products() -> None:
    x = pydl.rand(300, 300)
    pydl.reset_peak_memory_stats()
    before = pydl.memory_stats()["peak"]
    pydl.einsum("ij,jk,kl,lm->im", x, x, x, x)
    assert pydl.memory_stats()["peak"] - before < 20 * x.nbytes
