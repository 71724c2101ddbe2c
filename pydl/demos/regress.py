"""A small network predicts how diabetes progresses (442 patients, Efron et al. 2004), next to ridge regression on the same split.

A quarter of the patients is held out, and looked at once, at the end. What the network's settings should be is found by
cross-validation within the rest; the five networks of the best setting, each trained on four fifths, predict together.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import pydl
from pydl import nn
from pydl.demos.harness import Clock, DemoError, Stage, Training
from pydl.metrics import r2_score, root_mean_squared_error
from pydl.optim.lr_scheduler import CosineAnnealingLR
from pydl.training import Trainer
from pydl.training.progress import Progress

FOLDS, EPOCHS, HIDDEN = 5, 60, 16
DECAYS, DROPOUTS = (0.3, 1.0, 3.0), (0.0, 0.2)
PENALTIES = np.logspace(-2, 3, 26)      # of ridge regression
HOW_TO_GET_DATA = 'the data come with scikit-learn, which is not installed; get it with: pip install "pydl-cpu[sklearn]"'
BLUE, ORANGE, GREY = "#1f6fb4", "#e07b22", "#666666"

Arrays = tuple[np.ndarray, np.ndarray]


def run(stage: Stage) -> None:
    x, y = diabetes()
    order = np.random.RandomState(0).permutation(len(y))        # the same for every --seed
    test, train = order[:len(y) // 4], order[len(y) // 4:]
    inputs = standardised(x, train)
    mean, deviation = y[train].mean(), y[train].std()
    targets = (y - mean) / deviation
    clock = Clock()
    with stage.progress("training", len(DECAYS) * len(DROPOUTS) * FOLDS) as progress, clock:
        error, networks = best_setting((inputs[train], targets[train]), progress)
    scaled = np.mean([one.predict(inputs[test]).numpy()[:, 0] for one in networks], axis=0)
    baseline = ridge((inputs[train], targets[train]), inputs[test])
    predicted, straight, truth = mean + deviation * scaled, mean + deviation * baseline, y[test]
    stage.figure("network R2", float(r2_score(predicted, truth)), digits=3)
    stage.figure("ridge regression R2", float(r2_score(straight, truth)), digits=3)
    stage.figure("network error (RMSE)", float(root_mean_squared_error(predicted, truth)), digits=1)
    stage.figure("ridge regression error (RMSE)", float(root_mean_squared_error(straight, truth)), digits=1)
    stage.figure("cross-validated network R2", 1 - error / float(targets[train].var()), digits=3)
    stage.figure("train seconds", clock.seconds, "s", digits=2)
    stage.plot("regress.png", draw(truth, predicted, straight))


def diabetes() -> Arrays:
    """Age, sex, body mass index, blood pressure and six blood values of 442 patients; the disease a year later, 25 to 346."""
    try:
        from sklearn.datasets import load_diabetes
    except ImportError as error:
        raise DemoError(HOW_TO_GET_DATA) from error
    return load_diabetes(return_X_y=True, scaled=False)


def standardised(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and standard deviation 1 over the training part."""
    return (x - x[train].mean(0)) / x[train].std(0)


def best_setting(data: Arrays, progress: Progress) -> tuple[float, list[Trainer]]:
    """The setting with the smallest cross-validated squared error: -> that error, and its networks, one a fold."""
    found = [cross_validated(data, decay, dropout, progress) for decay, dropout in itertools.product(DECAYS, DROPOUTS)]
    return min(found, key=lambda pair: pair[0])


def cross_validated(data: Arrays, decay: float, dropout: float, progress: Progress) -> tuple[float, list[Trainer]]:
    """Trains a network without each fold in turn, and measures it there. -> mean squared error, networks."""
    x, y = data[0], data[1][:, None]
    fold = np.random.RandomState(1).permutation(len(y)) % FOLDS
    error, networks = 0.0, []
    for left_out in range(FOLDS):
        inside, outside = fold != left_out, fold == left_out
        parts = training(x.shape[1], decay, dropout)
        trainer = Trainer(*parts[:3], scheduler=parts.schedule)
        trainer.fit((x[inside], y[inside]), epochs=EPOCHS, progress=False, on_interrupt="raise")
        error += trainer.evaluate((x[outside], y[outside]))["loss"] * np.count_nonzero(outside) / len(y)
        networks.append(trainer)
        progress.step()
    return error, networks


def training(inputs: int, decay: float, dropout: float) -> Training:
    model = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.Tanh(), nn.Dropout(dropout), nn.Linear(HIDDEN, 1))
    optimizer = pydl.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=decay)
    return Training(model, optimizer, nn.MSELoss(), CosineAnnealingLR(optimizer, EPOCHS))


def ridge(data: Arrays, x: np.ndarray) -> np.ndarray:
    """Ridge regression's predictions for x, its penalty chosen by leave-one-out errors (Golub, Heath & Wahba 1979).

    (X'X + a I) w = X'y, by the singular values of X; of example i the left-out error is (y - Hy)_i / (1 - H_ii), H the hat matrix.
    """
    inputs, y = data[0] - data[0].mean(0), data[1] - data[1].mean()
    u, s, vt = np.linalg.svd(inputs, full_matrices=False)
    errors = []
    for penalty in PENALTIES:
        shrunk = s**2 / (s**2 + penalty)
        leverage = (u**2 * shrunk).sum(1) + 1 / len(y)          # with that of the mean
        errors.append(np.mean(((y - u @ (shrunk * (u.T @ y))) / (1 - leverage)) ** 2))
    penalty = PENALTIES[int(np.argmin(errors))]
    return data[1].mean() + (x - data[0].mean(0)) @ (vt.T @ (s / (s**2 + penalty) * (u.T @ y)))


def draw(truth: np.ndarray, predicted: np.ndarray, straight: np.ndarray) -> Callable[[Any], None]:
    """-> a function that draws what was predicted over what was true, and how the errors are spread, of both models."""
    def onto(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
        scatter(left, truth, predicted, straight)
        histogram(right, predicted - truth, straight - truth)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(f"Progression of diabetes in {len(truth)} patients who were held out", fontsize=13)
    return onto


def scatter(axes: Any, truth: np.ndarray, predicted: np.ndarray, straight: np.ndarray) -> None:
    ends = (0, 1.05 * max(truth.max(), predicted.max()))
    axes.plot(ends, ends, color=GREY, linewidth=1, linestyle="--", zorder=1)
    axes.annotate("exact", (0.93 * ends[1], 0.93 * ends[1]), xytext=(-4, 6), textcoords="offset points", ha="right", color=GREY)
    axes.scatter(truth, straight, s=26, facecolors="none", edgecolors=ORANGE, linewidths=1, alpha=0.8, zorder=2,
                 label=f"ridge regression, R² = {r2_score(straight, truth):.3f}")
    axes.scatter(truth, predicted, s=26, color=BLUE, alpha=0.75, edgecolors="white", linewidths=0.5, zorder=3,
                 label=f"network, R² = {r2_score(predicted, truth):.3f}")
    axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel="true progression", ylabel="predicted progression")
    axes.legend(loc="upper left", frameon=False)


def histogram(axes: Any, errors: np.ndarray, straight: np.ndarray) -> None:
    most = 20 * np.ceil(max(np.abs(errors).max(), np.abs(straight).max()) / 20)
    bins = np.linspace(-most, most, int(most // 10) + 1)
    axes.axvline(0, color=GREY, linewidth=1, linestyle="--")
    axes.hist(errors, bins, color=BLUE, alpha=0.75, edgecolor="white", label=f"network: {errors.mean():+.0f} ± {errors.std():.0f}")
    axes.hist(straight, bins, histtype="step", color=ORANGE, linewidth=1.8,
              label=f"ridge regression: {straight.mean():+.0f} ± {straight.std():.0f}")
    axes.set(xlabel="residual: predicted − true", ylabel="patients")
    axes.set_ylim(top=1.12 * axes.get_ylim()[1])
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="upper left", frameon=False)
