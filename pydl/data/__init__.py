"""Data sets and the batches made of them."""

from pydl.data.collate import default_collate, default_convert
from pydl.data.compose import ChainDataset, ConcatDataset, StackDataset, Subset
from pydl.data.dataset import Dataset, IterableDataset, TensorDataset
from pydl.data.loader import DataLoader
from pydl.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from pydl.data.split import random_split
from pydl.data.workers import get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]
