"""The record of a weight file as text for people: long lists shortened, what taught it in lines of its own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NAME = 12
_MOST = 8  # numbers, or names, of a list that are shown; of a longer one its ends and its length
_DEEPEST = 4


def record_lines(record: Mapping[str, Any]) -> list[str]:
    """A line per entry; those of ``taught`` one below the other, of ``seen`` how many cases and the first names."""
    lines: list[str] = []
    for key, value in record.items():
        if key == "taught" and isinstance(value, Mapping) and value:
            lines += _block(key, list(_facts(value)))
        elif key == "seen" and isinstance(value, list):
            lines += _block(key, _cases(value))
        else:
            lines.append(f"{key:<{_NAME}} {json.dumps(value) if isinstance(value, dict | list) else value}")
    return lines


def _block(key: str, lines: Sequence[str]) -> list[str]:
    return [f"{key if not i else '':<{_NAME}} {line}" for i, line in enumerate(lines)]


def _cases(entries: Sequence[Any]) -> list[str]:
    """How many cases had which part in the teaching, and the first names of each."""
    known = [e for e in entries if isinstance(e, Mapping)]
    untold = [str(e.get("id", "")) for e in known if e.get("untold")]
    told = [e for e in known if not e.get("untold")]
    lines = [f"{len(told)} case(s), known again by their content"] if told else []
    for role, count in Counter(str(e.get("role", "learnt")) for e in told).items():
        names = [str(e.get("id", "")) for e in told if str(e.get("role", "learnt")) == role]
        lines.append(f"{role}: {count} case(s): {_short(names, most=3)}")
    if untold:
        lines.append(f"and what taught {_short(untold, most=3)}, which do not say it")
    return lines or ["nothing"]


def _facts(facts: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """``name: value`` per fact; facts of facts below it, further in."""
    indent = "  " * depth
    for name, value in facts.items():
        if isinstance(value, Mapping) and value and depth < _DEEPEST and not _is_flat(value):
            yield f"{indent}{name}:"
            yield from _facts(value, depth + 1)
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value) and depth < _DEEPEST:
            for number, entry in enumerate(value[:_MOST], start=1):
                yield f"{indent}{name} {number} of {len(value)}:"
                yield from _facts(entry, depth + 1)
            if len(value) > _MOST:
                yield f"{indent}and {len(value) - _MOST} more"
        else:
            yield f"{indent}{name}: {_plain(value)}"


def _is_flat(value: Mapping[str, Any]) -> bool:
    return len(value) <= _MOST and all(not isinstance(v, Mapping | list) for v in value.values())


def _plain(value: Any) -> str:
    if value is None or value == "":
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list):
        return _short([f"[{_plain(v)}]" if isinstance(v, list) else _plain(v) for v in value])
    return str(value)


def _short(items: Sequence[str], most: int = _MOST) -> str:
    if not items:
        return "none"
    if len(items) <= most:
        return ", ".join(items)
    if most < _MOST:
        return f"{', '.join(items[:most])} and {len(items) - most} more"
    return f"{', '.join(items[:3])} ... {items[-1]} ({len(items)} in all)"
