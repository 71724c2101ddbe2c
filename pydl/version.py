"""The version, which the files that pydl writes name, too."""

__version__ = "0.1.0"
