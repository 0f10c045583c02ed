"""Files appear whole or not at all: written under a temporary name in the same folder, then renamed."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CURES = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another folder"),
    errno.EDQUOT: ("your disk quota is used up", "free some space or choose another folder"),
    errno.EFBIG: ("it is larger than a file may be here", "raise the limit (ulimit -f) or choose another folder"),
    errno.EACCES: ("you may not write there", "choose another folder"),
    errno.EPERM: ("you may not write there", "choose another folder"),
    errno.EROFS: ("that file system is read-only", "choose another folder"),
    errno.ENOENT: ("its folder does not exist", "create it first"),
    errno.ENOTDIR: ("a part of its path is a file, not a folder", "choose another folder"),
    errno.ENAMETOOLONG: ("its name is too long", "choose a shorter one"),
}


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Give a temporary name to write to; rename it to `path` once the block is through.

    Whatever ends the block early (an error, Ctrl-C) removes the temporary file and leaves what stood at `path`.

    Args:
        path: The file wanted. Its folder must exist; a symbolic link is followed.

    Yields:
        A path in the same folder with the same suffix, not there yet.

    Raises:
        OSError: If the file cannot be written: which one, what happened, and what to do.
    """
    wanted = Path(os.path.realpath(path))
    if wanted.exists() and not wanted.is_file():
        raise OSError(f"could not write {path}: it is a folder or a device, not a file; choose another name")
    temporary = wanted.with_name(f".{secrets.token_hex(4)}.partial{wanted.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:  # on the disk before the name points to it
            os.fsync(file.fileno())
        os.replace(temporary, wanted)
    except OSError as error:
        raise _told(error, path, temporary) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def staged(folder: Path | str) -> Iterator[Path]:
    """Give an empty folder to write several files to; move them all into `folder` once the block is through.

    So a job leaves all of its files or none: whatever ends the block early removes what was written,
    and `folder` too if it was not there before.

    Yields:
        A temporary folder inside `folder`.

    Raises:
        OSError: If a file cannot be written, as in `atomic_write`.
    """
    folder = Path(folder)
    made = [missing for missing in (folder, *folder.parents) if not missing.exists()]
    staging = folder / f".{secrets.token_hex(4)}.partial"
    try:
        staging.mkdir(parents=True)
        yield staging
        for file in sorted(staging.iterdir()):
            if (folder / file.name).is_dir():
                raise OSError(f"could not write {file}: a folder of that name is in the way; move it")
        for file in sorted(staging.iterdir()):
            os.replace(file, folder / file.name)
    except OSError as error:
        raise _told(error, folder, staging) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        with suppress(OSError):  # not empty: the job went well
            for missing in made:
                missing.rmdir()


def check_folder_writable(folder: Path | str) -> None:
    """Before a long job: make sure that its results could be written. Leaves nothing behind.

    Args:
        folder: Where the results will go; need not exist yet, then its nearest existing parent is tried.

    Raises:
        OSError: If no file can be written there: what is in the way, and what to do.
    """
    folder = Path(folder)
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    probe = nearest / f".{secrets.token_hex(4)}.partial"
    try:
        probe.write_bytes(b"dreampose3d")
    except OSError as error:
        raise _told(error, folder, probe) from error
    finally:
        with suppress(OSError):
            probe.unlink()


def _told(error: OSError, wanted: Path | str, temporary: Path) -> OSError:
    """The error in words with the name that the user knows; as it is if it is about some other file."""
    if error.errno is None and str(temporary) in str(error):  # put in words further in
        return OSError(str(error).replace(str(temporary), str(wanted)))
    if error.filename is not None and not str(error.filename).startswith(str(temporary)):
        return error
    what, cure = _CURES.get(error.errno or 0, (error.strerror or str(error), "check the disk and the folder"))
    return OSError(f"could not write {wanted}: {what}; {cure}")
