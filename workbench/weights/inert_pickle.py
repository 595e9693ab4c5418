"""Read a pickle of plain data without executing it: dictionaries, lists, text, numbers and numpy arrays.

A pickle is a program for a small machine, and the usual way to read one runs it, with whatever it calls. Here the
program is only looked at (`pickletools.genops`); the few instructions that data needs are carried out on inert objects,
and everything else is refused before anything happens. Of all names a pickle can mention, those of numpy's
array constructors are known, and they are never looked up: what they would make is made here.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import PARSING, WeightsError

_SIZE_LIMIT = 256 << 20
"""Bytes of the file, of the arrays that it makes, and of all that it holds once what is shared is written out."""
_SIDE_LIMIT = 1 << 40
_KINDS = {f"{kind}{size}" for kind, sizes in (("i", "1248"), ("u", "1248"), ("f", "248"), ("b", "1")) for size in sizes}

_NUMPY_CORE = ("numpy.core", "numpy._core")  # numpy 1 and 2
_NAMES: dict[tuple[str, str], str] = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("collections", "OrderedDict"): "ordered",
    ("__builtin__", "bytes"): "bytes",
    ("builtins", "bytes"): "bytes",
    **{(f"{core}.multiarray", "_reconstruct"): "reconstruct" for core in _NUMPY_CORE},
    **{(f"{core}.multiarray", "scalar"): "scalar" for core in _NUMPY_CORE},
    **{(f"{core}.numeric", "_frombuffer"): "frombuffer" for core in _NUMPY_CORE},
}


@dataclass(frozen=True)
class _Name:
    """A name that the pickle mentions; it stands for itself only."""

    what: str


@dataclass
class _DType:
    code: str
    order: str = "<"

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


@dataclass
class _Array:
    """An array to be: numpy first makes an empty one, and then gives it its content."""

    content: npt.NDArray[Any] | None = None


class _Mark:
    pass


class _Refused(Exception):
    pass


@dataclass
class _Machine:
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    made: int = 0
    """Bytes of arrays and text made so far; a few instructions make one more of bytes that lie in the memo."""

    def count(self, made: Any) -> Any:
        self.made += _own_bytes(made)
        _require_small(self.made)
        return made

    def pop(self) -> Any:
        if not self.stack or isinstance(self.stack[-1], _Mark):
            raise _Refused("it is cut off or damaged")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        for at in range(len(self.stack) - 1, -1, -1):
            if isinstance(self.stack[at], _Mark):
                items = self.stack[at + 1 :]
                del self.stack[at:]
                return items
        raise _Refused("it is cut off or damaged")

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise _Refused("it is cut off or damaged")
        return self.stack[-1]


def read(path: Path) -> Any:
    """The data of a pickle file.

    Raises
    ------
    WeightsError
        Anything in it that is not plain data, or a damaged file. Nothing is executed in any case.
    """
    size = path.stat().st_size
    if size > _SIZE_LIMIT:
        raise WeightsError(f"{path}: {size / 1e6:.0f} MB, expected at most {_SIZE_LIMIT >> 20} MB of plain data")
    try:
        return loads(path.read_bytes())
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def loads(content: bytes) -> Any:
    """The data of a pickle; see `read`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of odd escapes in damaged text
        return _loads(content)


def _loads(content: bytes) -> Any:
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                result = machine.pop()
                if machine.stack:
                    raise _Refused("it is cut off or damaged")
                return _finished(result, {}, {})
            _carry_out(machine, opcode.name, argument)
    except _Refused as error:
        raise WeightsError(
            f"refused, because this pickle is more than plain data: {error}. Nothing in it was executed; "
            "ask its maker for a .safetensors or .json file"
        ) from None
    except (ValueError, TypeError, IndexError, KeyError, UnicodeError, OverflowError, RecursionError) as error:
        raise WeightsError(
            f"not a readable pickle ({str(error).splitlines()[0][:120] if str(error) else error!r})"
        ) from error
    raise WeightsError("not a readable pickle (it has no end)")


def _carry_out(machine: _Machine, name: str, argument: Any) -> None:
    stack = machine.stack
    if name in _VALUES:
        stack.append(argument)
    elif name in _NEW:
        stack.append(_NEW[name]())
    elif name in ("PROTO", "FRAME"):
        pass
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        machine.memo[argument] = machine.top(object)
    elif name == "MEMOIZE":
        machine.memo[len(machine.memo)] = machine.top(object)
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(machine.memo[argument])
    elif name in ("LIST", "TUPLE"):
        items = machine.pop_to_mark()
        stack.append(items if name == "LIST" else tuple(items))
    elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        items = [machine.pop() for _ in range(int(name[-1]))]
        stack.append(tuple(reversed(items)))
    elif name in ("APPEND", "APPENDS"):
        items = [machine.pop()] if name == "APPEND" else machine.pop_to_mark()
        machine.top(list).extend(items)
    elif name in ("SETITEM", "SETITEMS", "DICT"):
        items = [machine.pop(), machine.pop()][::-1] if name == "SETITEM" else machine.pop_to_mark()
        if name == "DICT":
            stack.append({})
        machine.top(dict).update(_pairs(items))
    elif name in ("GLOBAL", "STACK_GLOBAL"):
        if name == "GLOBAL":
            module, _, attribute = argument.partition(" ")
        else:
            attribute, module = machine.pop(), machine.pop()
        if (module, attribute) not in _NAMES:
            raise _Refused(f"it names {str(module)[:60]}.{str(attribute)[:60]}")
        stack.append(_Name(_NAMES[module, attribute]))
    elif name == "REDUCE":
        arguments, made_by = machine.pop(), machine.pop()
        if not isinstance(made_by, _Name) or not isinstance(arguments, tuple):
            raise _Refused("it calls something that is no constructor of data")
        stack.append(machine.count(_made(made_by.what, arguments)))
    elif name == "BUILD":
        state = machine.pop()
        _filled(machine.top(object), state)
        machine.count(machine.top(object))
    else:
        raise _Refused(f"it uses the instruction {name}")


_VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING",
    "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip

_NEW: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": _Mark,
}


def _pairs(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise _Refused("it is cut off or damaged")
    keys = items[::2]
    if not all(isinstance(k, str | int | bytes) for k in keys):
        raise _Refused("it has a dictionary with keys that are neither text nor numbers")
    return dict(zip(keys, items[1::2], strict=True))


def _made(what: str, arguments: tuple[Any, ...]) -> Any:
    """What numpy's constructors (and two of Python's) would make of these arguments."""
    match what, arguments:
        case "dtype", (str() as code, *_) if code in _KINDS:
            return _DType(code)
        case "dtype", (code, *_):
            raise _Refused(f"it has an array of type {str(code)[:20]}, expected plain numbers")
        case "reconstruct", (_Name("ndarray"), (0,), _):
            return _Array()
        case "frombuffer", (bytes() | bytearray() as data, _DType() as dtype, tuple() as shape, str() as order):
            return _Array(_array(dtype, shape, data, order == "F"))
        case "scalar", (_DType() as dtype, bytes() as data):
            return _array(dtype, (), data, False)[()].item()
        case "encode", (str() as text, "latin1" | "latin-1"):
            return text.encode("latin-1")
        case "ordered", ():
            return {}
        case "bytes", ():
            return b""
    raise _Refused(f"it calls {what} in a way that numpy does not")


def _filled(target: Any, state: Any) -> None:
    match target, state:
        case _DType(), (int(), "<" | ">" | "=" | "|" as order, None, None, None, *_):
            target.order = order
        case _Array(), (int(), tuple() as shape, _DType() as dtype, fortran, bytes() | str() as data):
            raw = data.encode("latin-1") if isinstance(data, str) else data
            target.content = _array(dtype, shape, raw, bool(fortran))
        case _:
            raise _Refused("it sets the state of something that is no array")


def _array(dtype: _DType, shape: tuple[Any, ...], data: bytes | bytearray, fortran: bool) -> npt.NDArray[Any]:
    kind = dtype.numpy()
    if len(shape) > 32 or not all(isinstance(n, int) and 0 <= n < _SIDE_LIMIT for n in shape):
        raise _Refused("it has an array of no possible shape")
    expected = kind.itemsize
    for n in shape:
        expected *= n
    if expected != len(data):
        raise _Refused(f"it has an array of shape {shape} in {len(data)} bytes, expected {expected}")
    flat = np.frombuffer(bytes(data), kind).astype(kind.newbyteorder("="))
    return flat.reshape(shape, order="F" if fortran else "C")


def _finished(value: Any, known: dict[int, Any], sizes: dict[int, int]) -> Any:
    """With arrays in place of what they were made of; nothing that holds itself, nor more than a file may hold.

    `known` keeps what each container became (or that it is in the making), so that what is shared stays shared;
    `sizes` the bytes of each with all that it holds, counted as often as it is named: whoever makes an array of a
    list writes out what is shared in it.
    """
    if isinstance(value, _Array):
        if value.content is None:
            raise _Refused("it has an array without content")
        return value.content
    if isinstance(value, _Name | _DType | _Mark):
        raise _Refused("it holds a constructor instead of data")
    if not isinstance(value, dict | list | tuple):
        return value
    if id(value) not in known:
        known[id(value)] = _Mark
        parts = list(value.values() if isinstance(value, dict) else value)
        made = [_finished(v, known, sizes) for v in parts]
        sizes[id(value)] = sum(8 + (sizes[id(v)] if id(v) in sizes else _own_bytes(v)) for v in parts)
        _require_small(sizes[id(value)])
        known[id(value)] = dict(zip(value, made, strict=True)) if isinstance(value, dict) else type(value)(made)
    elif known[id(value)] is _Mark:
        raise _Refused("it holds something that holds itself")
    return known[id(value)]


def _own_bytes(value: Any) -> int:
    """Bytes of an array or of text; containers are counted by what they hold."""
    if isinstance(value, _Array):
        return 0 if value.content is None else value.content.nbytes
    return len(value) if isinstance(value, str | bytes | bytearray) else 0


def _require_small(size: int) -> None:
    if size > _SIZE_LIMIT:
        raise _Refused(
            f"written out it holds more than {_SIZE_LIMIT >> 20} MB, by naming the same parts again and again"
        )


def is_pickle(content: bytes) -> bool:
    """Whether it is a checkpoint of PyTorch or a pickle of another kind, one that names something to call."""
    if content.startswith(b"PK\x03\x04") or (content[:1] == b"\x80" and content[1:2] in (b"\2", b"\3", b"\4", b"\5")):
        return True
    try:
        return any(op.name in ("GLOBAL", "INST", "STACK_GLOBAL") for op, _, _ in pickletools.genops(content))
    except PARSING:
        return False
