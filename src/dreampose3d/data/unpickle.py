"""Reads npz files whose arrays are pickled objects, without running what a pickle may ask for.

The benchmarks come as pickled dictionaries, and a pickle is a program: it names functions of any module and calls them.
Here the few names that NumPy's arrays need are answered by our own stand-ins, all others are refused, and NumPy's
unpickling code never runs (it trusts the shapes and types that a pickle states).
"""

import io
import pickle
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray
from numpy.lib import format as npy

_PLAIN = "biufSU"
"""The kinds of array that are only data: truth values, numbers, strings."""


class RefusedPickleError(ValueError):
    """A pickle that asks for something other than arrays, scalars and plain containers."""


def array_names(path: Path) -> tuple[str, ...]:
    """The names of the arrays in an npz file, from its table of contents; none if it is not an npz that can be read."""
    with suppress(OSError, zipfile.BadZipFile, NotImplementedError, ValueError), zipfile.ZipFile(path) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))
    return ()


def read_npz(path: Path, name: str) -> Any:
    """Read one array of an npz file; pickled objects only if they are arrays, scalars and plain containers.

    Args:
        path: The npz file, with pickles as NumPy 1 or 2 wrote them, under Python 2 or 3.
        name: The array.

    Returns:
        The array, read-only; the object itself where the array is a single pickled one (shape ()): a dict, mostly.

    Raises:
        FileNotFoundError: If there is no such file.
        RefusedPickleError: If the pickle asks for anything else, which could run code. (A ValueError.)
        ValueError: If the file is no npz, is damaged, or has no such array (those present are listed).
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            if f"{name}.npy" not in archive.namelist():
                present = ", ".join(n.removesuffix(".npy") for n in archive.namelist()) or "nothing"
                raise ValueError(f"{path}: expected an array {name!r}; the file holds {present}")
            member = io.BytesIO(archive.read(f"{name}.npy"))
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path} is not an npz file or is cut off ({error}); copy or download it again") from error
    try:
        return _read_npy(member)
    except RefusedPickleError as error:
        raise RefusedPickleError(f"{path}, {name}: {error}") from None
    except Exception as error:  # a damaged pickle may raise almost anything
        told = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path}, {name}: damaged ({told}); copy or download the file again") from error


def _read_npy(file: io.BytesIO) -> Any:
    version = npy.read_magic(file)
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if dtype.kind in _PLAIN:
        return _array(dtype, shape, fortran, file.read())
    if dtype.kind != "O":
        raise RefusedPickleError(f"expected numbers, strings or pickled objects, got an array of {dtype}")
    unpickled = _Resolver().resolve(_Unpickler(file, encoding="latin1").load())
    if not isinstance(unpickled, ndarray):
        raise ValueError(f"the pickle holds a {type(unpickled).__name__}, not an array")
    return unpickled.item() if unpickled.shape == () else unpickled


def _array(dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool, raw: bytes) -> Shaped[ndarray, "..."]:
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")


class _DType:
    """Stands in for numpy.dtype: a plain type code, and the byte order that its state adds."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.dtype = np.dtype(str(code))
        if self.dtype.kind not in _PLAIN + "O":
            raise RefusedPickleError(f"expected arrays of numbers, strings or objects, got one of {self.dtype}")

    def __setstate__(self, state: Any) -> None:
        self.dtype = np.dtype(f"{state[1]}{self.dtype.str[1:]}")


@dataclass
class _Array:
    """Stands in for an array whose state is still to come."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle._Unpickler):
    """Answers the names that NumPy's arrays pickle to; refuses all others.

    The answers are bound methods, because a pickle may set attributes on whatever it was given. It builds on the
    unpickler in Python: in that in C one damaged byte (a memo's number) asks for all memory, and there are few objects.
    """

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("numpy", "ndarray"): None,  # an argument of _reconstruct, never called
            ("numpy", "dtype"): self._dtype,
            ("multiarray", "_reconstruct"): self._reconstruct,
            ("multiarray", "scalar"): self._scalar,
            ("numeric", "_frombuffer"): self._from_buffer,
            ("_codecs", "encode"): self._encode,  # how Python 3 writes bytes for Python 2 ...
            ("__builtin__", "bytes"): self._no_bytes,  # ... and none
        }
        for core in ("numpy.core.", "numpy._core."):  # NumPy 1 and 2
            module = module.removeprefix(core)
        if (module, name) not in known:
            raise RefusedPickleError(
                f"its pickle asks for {module}.{name}, which could run code; only NumPy arrays and plain containers "
                "are read, and the benchmarks hold nothing else: get the file again from a source that you trust"
            )
        return known[module, name]

    def _dtype(self, *args: Any) -> _DType:
        return _DType(*args)

    def _reconstruct(self, *_: Any) -> _Array:
        return _Array()

    def _scalar(self, dtype: _DType, raw: Any = b"") -> Any:
        return _array(_plain(dtype), (), False, _bytes(raw)).item()

    def _from_buffer(self, raw: Any, dtype: _DType, shape: Any, order: str) -> _Array:
        return _Array((1, shape, dtype, order == "F", raw))

    def _no_bytes(self) -> bytes:
        return b""

    def _encode(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise RefusedPickleError(f"its pickle asks for the codec {encoding!r}")
        return text.encode("latin1")


def _plain(dtype: _DType) -> np.dtype[Any]:
    if dtype.dtype.kind == "O":
        raise ValueError("an array of objects holds raw bytes")
    return dtype.dtype


def _bytes(raw: Any) -> bytes:
    return raw.encode("latin1") if isinstance(raw, str) else bytes(memoryview(raw))  # str: written by Python 2


class _Resolver:
    """Puts the arrays in the place of their stand-ins, each object once however often it is referred to."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}

    def resolve(self, value: Any) -> Any:
        if not isinstance(value, _Array | dict | list | tuple):
            return value
        if id(value) not in self._done:
            self._done[id(value)] = None  # a container inside itself
            self._done[id(value)] = self._resolved(value)
        return self._done[id(value)]

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.resolve(key): self.resolve(item) for key, item in value.items()}
        if isinstance(value, _Array):
            return self._built(value)
        return type(value)(self.resolve(item) for item in value)

    def _built(self, stand_in: _Array) -> Shaped[ndarray, "..."]:
        _, shape, dtype, fortran, raw = stand_in.state
        if not isinstance(raw, list):
            return _array(_plain(dtype), shape, fortran, _bytes(raw))
        array = np.empty(len(raw), object)
        for i, item in enumerate(raw):
            array[i] = self.resolve(item)
        return array.reshape(shape)  # NumPy lists objects in C order, whatever the flag says
