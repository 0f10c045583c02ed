import io
import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from dreampose3d.data.unpickle import RefusedPickleError, array_names, read_npz

NESTED = {
    "S1": {"Walking 1": [np.arange(12, dtype=np.float32).reshape(2, 3, 2), np.zeros((0, 17, 2), np.float32)]},
    "metadata": {"num_joints": 17, "symmetry": [[4, 5], [1, 2]], "layout": "h36m", "pair": (1, None), "on": True},
    "fps": np.float64(50.0),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big_endian": np.arange(4, dtype=">i2"),
    "strings": np.array(["left", "right"]),
    "bytes": np.array([b"a", b"bc"]),
    "truth": np.array([True, False]),
    "ragged": np.array([np.zeros(2), np.ones(3), None], object),
    "raw": b"\x00\xff",
}


def test_a_pickled_dictionary_of_arrays_is_read(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", positions={"S1": {"Walking": np.ones((4, 32, 3), np.float32)}})
    positions = read_npz(tmp_path / "a.npz", "positions")
    np.testing.assert_array_equal(positions["S1"]["Walking"], np.ones((4, 32, 3)))
    assert positions["S1"]["Walking"].dtype == np.float32
    assert array_names(tmp_path / "a.npz") == ("positions",)


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_every_pickle_of_arrays_returns_what_went_in(tmp_path, protocol, core):
    """Whatever the protocol, and whichever of NumPy's two module paths it names."""
    path = write_pickle(tmp_path, renamed(pickle.dumps(boxed(NESTED), protocol), core))
    assert_same(read_npz(path, "x"), NESTED)
    assert_same(read_npz(path, "x"), np.load(path, allow_pickle=True)["x"].item())


def test_plain_arrays_need_no_pickle(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(6.0).reshape(2, 3), name=np.array("h36m"), f=np.asfortranarray(np.eye(3)))
    assert_same(read_npz(tmp_path / "a.npz", "x"), np.arange(6.0).reshape(2, 3))
    assert_same(read_npz(tmp_path / "a.npz", "f"), np.eye(3))
    assert str(read_npz(tmp_path / "a.npz", "name")) == "h36m"


def test_an_array_of_objects_keeps_its_shape(tmp_path):
    objects = np.empty((2, 3), object, order="F")
    objects[:] = [[1, "two", None], [np.arange(3), (4,), {"five": 5}]]
    np.savez(tmp_path / "a.npz", x=objects)
    read = read_npz(tmp_path / "a.npz", "x")
    assert read.shape == (2, 3)
    assert_same(read.tolist(), objects.tolist())


def test_what_python_2_wrote_is_read(tmp_path):
    """Its strings and array data are 8-bit strings: opcode U, which Python 3 no longer writes."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR"
        b"(I1\n(I2\ntcnumpy\ndtype\n(U\x02f4I0\nI1\ntR(I3\nU\x01<NNNI-1\nI-1\nI0\ntbI00\nU\x08\x00\x00\x80?\x00\x00\x00@tb"
    )
    outer = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR"
        b"(I1\n(tcnumpy\ndtype\n(U\x02O8I0\nI1\ntR(I3\nU\x01|NNNI-1\nI-1\nI63\ntbI00\n(l(dU\x02S1" + array + b"satb."
    )
    assert_same(read_npz(write_pickle(tmp_path, outer), "x"), {"S1": np.array([1, 2], np.float32)})


def test_a_shared_array_stays_one_and_nesting_costs_no_time(tmp_path):
    """Twice the same list, sixty times over: 2^60 leaves if each reference were followed."""
    nest = [np.ones(2)]
    for _ in range(60):
        nest = [nest, nest]
    path = write_pickle(tmp_path, pickle.dumps(boxed(nest)))
    read = read_npz(path, "x")
    assert read[0] is read[1]


class Runs:
    """Pickles to the call of any function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def marker(path):
    path.write_text("the pickle ran")


HOSTILE = {
    "system": lambda target: Runs(os.system, f"touch {target}"),
    "eval": lambda target: Runs(eval, f"open({str(target)!r}, 'w')"),
    "open": lambda target: Runs(open, str(target), "w"),
    "getattr": lambda target: Runs(getattr, "text", "upper"),
    "fromfile": lambda target: Runs(np.fromfile, "/dev/null"),
    "memmap": lambda target: np.memmap(target, np.uint8, "w+", shape=(4,)),
    "class": lambda target: pathlib.PurePosixPath(target),
    "function": lambda target: os.getcwd,
    "nested in an array": lambda target: {"S1": np.array([Runs(os.mkdir, str(target)), None], object)},
    "datetime": lambda target: {"when": np.datetime64("2020-01-01").item()},
    "a set of objects": lambda target: {"x": frozenset({1}), "y": Runs(os.mkdir, str(target))},
    "masked array": lambda target: np.ma.masked_array([1, 2], [True, False]),
    "random state": lambda target: np.random.RandomState(0),
    "codec": lambda target: Runs(__import__("_codecs").encode, "text", "rot13"),
}


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_pickle_that_asks_for_anything_else_is_refused_and_does_not_run(tmp_path, hostile, protocol):
    target = tmp_path / "target"
    path = write_pickle(tmp_path, pickle.dumps(boxed(hostile(target)), protocol))
    target.unlink(missing_ok=True)
    with pytest.raises(RefusedPickleError, match=r"hostile\.npz, x: its pickle asks for .*"):
        read_npz(path, "x")
    assert not target.exists()


@pytest.mark.parametrize(
    "state",
    [
        (1, (1,), "O8", False, b"\x10" * 8),  # raw bytes as pointers: NumPy's own unpickling would follow them
        (1, (1000,), "f4", False, b"\x00" * 4),  # a shape beyond its data
        (1, (-1, 3), "f4", False, b"\x00" * 4),
        (1, ("two",), "f4", False, b"\x00" * 4),
        (1, (1,), "nonsense", False, b"\x00" * 4),
        (1, (1,), "f4,O", False, b"\x00" * 12),
        (1, (1,), "V4", False, b"\x00" * 4),
        (1, (1,), "M8[s]", False, b"\x00" * 8),
        (1, (1,), "f4", False, None),
        (1, (2,), "O8", False, [1]),
        "no state",
        None,
    ],
)
def test_an_array_whose_state_lies_is_refused(tmp_path, state):
    path = write_pickle(tmp_path, pickle.dumps(boxed([Forged(state)])))
    with pytest.raises(ValueError, match=r"hostile\.npz, x: (damaged|expected arrays of numbers)"):
        read_npz(path, "x")


class Forged:
    """Pickles to NumPy's way of building an array, with a state of our own."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        state = self.state
        if isinstance(state, tuple):
            version, shape, code, fortran, raw = state
            state = (version, shape, Runs(np.dtype, code) if code != "O8" else np.dtype("O"), fortran, raw)
        return np.ndarray.__reduce__(np.zeros(1))[0], (np.ndarray, (0,), b"b"), state


def test_a_pickle_cannot_change_its_reader(tmp_path):
    """BUILD sets attributes on whatever the pickle was given: on our answers it finds none to set."""
    attack = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nN}(X\x08\x00\x00\x00__code__X\x08\x00\x00\x00__call__u\x86b."
    )
    with pytest.raises(ValueError, match="damaged"):
        read_npz(write_pickle(tmp_path, attack), "x")
    path = write_pickle(tmp_path, pickle.dumps(boxed(NESTED)))
    assert_same(read_npz(path, "x"), NESTED)


def test_random_damage_is_an_error_or_changes_nothing_but_values(tmp_path):
    """Any byte of the pickle may be wrong: a ValueError, or another plain object; never anything else."""
    good = bytearray(pickle.dumps(boxed(NESTED), 4))
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        bad = bytearray(good)
        bad[rng.integers(len(bad))] = rng.integers(256)
        try:
            read_npz(write_pickle(tmp_path, bytes(bad)), "x")
        except ValueError as error:
            refused += "hostile.npz, x: " in str(error)
    assert refused > 50


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[: len(data) // 2], "is not an npz file or is cut off"),
        (lambda data: data[:-30], "is not an npz file or is cut off"),
        (lambda data: b"", "is not an npz file or is cut off"),
        (lambda data: data[:60] + bytes(20) + data[80:], "cut off|damaged"),
        (lambda data: b"<html>Quota exceeded</html>", "is not an npz file"),
    ],
)
def test_a_broken_file_says_so(tmp_path, change, words):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x={"S1": np.random.default_rng(0).normal(size=(50, 3))})
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=words):
        read_npz(path, "x")


def test_a_missing_file_or_array_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: .*nothing\.npz"):
        read_npz(tmp_path / "nothing.npz", "x")
    np.savez(tmp_path / "a.npz", positions_3d=1, other=2)
    with pytest.raises(ValueError, match=r"expected an array 'positions_2d'; the file holds positions_3d, other"):
        read_npz(tmp_path / "a.npz", "positions_2d")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(2, "f4,i4"), "expected numbers, strings or pickled objects, got an array of"),
        (np.zeros(2, "M8[s]"), "expected numbers, strings or pickled objects, got an array of datetime64"),
        (np.zeros(2, complex), "got an array of complex128"),
    ],
)
def test_other_types_of_array_are_refused(tmp_path, array, words):
    np.savez(tmp_path / "a.npz", x=array)
    with pytest.raises(RefusedPickleError, match=words):
        read_npz(tmp_path / "a.npz", "x")


def test_a_strange_file_has_no_arrays(tmp_path):
    (tmp_path / "text").write_text("hello")
    with zipfile.ZipFile(tmp_path / "docx", "w") as archive:
        archive.writestr("word/document.xml", "<xml/>")
    for name in ("text", "docx", "missing", "."):
        assert array_names(tmp_path / name) == ()


def boxed(value):
    """As np.savez boxes a dictionary: an array of shape () that holds it."""
    box = np.empty((), object)
    box[()] = value
    return box


def renamed(data, core):
    """The same pickle with the other of NumPy's module paths: another length, so without the frame that states it."""
    old, new = b"numpy._core", core.encode()
    data = data[:2] + data[11:] if data[2:3] == pickle.FRAME else data
    for name in (b".multiarray", b".numeric"):
        for size in (1, 4):  # SHORT_BINUNICODE, BINUNICODE
            data = data.replace(
                len(old + name).to_bytes(size, "little") + old + name,
                len(new + name).to_bytes(size, "little") + new + name,
            )
        data = data.replace(b"c" + old + name + b"\n", b"c" + new + name + b"\n")
    return data


def write_pickle(folder, data):
    """An npz with one array `x` of shape () whose pickle is `data`."""
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "|O", "fortran_order": False, "shape": ()})
    with zipfile.ZipFile(folder / "hostile.npz", "w") as archive:
        archive.writestr("x.npy", member.getvalue() + data)
    return folder / "hostile.npz"


def assert_same(got, expected):
    if isinstance(expected, np.ndarray) and expected.dtype != object:
        np.testing.assert_array_equal(got, expected)
        assert got.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
    elif isinstance(expected, dict):
        assert list(got) == list(expected)
        for key in expected:
            assert_same(got[key], expected[key])
    elif isinstance(expected, list | tuple | np.ndarray):
        assert type(got) is type(expected)
        for one, other in zip(got, expected, strict=True):
            assert_same(one, other)
    else:
        assert got == expected
