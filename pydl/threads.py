"""How many threads kernels use, and how much memory tensors take.

The number of threads comes from PYDL_NUM_THREADS, else OMP_NUM_THREADS, else from the CPUs the process may use (its affinity
mask and its control group's quota). Results never depend on it. Freed memory is kept for reuse, at most PYDL_CACHE_MB MiB
(a quarter of the machine's memory, at most 1024).

threadpoolctl (and through it joblib and scikit-learn) limits pydl too: `threadpool_limits(1)`. pydl registers its controller
with threadpoolctl by its documented `register`, at once where threadpoolctl is imported already, else when it is imported.
"""
import importlib.util
import sys
from types import ModuleType, TracebackType
from typing import Any

from pydl._core.system import MOST_THREADS as MOST_THREADS
from pydl._core.system import empty_cache, get_num_threads, memory_stats, reset_peak_memory_stats, set_num_threads

__all__ = ["empty_cache", "get_num_threads", "memory_stats", "reset_peak_memory_stats", "set_num_threads", "threads"]


class threads:
    """`with pydl.threads(n):` kernels use n threads inside the block; the former number afterwards."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.before: list[int] = []

    def __enter__(self) -> "threads":
        before = get_num_threads()
        set_num_threads(self.count)
        self.before.append(before)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        set_num_threads(self.before.pop())


def _register(threadpoolctl: ModuleType) -> None:
    base: Any = threadpoolctl.LibController

    class Controller(base):
        user_api = internal_api = "pydl"
        filename_prefixes = ("native.",)
        check_symbols = ("pd_set_num_threads",)

        def get_num_threads(self) -> int:
            return get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            set_num_threads(num_threads)

        def get_version(self) -> str:
            return sys.modules["pydl"].__version__

    threadpoolctl.register(Controller)


class _RegisterOnImport:
    """Finds threadpoolctl for the import system once, and registers with it as soon as it has run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "threadpoolctl":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            sys.meta_path.insert(0, self)
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _register(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "threadpoolctl" in sys.modules:
    _register(sys.modules["threadpoolctl"])
else:
    sys.meta_path.insert(0, _RegisterOnImport())
