from pydl._core.tensor import Tensor

def distance_pass(squares: Tensor, dim: int, spacing: float) -> None: ...
def match_boxes(
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
