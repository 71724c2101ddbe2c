"""Parametrizations of weights: weight_norm, spectral_norm, orthogonal. State_dict keys are PyTorch's."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from pydl import ops
from pydl.autograd import Function, no_grad
from pydl.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from pydl.nn.module import Module
from pydl.nn.parameter import is_lazy
from pydl.nn.utils.parametrize import register_parametrization
from pydl.tensor import Tensor, tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def norm_except(v: Tensor, dim: int) -> Tensor:
    """The norms along all dimensions but `dim`, which stay as 1; dim = -1: the norm of all, ()."""
    if dim == -1:
        return ops.norm(v)
    if not -v.ndim <= dim < v.ndim:
        raise IndexError(f"weight_norm: dim {dim} is out of range for shape {tuple(v.shape)}")
    others = tuple(d for d in range(v.ndim) if d != dim % v.ndim)
    return ops.norm(v, 2, dim=others, keepdim=True) if others else ops.abs(v)


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.dim), weight


def the_weight(caller: str, module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{caller}: {type(module).__name__} has no parameter or buffer {name!r}")
    if is_lazy(weight):
        raise ValueError(f"{caller}: {name} has no shape yet: run the module once before")
    return weight


def weight_norm(module: Module, name: str = "weight", dim: int = 0) -> Module:
    """weight = g v / |v| (Salimans & Kingma 2016), |v| along all dimensions but `dim` (None: of all). -> the module.

    g and v are the parameters parametrizations.<name>.original0 and original1.
    """
    the_weight("weight_norm", module, name)
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(f"spectral_norm: dim: expected {-weight.ndim} to {weight.ndim - 1}, got {dim}")
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm: n_power_iterations: expected 1 or more, got {n_power_iterations}")
        self.dim = dim % weight.ndim
        self.eps, self.n_power_iterations = eps, n_power_iterations
        if weight.ndim > 1:
            matrix = self._matrix(weight.detach())
            self.register_buffer("_u", ops.normalize(weight.detach().new_empty(matrix.shape[:1]).normal_(0, 1), dim=0, eps=eps))
            self.register_buffer("_v", ops.normalize(weight.detach().new_empty(matrix.shape[1:]).normal_(0, 1), dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        """(size of dim, all others)"""
        order = (self.dim, *(d for d in range(weight.ndim) if d != self.dim))
        return weight.permute(order).reshape(weight.shape[self.dim], -1)

    def _power_method(self, matrix: Tensor, times: int) -> None:
        """u = W v / |W v|, v = W^T u / |W^T u|, `times` times."""
        with no_grad():
            for _ in range(times):
                self._u.copy_(ops.normalize(ops.mv(matrix, self._v), dim=0, eps=self.eps))
                self._v.copy_(ops.normalize(ops.mv(matrix.t(), self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return ops.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._power_method(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()         # the next call changes them
        return weight / ops.dot(u, ops.mv(matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None) -> Module:
    """weight = W / sigma, sigma the largest singular value of W as a matrix (Miyato et al. 2018). -> the module.

    sigma = u^T W v, and each call in training improves u and v by n_power_iterations of the power method. dim: the rows of the
    matrix (0, but 1 for transposed convolutions).
    """
    weight = the_weight("spectral_norm", module, name)
    if dim is None:
        dim = 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


class Solve(Function):
    """A^-1 B of matrices (..., n, n) and (..., n, k)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        x = tensor(np.linalg.solve(a.detach().numpy(), b.detach().numpy()))
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> tuple[Tensor, Tensor]:
        a, x = ctx.saved_tensors
        db = Solve.apply(a.mT, dx)
        return -(db @ x.mT), db


def identity(n: int, like: Tensor) -> Tensor:
    return tensor(np.eye(n), dtype=like.dtype)


def matrix_exp(a: Tensor) -> Tensor:
    """exp(A) of (..., n, n): the Taylor series of A / 2^s, whose norm is below 1/2, squared s times."""
    size = float(ops.amax(ops.sum(ops.abs(a.detach()), dim=-2)).item()) if a.numel() else 0.0
    times = max(0, math.ceil(math.log2(size)) + 1) if math.isfinite(size) and size > 0 else 0
    small = a * 2.0 ** -times
    one = identity(a.shape[-1], a)
    result = one + small / 14.0
    for k in range(13, 0, -1):          # Horner
        result = one + (small @ result) / float(k)
    for _ in range(times):
        result = result @ result
    return result


def householder_product(a: Tensor, tau: Tensor) -> Tensor:
    """The first k columns of H_1 ... H_k, H_i = 1 - tau_i v_i v_i^T: v_i is column i of a (..., n, k), with 1 on the diagonal."""
    n, k = a.shape[-2:]
    unit = identity(n, a)[:, :k]
    v = a + unit
    result = unit.expand(a.shape)
    for i in reversed(range(k)):
        column = v[..., i:i + 1]
        result = result - (tau[..., i:i + 1].unsqueeze(-1) * column) @ (column.mT @ result)
    return result


def orthonormalized(a: Tensor) -> Tensor:
    """The Q of a = QR with a positive diagonal of R."""
    q, r = np.linalg.qr(a.detach().numpy())
    signs = np.sign(np.diagonal(r, axis1=-2, axis2=-1))
    return tensor(np.ascontiguousarray(q * np.where(signs == 0, 1, signs)[..., None, :]).astype(r.dtype))


def is_orthogonal(q: Tensor) -> bool:
    n, k = q.shape[-2:]
    x = q.detach().numpy()
    eps = 10 * n * np.finfo(x.dtype).eps
    return bool(np.allclose(np.swapaxes(x, -1, -2) @ x, np.eye(k), rtol=0, atol=eps))


class _Orthogonal(Module):
    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool = True) -> None:
        super().__init__()
        self.shape, self.orthogonal_map, self.use_trivialization = tuple(weight.shape), orthogonal_map, use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        n, k = x.shape[-2:]
        wide = n < k
        if wide:
            x, n, k = x.mT, k, n
        if self.orthogonal_map == "householder":
            a = ops.tril(x, -1)
            tau = 2.0 / (1.0 + ops.sum(a * a, dim=-2))
            q = householder_product(a, tau) * ops.trunc(ops.diagonal(x.detach(), 0, -2, -1)).unsqueeze(-2)
        else:
            x = ops.tril(x)
            if n != k:
                x = ops.cat([x, x.new_zeros((*x.shape[:-1], n - k))], dim=-1)
            a = x - x.mT
            if self.orthogonal_map == "matrix_exp":
                q = matrix_exp(a)
            else:
                one = identity(n, x).expand(a.shape)
                q = Solve.apply(one - a * 0.5, one + a * 0.5)
            q = q[..., :k]
        base = getattr(self, "base", None)
        if base is not None:
            q = base @ q
        return q.mT if wide else q

    def right_inverse(self, q: Tensor) -> Tensor:
        if tuple(q.shape) != self.shape:
            raise ValueError(f"orthogonal: expected a matrix or a batch of shape {self.shape}, got {tuple(q.shape)}")
        given = q.detach()
        n, k = q.shape[-2:]
        wide = n < k
        q = given.mT if wide else given
        n, k = max(n, k), min(n, k)
        if not self.use_trivialization:
            if self.orthogonal_map != "householder":
                raise NotImplementedError("orthogonal: with use_trivialization=False only the householder map can be assigned")
            a = reflections(q)
            return a.mT if wide else a
        if n == k:
            self.base = q.clone() if is_orthogonal(q) else orthonormalized(q)
        else:
            rest = ops.randn((*q.shape[:-2], n, n - k), dtype=q.dtype)
            self.base = orthonormalized(ops.cat([q, rest], dim=-1))
        least = min(n, k)
        start = np.zeros(self.shape, dtype=given.numpy().dtype)
        start[..., range(least), range(least)] = -1
        return tensor(start)


def reflections(q: Tensor) -> Tensor:
    """What householder_product makes q of, for an orthogonal q: LAPACK's reflections, and signs on the diagonal."""
    array = q.detach().numpy()
    n, k = array.shape[-2:]
    made = np.empty_like(array)
    for at in np.ndindex(array.shape[:-2]):
        h, tau = np.linalg.qr(array[at], mode="raw")
        a = np.array(h.T)
        signs = np.sign(np.diagonal(a)).copy()
        signs[:len(tau)][tau == 0] *= -1
        a[range(k), range(k)] = signs
        made[at] = a
    return tensor(made)


def orthogonal(module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True) -> Module:
    """weight has orthonormal columns, or rows where it is wider than high (Lezcano-Casado 2019). -> the module.

    orthogonal_map: "matrix_exp", "cayley" (x in the tangent space: exp(A), or (1 - A/2)^-1 (1 + A/2), A = x - x^T), or
    "householder" (a product of reflections); None: matrix_exp for square weights, else householder. use_trivialization keeps
    the weight that was there as the buffer `base`, and training starts from it.
    """
    weight = the_weight("orthogonal", module, name)
    if weight.ndim < 2:
        raise ValueError(f"orthogonal: expected a matrix or a batch of them, got shape {tuple(weight.shape)}")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-1] == weight.shape[-2] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(f"orthogonal: orthogonal_map: expected matrix_exp, cayley or householder, got {orthogonal_map!r}")
    return register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)
