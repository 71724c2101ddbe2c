"""Files: safetensors, .npz and checkpoints. No pickle anywhere, and nothing in a file is run or believed."""

from pydl.io.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from pydl.io.files import load_file, read_metadata, save_file
from pydl.io.models import load_model, save_model
from pydl.io.npz import load_npz, save_npz

__all__ = ["Checkpoint", "load_checkpoint", "load_file", "load_model", "load_npz", "read_metadata",
           "save_checkpoint", "save_file", "save_model", "save_npz"]
