"""Data sets and the batches made of them."""

from pydl.data.collate import default_collate
from pydl.data.dataset import Dataset, Subset, TensorDataset
from pydl.data.loader import DataLoader

__all__ = ["DataLoader", "Dataset", "Subset", "TensorDataset", "default_collate"]
