"""Rows of pydl/ops/boxes.py."""
import numpy as np

import pydl
from op_rows.box_pairs import corners, orderly
from rows import Flat, In, Row, bad, sample

TO_XYXY = {"xyxy": lambda a: a, "xywh": lambda a: np.concatenate([a[..., :2], a[..., :2] + a[..., 2:]], -1),
           "cxcywh": lambda a: np.concatenate([a[..., :2] - a[..., 2:] / 2, a[..., :2] + a[..., 2:] / 2], -1)}
FROM_XYXY = {"xyxy": lambda a: a, "xywh": lambda a: np.concatenate([a[..., :2], a[..., 2:] - a[..., :2]], -1),
             "cxcywh": lambda a: np.concatenate([(a[..., :2] + a[..., 2:]) / 2, a[..., 2:] - a[..., :2]], -1)}


def small(x, least):
    return np.flatnonzero(((x[:, 2:] - x[:, :2]) >= least).all(1))


def clip(x, size):
    return np.clip(x, 0, np.array([size[1], size[0], size[1], size[0]]))


def around(x):
    ends = []
    for mask in x != 0:
        rows, columns = np.nonzero(mask)
        ends.append((columns.min(), rows.min(), columns.max(), rows.max()))
    return np.array(ends, np.float64).reshape(-1, 4)


def area(x):
    x = corners(x)
    return (x[..., 2:] - x[..., :2]).prod(-1)


def alone(name):
    """The function of one tensor of boxes in order"""
    def call(x, *rest, **how):
        return getattr(pydl.ops, name)(corners(x) if orderly(x) else x, *rest, **how)
    return call


BAD = [bad((2, 3)), bad(()), bad(Flat([1]), error=TypeError), bad(In((2, 4), dtype="bool"), error=TypeError)]


def with_more(*rest):
    return [bad((2, 3), *rest), bad((), *rest), bad(Flat([1]), *rest, error=TypeError)]


ROWS = [
    Row("box_area", area, fn=alone("box_area"), composed=True, ulp=8, samples=[sample((5, 4)), sample((4,)), sample((2, 3, 4)), sample((0, 4))],
        refusals=BAD, torch=False),
    Row("box_convert", lambda x, a, b: FROM_XYXY[b](TO_XYXY[a](x)), composed=True, ulp=4, by="max", torch=False,
        samples=[sample((5, 4), a, b) for a in TO_XYXY for b in TO_XYXY] + [sample((2, 0, 4), "xywh", "xyxy"), sample((4,), "xyxy", "cxcywh")],
        refusals=[*with_more("xyxy", "xywh"), bad((2, 4), "xyxy", "xy", shapes=False), bad((2, 4), Flat(None), "xyxy", shapes=False)]),
    Row("clip_boxes_to_image", clip, composed=True, ulp=0, torch=False, domain=(-3, 3), away=(0, 1, 2), dtypes=("float32", "float64", "int64"),
        samples=[sample((5, 4), Flat((1, 2))), sample((2, 2, 4), Flat((0, 1))), sample((0, 4), Flat((3, 3)))],
        refusals=with_more(Flat((2, 3))) + [bad((2, 4), Flat((2,)), shapes=False), bad((2, 4), Flat((-1, 2)), shapes=False), bad((2, 4), 3, shapes=False),
                                            bad((2, 4), Flat((2**40, 2**40)), shapes=False)]),
    Row("clip_boxes", clip, composed=True, ulp=0, torch=False, samples=[sample((5, 4), Flat((1, 2)))], away=(0, 1, 2)),
    Row("remove_small_boxes", small, composed=True, ulp=0, out="int64", diff=(), torch=False, samples=[sample((40, 4), 0.5), sample((40, 4), 0), sample((0, 4), 1.0)],
        refusals=[*with_more(1.0), bad((2, 4), Flat("x"), error=TypeError)]),
    Row("masks_to_boxes", around, composed=True, ulp=0, out="float32", diff=(), torch=False, dtypes=("uint8", "bool", "float32"), domain=(0.1, 1),
        samples=[sample(In((3, 7, 9), 1, 2)), sample((0, 4, 4)), sample(In((1, 9, 5), 1, 2))],
        refusals=[bad((2, 3)), bad(In((2, 3, 3), 0, 1, dtype="int64"), match="mask 0"), bad((2, 0, 3), match="mask 0"), bad(Flat(1), error=TypeError)]),
]
