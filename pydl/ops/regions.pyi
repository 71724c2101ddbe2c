from pydl._core.tensor import Tensor

def distance_pass(squares: Tensor, dim: int, spacing: float) -> None: ...
def class_sums(input: Tensor, labels: Tensor, ignore_index: float) -> Tensor: ...
def class_spread(sums: Tensor, labels: Tensor, ignore_index: float) -> Tensor: ...
def match_detections(
    detections: Tensor,
    boxes: Tensor,
    detection_areas: Tensor,
    box_areas: Tensor,
    ranged_areas: Tensor,
    spans: Tensor,
    crowd: Tensor,
    thresholds: Tensor,
    ranges: Tensor,
) -> Tensor: ...
