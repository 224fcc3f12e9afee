"""Files that somebody else may have put there: only regular ones are read, and only so much of them."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most ``most`` bytes. Raises OSError, whose ``strerror`` says why."""
    return _read(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), path, most)


def read_below(root: Path, names: tuple[str, ...], most: int) -> bytes:
    """The same for a file below a folder; no name below ``root`` may be a symbolic link, which could lead out of it."""
    path = root.joinpath(*names)
    with _folder(root, names[:-1]) as folder:
        try:
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
            file = os.open(names[-1], flags, dir_fd=folder)
        except OSError as error:
            raise _said(error, path) from None
        return _read(file, path, most)


@contextmanager
def _folder(root: Path, names: tuple[str, ...]) -> Iterator[int]:
    """A folder below another one, open."""
    opened = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                inner = os.open(name, flags, dir_fd=opened)
            except OSError as error:
                raise _said(error, root.joinpath(*names)) from None
            os.close(opened)
            opened = inner
        yield opened
    finally:
        os.close(opened)


def _said(error: OSError, path: Path) -> OSError:
    if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and path.is_symlink()):
        return OSError(errno.ELOOP, "it is a symbolic link; put the file or folder itself there", str(path))
    return OSError(error.errno, error.strerror, str(path))


def _read(file: int, path: Path, most: int) -> bytes:
    """The bytes of an open file, which is closed."""
    try:
        kind = os.fstat(file)
        if not stat.S_ISREG(kind.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if kind.st_size > most:
            raise OSError(errno.EFBIG, f"it has {kind.st_size:,} bytes, and at most {most:,} are read", str(path))
        parts, room = [], most + 1
        while room and (part := os.read(file, min(room, 1 << 24))):
            parts.append(part)
            room -= len(part)
    finally:
        os.close(file)
    if not room:
        raise OSError(errno.EFBIG, f"it grows, and at most {most:,} bytes are read", str(path))
    return b"".join(parts)
