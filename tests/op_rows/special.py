import numpy as np
import scipy.special as reference

from pydl import special
from rows import Flat, Row, bad, sample, unary

SHAPES = ((), (0,), (7,), (2, 3))


def one(name, ref, **options):
    """PyTorch's name in torch.special, where NumPy computes in float64; the largest errors were found against SciPy."""
    options.setdefault("special", False)
    options.setdefault("torch", lambda x, **attrs: getattr(__import__("torch").special, name)(x, **attrs))
    return unary(name, ref, shapes=SHAPES, composed=True, fn=getattr(special, name), **options)


ROWS = [
    one("expit", reference.expit), one("ndtr", reference.ndtr, ulp=3), one("sinc", np.sinc, ulp=4, by="max", away=(-1, 0, 1)),
    one("logit", reference.logit, domain=(0.1, 0.4), ulp=4),
    Row("logit:eps", lambda x, eps: reference.logit(np.clip(x, eps, 1 - eps)), [sample((7,), 0.2), sample((), 0.01)], domain=(0.05, 0.4),
        away=(0.2,), gap=0.02, ulp=4, composed=True),
    one("entr", reference.entr, domain=(0.1, 3), ulp=3, special=(np.nan, 0.0, -1.0, np.inf, 0.5)),
    Row("xlog1py", reference.xlog1py, [sample((5,), (5,)), sample((2, 3), (3,)), sample((), (0,))], domain=(0.2, 2), ulp=3, composed=True,
        special=(0.0, -1.0, 1.0, 2.0), torch=False, refusals=[bad((2, 3), (4,)), bad(Flat("x"), (2,), error=TypeError)]),
    one("erfcx", reference.erfcx, domain=(-3, 9), ulp=1, special=(np.nan, np.inf, -np.inf, 0.0, 100.0)),
    one("log_ndtr", reference.log_ndtr, domain=(-9, 3), ulp=1, special=(np.nan, -np.inf, 0.0, -50.0)),
    one("erfinv", reference.erfinv, domain=(-0.95, 0.95), ulp=1, special=(np.nan, 1.0, -1.0, 0.0, 1.5, -0.5)),
    one("ndtri", reference.ndtri, domain=(0.05, 0.95), ulp=1, ulp64=40, special=(np.nan, 1.0, 0.0, 0.5, -1.0, 1e-30)),
    one("lgamma", reference.gammaln, domain=(2.1, 12), ulp=1, ulp64=40, special=(np.nan, np.inf, 0.0, -1.0, 1.0, 2.0, 0.5, 1e-5),
        torch=False),
    Row("lgamma:negative", reference.gammaln, [sample((7,)), sample((2, 3))], domain=(-0.9, -0.1), ulp=1, ulp64=40, composed=True),
    one("digamma", reference.digamma, domain=(1.8, 12), ulp=1, ulp64=40, special=(np.nan, np.inf, 1.0, 0.5, -0.5), torch=False),
    Row("polygamma", reference.polygamma, [sample(n, (7,)) for n in (0, 1, 2, 3)] + [sample(1, ()), sample(2, (0,))], domain=(1.8, 6), ulp=1,
        ulp64=40, composed=True, refusals=[bad(-1, (2,), shapes=False), bad(1.5, (2,), error=TypeError), bad(170, (2,), shapes=False)]),
    Row("polygamma:negative", reference.polygamma, [sample(1, (7,)), sample(0, (7,))], domain=(-1.8, -1.2), ulp=2, ulp64=400, composed=True),
    Row("zeta", reference.zeta, [sample(Flat(np.float64(3.5)), (7,)), sample(2.0, (2, 3)), sample(2.0, ())], domain=(0.5, 6), ulp=1, ulp64=20,
        composed=True, torch=False, second="by the second argument only"),
    Row("mvlgamma", lambda x, p: np.vectorize(lambda v: reference.multigammaln(v, p))(x) if x.size else x,
        [sample((7,), 3), sample((), 1), sample((0,), 2)], domain=(2.1, 6), ulp=4, ulp64=40, by="max", composed=True,
        refusals=[bad((2,), 0, shapes=False)]),
    *(one(name, getattr(reference, name), domain=(0.3, 9), ulp=1, ulp64=20, torch=None if name == "i0" else False, atol=1e-4)
      for name in ("i0", "i0e", "i1", "i1e")),
]
