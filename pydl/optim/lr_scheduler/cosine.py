"""Half a cosine from the initial rate to eta_min, and again."""
import math

from pydl.optim.lr_scheduler.base import LRScheduler, cosine
from pydl.optim.lr_scheduler.checks import real, whole
from pydl.optim.optimizer import Optimizer


class CosineAnnealingLR(LRScheduler):
    """lr(t) = eta_min + (initial_lr - eta_min) * (1 + cos(pi * t / T_max)) / 2 (Loshchilov & Hutter 2017, SGDR, without restarts).

    Steps by a recursion from the present rate, so it chains; after T_max the rate rises again. T_max: whole, >= 1. eta_min >= 0.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = whole(self._name, "T_max", T_max, 1)
        self.eta_min = real(self._name, "eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        self._warn_outside_step()
        rates, low = self._rates(), self.eta_min
        if self._is_initial:
            return rates
        before = self.last_epoch - 1
        if (before - self.T_max) % (2 * self.T_max) == 0:
            # The rate before was eta_min, whose distance to eta_min no ratio brings back.
            rise = 1 - cosine(1 / self.T_max)
            return [rate + (base - low) * rise for base, rate in zip(self.base_lrs, rates)]
        ratio = cosine(self.last_epoch / self.T_max) / cosine(before / self.T_max)
        return [ratio * (rate - low) + low for rate in rates]

    def _get_closed_form_lr(self) -> list[float]:
        return [self.eta_min + (base - self.eta_min) * cosine(self.last_epoch / self.T_max) for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr = eta_min + (initial_lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2 (Loshchilov & Hutter 2017, SGDR).

    T_cur counts the epochs since the last restart; the first comes after T_i = T_0 epochs, each next after T_mult times as many as
    the one before. step(epoch + batch / batches) sets the rate within an epoch. T_0, T_mult: whole, >= 1. eta_min >= 0.
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_0 = whole(self._name, "T_0", T_0, 1)
        self.T_i = self.T_0
        self.T_mult = whole(self._name, "T_mult", T_mult, 1)
        self.eta_min = real(self._name, "eta_min", eta_min)
        self.T_cur: float = 0
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        self._warn_outside_step()
        height = cosine(self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Sets the rates of the next epoch, or of epoch, which may lie between two and before the last."""
        if epoch is None and self._is_initial:
            epoch = self.last_epoch + 1
        if epoch is not None:
            real(self._name, "epoch", epoch)
        self._update_lr(epoch)

    def _update_lr(self, epoch: float | None = None) -> None:
        if epoch is not None:
            self.T_cur, self.T_i = self._position(epoch)
            super()._update_lr(math.floor(epoch))
            return
        self.T_cur += 1
        if self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        super()._update_lr()

    def _position(self, epoch: float) -> tuple[float, int]:
        """How far epoch lies behind the last restart, and how long that period is."""
        if self.T_mult == 1:
            return epoch % self.T_0, self.T_0
        start, length = 0, self.T_0
        while epoch >= start + length:          # a logarithm would round the wrong way at some restarts
            start, length = start + length, length * self.T_mult
        return epoch - start, length
