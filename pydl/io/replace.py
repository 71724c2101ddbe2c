"""Writing a file so that whoever looks finds the old one or the new one, whole, whatever happens in between."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

Path = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(caller: str, path: Path) -> Iterator[BinaryIO]:
    """A file to write to. It becomes `path` when the block ends; if the block raises, it is gone and `path` is as it was.

    It is written beside its target, as rename is atomic only within a file system, and fsynced before it is renamed; then the
    folder is fsynced, so that the new name survives a power cut as well. A process that is killed leaves the old file and a
    `.pydl-*.tmp` beside it. Symbolic links are followed; an existing file keeps its permissions. Raises OSError as
    open() does, ValueError where `path` is something else than a regular file.
    """
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".pydl-{secrets.token_hex(8)}.tmp")
    mode = existing_mode(caller, target)
    try:
        with os.fdopen(created(temporary, path), "wb") as file:
            yield file
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(folder)


def created(temporary: str, path: Path) -> int:
    """A descriptor of the new file. An OSError names `path`, which the caller knows."""
    try:
        return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fsdecode(path)) from error


def existing_mode(caller: str, target: str) -> int | None:
    """The permissions of the file that will be replaced, None where there is none."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise ValueError(f"{caller}: {target}: expected the name of a file, but this is a folder, device or pipe")
    return stat.S_IMODE(mode)


def sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
