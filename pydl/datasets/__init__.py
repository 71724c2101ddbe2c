"""Real data: digits embedded in the package, and strict readers for files that are already on the disk."""

from pydl.datasets.embedded import digits
from pydl.datasets.idx import read_idx
from pydl.datasets.local import data_folder, mnist
from pydl.datasets.splits import stratified_split

__all__ = ["data_folder", "digits", "mnist", "read_idx", "stratified_split"]
