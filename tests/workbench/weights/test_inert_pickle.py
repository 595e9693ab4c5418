"""Plain data is read from pickles of all kinds; whatever could run is refused, and does not run."""

from __future__ import annotations

import builtins
import collections
import io
import os
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.errors import WeightsError
from workbench.weights.inert_pickle import loads, read

ARRAYS = {
    "int64": np.arange(65)[::-1].copy(),
    "int32 table": np.arange(187 * 65, dtype=np.int32).reshape(187, 65),
    "fortran": np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    "view": np.arange(40)[::3],
    "big endian": np.arange(5, dtype=">i4"),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 3), np.uint8),
    "no axes": np.array(2.5),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_every_protocol(name, protocol) -> None:
    found = loads(pickle.dumps({"a": ARRAYS[name], "again": [ARRAYS[name], (1, "x")]}, protocol))
    assert found["a"].dtype == ARRAYS[name].dtype.newbyteorder("=")
    assert np.array_equal(found["a"], ARRAYS[name])
    assert np.array_equal(found["again"][0], ARRAYS[name])
    assert found["again"][1] == (1, "x")


@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_names_of_numpy_1_and_2(module, protocol) -> None:
    content = pickle.dumps({"a": np.arange(7, dtype=np.int32)}, protocol)
    assert b"numpy._core.multiarray" in content
    if protocol < 4:  # names of GLOBAL end with a line, so that they can be replaced
        content = content.replace(b"numpy._core.multiarray", f"{module}.multiarray".encode())
    elif module == "numpy.core":
        content = content.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
        frame = content.index(b"\x95") + 1
        length = int.from_bytes(content[frame : frame + 8], "little") - 1
        content = content[:frame] + length.to_bytes(8, "little") + content[frame + 8 :]
    assert np.array_equal(loads(content)["a"], np.arange(7))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(plain, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_data_comes_back(value, protocol) -> None:
    assert loads(pickle.dumps(value, protocol)) == value


def test_ordered_dictionaries_and_scalars() -> None:
    found = loads(pickle.dumps(collections.OrderedDict(n=np.int64(3), x=np.float32(0.5))))
    assert found == {"n": 3, "x": 0.5}


class _Runs:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def evil(path: Path) -> dict[str, object]:
    touch = f"open({str(path)!r}, 'w').close()"
    return {
        "system": _Runs(os.system, f"touch {path}"),
        "eval": _Runs(eval, touch),
        "exec": _Runs(exec, touch),
        "popen": _Runs(subprocess.getoutput, f"touch {path}"),
        "getattr": _Runs(builtins.getattr, "x", "upper"),
        "numpy load": _Runs(np.load, str(path)),
        "import": _Runs(__import__, "os"),
        "object array": np.array([{"a": 1}, None], dtype=object),
        "class": Path("a"),
        "set": {1, 2},
        "slice": slice(3),
        "complex": np.zeros(2, np.complex64),
        "record": np.zeros(2, [("a", "i4")]),
        "dates": np.zeros(2, "M8[s]"),
        "text": np.array(["a", "b"]),
        "bare name": np.ndarray,
        "codec": _Runs(__import__("codecs").encode, "x", "rot13"),
    }


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("name", evil(Path("x")))
def test_what_could_run_is_refused_and_does_not_run(tmp_path, name, protocol) -> None:
    mark = tmp_path / "was-here"
    file = tmp_path / "evil.pkl"
    file.write_bytes(pickle.dumps({"token_order": np.arange(3), "more": evil(mark)[name]}, protocol))
    with pytest.raises(WeightsError, match="Nothing in it was executed") as error:
        read(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)
    assert not mark.exists()


def test_names_are_never_looked_up() -> None:
    sys.modules.pop("antigravity", None)
    with pytest.raises(WeightsError, match=r"antigravity\.fly"):
        loads(b"cantigravity\nfly\n.")
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"no pickle at all",
        b"(.",
        b"}a.",
        b"]K\x01K\x02e.",
        b"K\x01K\x02.",
        b"Q.",
        b"P1\n.",
        b"h\x05.",
        b"\x80\x05\x97.",  # a buffer from outside
        b"]q\x00h\x00a.",  # a list that holds itself
        b"\x82\x01.",  # a name by number
        pickle.dumps({"a": np.arange(1000)})[:-20],
        b"cnumpy\ndtype\n(Vi8\nI0\nI1\ntR(I3\nVNONSENSE\nNNNI-1\nI-1\nI0\ntb.",
    ],
)
def test_damaged_pickles_give_one_clear_error(content) -> None:
    with pytest.raises(WeightsError) as error:
        loads(content)
    assert "\n" not in str(error.value)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_damage_never_escapes(data) -> None:
    content = bytearray(pickle.dumps({"a": np.arange(9), "b": [1, "x"]}, data.draw(st.sampled_from([0, 2, 4]))))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(WeightsError):
        loads(bytes(content))


def test_what_is_shared_stays_shared() -> None:
    part = [1, 2, 3]
    found = loads(pickle.dumps([part, (part, part), {"a": part}]))
    assert found[0] is found[1][0] is found[1][1] is found[2]["a"]


def _doubled(value: object, times: int) -> object:
    for _ in range(times):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        _doubled([], 60),
        {"label_map": _doubled(0, 40)},
        {"a": (_doubled({"x": 1}, 40),)},
        [b"x" * 1_000_000] * 300,
        ["x" * 1_000_000] * 300,
        [np.zeros(1_000_000, np.uint8)] * 300,
    ],
    ids=["lists", "numbers", "dictionaries", "bytes", "text", "arrays"],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_what_is_shared_until_no_memory_holds_it_is_refused(value, protocol) -> None:
    with pytest.raises(WeightsError, match="more than 256 MB, by naming the same parts again and again"):
        loads(pickle.dumps(value, protocol))


def test_many_arrays_of_the_same_bytes_are_refused_before_they_fill_the_memory() -> None:
    data = b"\x80\x05\x8e" + (1 << 20).to_bytes(8, "little") + bytes(1 << 20) + b"q\x00]"
    made = b"(cnumpy.core.numeric\n_frombuffer\n(h\x00cnumpy\ndtype\n(X\x02\x00\x00\x00u1I0\nI1\ntR(J\x00\x00\x10\x00tX"
    made += b"\x01\x00\x00\x00CtRe"
    _, found = loads(data + made * 3 + b"\x86.")
    assert [a.nbytes for a in found] == [1 << 20] * 3
    with pytest.raises(WeightsError, match="more than 256 MB"):
        loads(data + made * 300 + b"\x86.")


def test_sides_that_are_no_sides_are_refused_at_once() -> None:
    huge = (1 << 8 * 200_000) - 1
    content = pickle.dumps(huge, 2)[2:-1]
    with pytest.raises(WeightsError):
        loads(
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n("
            + content * 40
            + b"tcnumpy\ndtype\n(X\x02\x00\x00\x00u1I0\nI1\ntRI00\nX\x01\x00\x00\x00atb."
        )


def test_an_array_larger_than_its_data_takes_no_memory() -> None:
    buffer = io.BytesIO()
    pickle.dump(np.zeros(4, np.int64), buffer, 2)
    content = buffer.getvalue().replace(b"K\x04\x85", b"J\xff\xff\xff\x7f\x85")
    assert b"J\xff\xff\xff\x7f\x85" in content
    with pytest.raises(WeightsError, match="2147483647"):
        loads(content)


def test_text_with_odd_escapes_warns_nobody() -> None:
    with suppress(WeightsError):  # warnings are errors here
        loads(b"S'\\u'\n.")
