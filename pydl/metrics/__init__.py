"""Figures of merit, each as a function and as a class that gathers it over batches; equal to scikit-learn's, of boxes to COCO's.

    from pydl import metrics

    metrics.accuracy(model(images), labels)

    metric = metrics.F1Score(average="macro")
    for images, labels in loader:
        metric.update(model(images), labels)
    metric.compute()

Arguments are (output, target), in the order of the losses. The result is a Python float, or a NumPy array where there is one
figure for each class or output; MeanAveragePrecision and PanopticQuality give a dict of them.
"""

from pydl.metrics.accuracy import Accuracy, TopKAccuracy, accuracy, top_k_accuracy
from pydl.metrics.auroc import AUROC, auroc
from pydl.metrics.calibration import ExpectedCalibrationError, expected_calibration_error
from pydl.metrics.confusion import ConfusionMatrix, confusion_matrix
from pydl.metrics.detection import MeanAveragePrecision, mean_average_precision
from pydl.metrics.metric import Metric
from pydl.metrics.panoptic import PanopticQuality, panoptic_quality
from pydl.metrics.rates import F1Score, FBetaScore, Precision, Recall, f1_score, fbeta_score, precision, recall
from pydl.metrics.regression import (
    MeanAbsoluteError,
    MeanSquaredError,
    R2Score,
    RootMeanSquaredError,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    root_mean_squared_error,
)
from pydl.metrics.segmentation import Dice, MeanIoU, PixelAccuracy, dice, mean_iou, pixel_accuracy

__all__ = [
    "AUROC", "Accuracy", "ConfusionMatrix", "Dice", "ExpectedCalibrationError", "F1Score", "FBetaScore",
    "MeanAbsoluteError", "MeanAveragePrecision", "MeanIoU", "MeanSquaredError", "Metric", "PanopticQuality", "PixelAccuracy", "Precision",
    "R2Score", "Recall", "RootMeanSquaredError", "TopKAccuracy", "accuracy", "auroc", "confusion_matrix", "dice",
    "expected_calibration_error", "f1_score", "fbeta_score", "mean_absolute_error", "mean_average_precision", "mean_iou",
    "mean_squared_error", "panoptic_quality", "pixel_accuracy", "precision", "r2_score",
    "recall", "root_mean_squared_error", "top_k_accuracy",
]
