"""Rows of pydl/ops/region_losses.py: written out from the definitions, class by class."""
import numpy as np
from scipy import special

import pydl.nn.functional as F
from op_rows.distance_maps import signed
from pydl.ops import region_losses
from rows import Flat, In, Row, bad, sample

KEEP = {"classes": None, "weight": None, "ignore_index": None, "from_logits": True, "per_image": False, "reduction": "mean"}


def regions(x, t, mode, from_logits, ignore_index):
    """Probabilities, truth and whether pixels have a part, (N, C, P) each"""
    if mode == "binary":
        x = x.reshape(x.shape[0], 1, -1)
    x = x.reshape(*x.shape[:2], -1)
    if mode == "multiclass":
        t = t.reshape(t.shape[0], 1, -1)
        p, truth, counted = special.softmax(x, axis=1), (t == np.arange(x.shape[1])[:, None]).astype(float), np.broadcast_to(t != ignore_index, x.shape)
    else:
        t = t.reshape(x.shape)
        p, truth, counted = special.expit(x), t.astype(float), t != ignore_index
    return (p if from_logits else x), truth, counted


def finished(loss, reduction):
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def overlap(x, t, mode, alpha=0.5, beta=0.5, gamma=1.0, log_loss=False, smooth=0.0, eps=1e-7, **how):
    how = {**KEEP, **how}
    p, truth, counted = regions(x, t, mode, how["from_logits"], how["ignore_index"])
    axes = 2 if how["per_image"] else (0, 2)
    p, truth = p * counted, truth * counted
    tp, fp, fn = ((a * b).sum(axes) for a, b in ((p, truth), (p, 1 - truth), (1 - p, truth)))
    score = (tp + smooth) / np.maximum(tp + alpha * fp + beta * fn + smooth, eps)
    loss = np.where(truth.sum(axes) > 0, (-np.log(np.maximum(score, eps)) if log_loss else 1 - score) ** gamma, 0)
    if how["classes"] is not None:
        loss = loss[..., list(how["classes"])]
    if how["weight"] is not None:
        loss = loss * (how["weight"] if how["classes"] is None else how["weight"][list(how["classes"])])
    return finished(loss, how["reduction"])


def dice(x, t, mode, smooth=0.0, **how):
    return overlap(x, t, mode, smooth=smooth / 2, **how)


def jaccard(x, t, mode, **how):
    return overlap(x, t, mode, alpha=1.0, beta=1.0, **how)


def focal(x, t, mode, alpha=0.3, beta=0.7, gamma=0.75, **how):
    return overlap(x, t, mode, alpha=alpha, beta=beta, gamma=gamma, **how)


def extension(errors, truth):
    """The Lovasz extension from its definition: sum of errors in descending order times what the index loses with one pixel more"""
    order = np.argsort(-errors, kind="stable")
    total, before, wrong = 0.0, 0.0, np.zeros(len(errors), bool)
    for i in order:
        wrong[i] = True
        missed, false = (wrong & (truth > 0)).sum(), (wrong & (truth == 0)).sum()
        now = (missed + false) / ((truth > 0).sum() + false)
        total, before = total + max(errors[i], 0) * (now - before), now
    return total


def lovasz(x, t, mode, hinge, classes="present", per_image=False, ignore_index=None, from_logits=True, reduction="mean"):
    p, truth, counted = regions(x, t, mode, from_logits, ignore_index)
    errors = 1 - (2 * truth - 1) * x.reshape(p.shape) if hinge else np.abs(truth - p)
    images = [slice(i, i + 1) for i in range(len(p))] if per_image else [slice(None)]
    result = []
    for image in images:
        some = [c for c in range(p.shape[1]) if (truth * counted)[image, c].any()] if classes == "present" else classes
        each = [extension(errors[image, c][counted[image, c]], truth[image, c][counted[image, c]])
                for c in (range(p.shape[1]) if classes == "all" else some)]
        result.append(np.mean(each) if each else 0.0)
    return finished(np.array(result), reduction) if per_image else np.array(result[0])


def boundary(x, t, mode, classes=None, ignore_index=None, from_logits=True, sampling=None, reduction="mean"):
    p, truth, counted = regions(x, t, mode, from_logits, ignore_index)
    shape = (x.shape[0], p.shape[1], *(x.shape[2:] if mode != "binary" or x.shape[1] == 1 else x.shape[1:]))
    phi = signed((truth * counted > 0.5).reshape(shape), sampling, tuple(range(2, len(shape))))
    loss = p.reshape(shape) * phi * counted.reshape(shape)
    return finished(loss if classes is None else loss[:, list(classes)], reduction)


def sums(x, labels, ignore_index=None):
    counted = (labels != ignore_index)[:, None]
    own = (labels[:, None] == np.arange(x.shape[1])[:, None]) & counted
    return np.stack([(x * own).sum(-1), (x * counted).sum(-1), own.sum(-1)])


def spread(y, labels, ignore_index=None):
    own = labels[:, None] == np.arange(y.shape[2])[:, None]
    return (y[0][:, :, None] * own + y[1][:, :, None]) * (labels != ignore_index)[:, None]


def labels(*shape, classes=3):
    return In(shape, 0, classes, dtype="int64")


def mask(*shape):
    return In(shape, dtype="bool")


SHARES = In((2, 3, 5), 0, 1)
FORMS = [sample((2, 1, 4, 5), mask(2, 4, 5), "binary"), sample((2, 3, 3), In((2, 3, 3), 0.1, 1, grad=True), "binary", reduction="none"),
         sample((2, 3, 4, 2), labels(2, 4, 2), "multiclass"), sample((2, 3, 5), labels(2, 5, classes=2), "multiclass", per_image=True, reduction="none"),
         sample((2, 3, 5), mask(2, 3, 5), "multilabel", per_image=True, reduction="sum")]
MORE = [sample((2, 3, 7), labels(2, 7), "multiclass", ignore_index=1, reduction="none"),
        sample((2, 3, 7), labels(2, 7), "multiclass", classes=[2, 0], weight=In((3,), 0.5, 2, grad=False), smooth=1.0),
        sample((2, 3, 7), labels(2, 3, 7, classes=2), "multilabel", ignore_index=1, smooth=0.5),
        sample(In((2, 3, 5), 0.1, 0.9), labels(2, 5), "multiclass", from_logits=False, log_loss=True)]
UNFIT = [bad((2, 3, 4), labels(2, 3), "multiclass"), bad((2, 3, 4), mask(2, 3), "multilabel"), bad((2, 2, 4), mask(2, 4), "binary"), bad((), mask(), "binary"),
         bad((2, 3), labels(2), "several", shapes=False, match="mode: expected one of"), bad((2, 3), labels(2), "multiclass", reduction="max", shapes=False),
         bad((2, 3), In((2,), 3, 5, dtype="int64"), "multiclass", error=IndexError), bad((2, 3), (2,), "multiclass", error=TypeError),
         bad(labels(2, 3), mask(2, 3), "binary", error=TypeError), bad(Flat(3), mask(2), "binary", error=TypeError)]
CLASSES = [bad((2, 3), labels(2), "multiclass", classes=c, shapes=False) for c in ([], [3], [0, 0])]
OPTIONS = [*CLASSES, bad((2, 3), labels(2), "multiclass", weight=In((2,), 1, 2)), bad((2, 3), labels(2), "multiclass", smooth=-1.0, shapes=False)]
KIND = {"composed": True, "torch": False, "by": "max", "ulp": 16}
ROWS = [
    Row("dice_loss", dice, fn=F.dice_loss, samples=FORMS + MORE, refusals=UNFIT + OPTIONS, **KIND),
    Row("jaccard_loss", jaccard, fn=F.jaccard_loss, samples=FORMS[:2] + MORE[:2], refusals=UNFIT[:2] + OPTIONS[:1], **KIND),
    Row("tversky_loss", overlap, fn=F.tversky_loss, refusals=[*UNFIT[:2], bad((2, 3), labels(2), "multiclass", gamma=0.0, shapes=False)], **KIND,
        samples=[sample(*one.args, alpha=0.3, beta=0.9, gamma=g, **one.attrs) for one, g in zip(FORMS[1:4] + MORE[-1:], (1.0, 2.0, 0.5, 1.5))]),
    Row("focal_tversky_loss", focal, fn=F.focal_tversky_loss, samples=FORMS[1:3], refusals=UNFIT[:2], **KIND),
    Row("lovasz_hinge_loss", lambda x, t, mode="binary", **how: lovasz(x, t, mode, True, "all", **how), fn=F.lovasz_hinge_loss, kind="distinct", **KIND,
        samples=[sample((2, 1, 3, 4), mask(2, 3, 4)), sample((3, 7), labels(3, 7, classes=2), per_image=True, reduction="none"),
                 sample((2, 2, 6), mask(2, 2, 6), "multilabel"), sample((2, 9), labels(2, 9), ignore_index=2), sample((1, 4), In((1, 4), 0, 1, dtype="int64"))],
        refusals=[bad((2, 3), mask(3)), bad((2, 3), labels(2), "multiclass", shapes=False), bad((2, 3), mask(2, 3), reduction="max", shapes=False)]),
    Row("lovasz_softmax_loss", lambda x, t, **how: lovasz(x, t, "multiclass", False, **how), fn=F.lovasz_softmax_loss, kind="distinct", **KIND,
        samples=[sample((2, 3, 2, 4), labels(2, 2, 4)), sample((2, 4, 5), labels(2, 5), per_image=True, reduction="none"),
                 sample((2, 3, 7), labels(2, 7), ignore_index=1), sample((2, 4, 5), labels(2, 5), classes="all"),
                 sample((2, 3, 5), labels(2, 5), classes=[2, 0], ignore_index=0)],
        refusals=[bad((2, 3), labels(3)), bad((2, 3), labels(2), classes="some", shapes=False), bad((2, 3), labels(2), classes=[7], shapes=False)]),
    Row("boundary_loss", boundary, fn=F.boundary_loss, **KIND,
        samples=[sample((2, 1, 4, 5), mask(2, 4, 5), "binary"), sample((2, 4, 3), mask(2, 4, 3), "binary", reduction="sum", sampling=[1.0, 0.5]),
                 sample((2, 3, 4, 5), labels(2, 4, 5), "multiclass", ignore_index=1, classes=[0, 2]),
                 sample((1, 2, 3, 2, 4), mask(1, 2, 3, 2, 4), "multilabel", reduction="none")],
        refusals=[*UNFIT[:3], bad((3,), mask(3), "binary"), bad((2, 1, 4, 5), mask(2, 4, 5), "binary", sampling=0.0, shapes=False)]),
    Row("region_sums", sums, fn=region_losses.region_sums, ulp=2, by="max", torch=False, covers=("region_spread",),
        samples=[sample((2, 3, 5), labels(2, 5)), sample((1, 2, 33), labels(1, 33, classes=2), 1), sample((2, 3, 0), labels(2, 0)), sample((0, 2, 3), labels(0, 3)),
                 sample((2, 1, 20001), labels(2, 20001, classes=1))],
        refusals=[bad((2, 3), labels(2)), bad((2, 3, 4), labels(2, 5)), bad(labels(2, 3, 4), labels(2, 4), error=TypeError),
                  bad((2, 3, 4), In((2, 4), 3, 4, dtype="int64"), error=IndexError)]),
    Row("region_spread", spread, fn=region_losses.region_spread, ulp=1, torch=False,
        samples=[sample((3, 2, 3), labels(2, 5)), sample((3, 1, 2), labels(1, 33, classes=2), 1)],
        refusals=[bad((2, 2, 3), labels(2, 5)), bad((3, 2, 3), labels(3, 5)), bad((3, 2, 3), (2, 5))]),
]
