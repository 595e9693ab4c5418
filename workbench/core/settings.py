"""One declaration per setting: it makes the keyword arguments, the command-line flags and the form in napari.

A backend declares a frozen dataclass whose fields are made with `setting`. Everything else is read from there:
`describe` lists the settings, `build` checks values and makes an instance. No torch, no Qt.
"""

from __future__ import annotations

import dataclasses
import math
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from workbench.core.errors import FaultyExtension, UsageError, nearest

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


def setting(
    default: Any,
    help: str,
    *,
    unit: str | None = None,
    low: float | None = None,
    high: float | None = None,
    advanced: bool = False,
    aliases: tuple[str, ...] = (),
    names_file: bool = False,
) -> Any:
    """Declare one field of a `Config`: default value, help text, unit and allowed range (both ends included).

    `advanced` settings are folded away in the napari form and listed last in ``--help``. `aliases` are other names that
    the setting goes by, as a keyword and as a flag. `names_file`: it is the path of a file that decides what the result
    is, so that a result counts as made from what that holds.
    """
    meta = {"help": help, "unit": unit, "low": low, "high": high, "advanced": advanced, "aliases": aliases}
    meta["names_file"] = names_file
    return dataclasses.field(default=default, metadata=meta)


@dataclass(frozen=True)
class Setting:
    """One setting, as the command line and the form see it.

    ``type`` is one of ``bool, int, float, str``; ``size`` is 0 for a single value, n for a fixed tuple of n values and
    -1 for any number of them; ``choices`` holds the values of a ``Literal``; ``optional`` allows ``None``.
    """

    name: str
    type: type
    default: Any
    help: str
    unit: str | None
    low: float | None
    high: float | None
    advanced: bool
    choices: tuple[Any, ...]
    size: int
    optional: bool
    aliases: tuple[str, ...] = ()
    names_file: bool = False

    @property
    def flag(self) -> str:
        return _flag(self.name)

    @property
    def flags(self) -> list[str]:
        """The flag, and those of the other names."""
        return [self.flag, *map(_flag, self.aliases)]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def describe(config: type) -> dict[str, Setting]:
    """All settings of a config class by name, in order of declaration."""
    hints = get_type_hints(config)
    found = {}
    for f in dataclasses.fields(config):
        if "help" not in f.metadata:
            raise FaultyExtension(
                f"{config.__module__}.{config.__qualname__}: the setting '{f.name}' was not declared with"
                " workbench.setting(default, help, ...). Tell the makers of the package that brings it."
            )
        kind, choices, size, optional = _parse_hint(hints[f.name])
        m = f.metadata
        found[f.name] = Setting(
            f.name, kind, f.default, m["help"], m["unit"], m["low"], m["high"], m["advanced"], choices, size, optional,
            m.get("aliases", ()), m.get("names_file", False),
        )  # fmt: skip
    return found


def _parse_hint(hint: Any) -> tuple[type, tuple[Any, ...], int, bool]:
    optional = False
    if get_origin(hint) in (Union, types.UnionType):
        members = [a for a in get_args(hint) if a is not type(None)]
        optional = len(members) < len(get_args(hint))
        hint = members[0]
    if get_origin(hint) is Literal:
        values = get_args(hint)
        return type(values[0]), values, 0, optional
    if get_origin(hint) is tuple:
        args = get_args(hint)
        if len(args) == 2 and args[1] is Ellipsis:
            return args[0], (), -1, optional
        return args[0], (), len(args), optional
    return hint, (), 0, optional


def build(config: type[T], values: dict[str, Any]) -> T:
    """Make a config from keyword values; unknown names, wrong types and values out of range are usage errors."""
    known = describe(config)
    other = {alias: s.name for s in known.values() for alias in s.aliases}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        key = name.replace("-", "_")
        key = other.get(key, key)
        if key in checked:
            raise UsageError(f"{key} is given twice, once as '{name}'")
        if key not in known:
            raise UsageError(f"unknown setting '{name}'.{nearest(key, known)}")
        checked[key] = _check(known[key], value)
    return config(**checked)


def _check(s: Setting, value: Any) -> Any:
    if value is None:
        if s.optional:
            return None
        raise UsageError(f"{s.name} needs a value ({s.type.__name__})")
    if s.size == 0:
        return _check_one(s, value)
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise UsageError(f"{s.name}={value!r}: expected {'several' if s.size < 0 else s.size} values")
    items = tuple(_check_one(s, v) for v in value)
    if s.size > 0 and len(items) != s.size:
        raise UsageError(f"{s.name}={value!r}: got {len(items)} values, expected {s.size}")
    return items


def _check_one(s: Setting, value: Any) -> Any:
    if s.type is bool and not isinstance(value, bool):
        raise UsageError(f"{s.name}={value!r}: expected true or false")
    try:
        if s.type is int and isinstance(value, float) and value != int(value):
            raise ValueError
        if s.type in (int, float) and isinstance(value, bool):
            raise ValueError
        value = s.type(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{s.name}={value!r}: expected {s.type.__name__}") from None
    if s.type is float and not math.isfinite(value):  # no range would stop it: nothing is below or above NaN
        raise UsageError(f"{s.name}={value}: expected a finite number")
    if s.choices and value not in s.choices:
        raise UsageError(f"{s.name}={value!r} is not one of {', '.join(map(str, s.choices))}.")
    unit = f" {s.unit}" if s.unit else ""
    if s.low is not None and value < s.low:
        raise UsageError(f"{s.name}={value}{unit} is below the lowest allowed value {s.low}{unit}")
    if s.high is not None and value > s.high:
        raise UsageError(f"{s.name}={value}{unit} is above the highest allowed value {s.high}{unit}")
    return value


def file_hashes(config: Any) -> dict[str, str]:
    """Hash of each file that a setting names, by the name of the setting; of one that is not there "missing".

    Of a folder that of the names, sizes and times of the files in it and in its folders.
    """
    from pathlib import Path

    named = {s.name: getattr(config, s.name) for s in describe(type(config)).values() if s.names_file}
    paths = {name: Path(value).expanduser() for name, value in named.items() if value}
    return {name: _hash_of(path) for name, path in paths.items()}


def _hash_of(path: Path) -> str:
    from workbench.core.atomic import sha256_of

    if path.is_dir():
        import hashlib

        inside = sorted(f for f in (*path.glob("*"), *path.glob("*/*")) if f.is_file())
        facts = [(str(f.relative_to(path)), s.st_size, s.st_mtime_ns) for f in inside for s in [f.stat()]]
        return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()
    return sha256_of(path) if path.is_file() else "missing"


def as_dict(config: Any) -> dict[str, Any]:
    """Plain values of a config, for provenance records."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(config).items()}
