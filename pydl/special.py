"""Special functions under PyTorch's names: torch.special's, as far as they are here."""
from pydl.ops import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    i0,
    lgamma,
    log1p,
    log_softmax,
    logit,
    logsumexp,
    mvlgamma,
    polygamma,
    round,
    sinc,
    softmax,
    xlogy,
)
from pydl.ops.bessel import i0e, i1, i1e
from pydl.ops.special import entr, erfcx, expit, log_ndtr, ndtr, ndtri, xlog1py, zeta

gammaln = lgamma
multigammaln = mvlgamma
psi = digamma

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "i0e", "i1", "i1e", "log1p",
    "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax",
    "xlog1py", "xlogy", "zeta",
]
