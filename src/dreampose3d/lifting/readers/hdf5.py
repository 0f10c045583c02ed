"""Opening HDF5, for the formats that are made of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dreampose3d.lifting.readers.raw import HDF5, KeypointFile


@contextmanager
def opened(file: KeypointFile) -> Iterator[Any]:
    """The open `h5py.File`.

    Raises:
        ValueError: If the extra is missing, or the file is damaged, also where that shows while it is read.
    """
    try:
        import h5py
    except ImportError:
        raise ValueError('reading HDF5 files needs an extra: pip install "dreampose3d[datasets]"') from None
    try:
        with h5py.File(file.path, "r") as data:
            yield data
    except (OSError, LookupError, AttributeError, TypeError, RuntimeError) as error:  # h5py has no error of its own
        raise ValueError(f"the HDF5 file is damaged or cut off ({error}); copy or write it again") from error


def holds(file: KeypointFile, *names: str) -> bool:
    """Whether it is an HDF5 file with datasets or groups of all these names at its top."""
    if file.magic != HDF5:
        return False
    with opened(file) as data:
        return all(name in data for name in names)


def texts(dataset: Any) -> list[str]:
    """A dataset of strings."""
    return [item.decode() if isinstance(item, bytes) else str(item) for item in dataset[()]]
