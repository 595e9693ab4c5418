"""One suffix can be several kinds: a backend settles it, else people are asked; never the first row."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import workbench as wb
from workbench.core import kinds
from workbench.core.errors import InputError
from workbench.core.types import Case
from workbench.data import cases, formats

TOYS = Path(__file__).resolve().parents[1] / "third_party" / "toys" / "photos"


@pytest.fixture
def two(monkeypatch, tmp_path):
    """A suffix of two kinds, photos and pictures; the second is sure of files whose name begins with ``page``."""
    monkeypatch.syspath_prepend(str(TOYS))
    from my_photos import rows as toys

    photos = replace(toys.PHOTO, readers={".pict": "my_photos.read"})
    module = tmp_path / "sure_of_pages.py"
    module.write_text(
        "def sniff(path, key):\n"
        "    if path.suffix != '.pict':\n"
        "        return 'no'\n"
        "    return 'sure' if path.name.startswith('page') else 'maybe'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    second = replace(photos, name="picture", title="a picture", files="sure_of_pages")
    rows = {**kinds.kinds(), "photo": photos, "picture": second}
    monkeypatch.setattr(kinds, "kinds", lambda: rows)
    yield rows
    for name in [n for n in sys.modules if n.startswith("my_photos") or n == "sure_of_pages"]:
        del sys.modules[name]


def save(path):
    Pillow.fromarray(np.zeros((4, 5, 3), np.uint8)).save(path, format="PNG")
    return path


def test_what_could_be_several_is_named_and_waits_for_a_kind(two, tmp_path):
    path = save(tmp_path / "a.pict")
    with pytest.raises(InputError) as caught:
        wb.read(path)
    assert str(caught.value) == (
        f"{path}: this can be a photo or a picture. Say which: --kind photo or --kind picture (in Python kind='photo')."
    )
    for verb in (formats.info, formats.kind_of):
        with pytest.raises(InputError, match="this can be a photo or a picture"):
            verb(path)
    assert wb.read(path, kind="picture").kind == "photo"  # the toy reader says what it is; the row was believed
    assert formats.kind_of(path, kind="picture").name == "picture"
    assert formats.is_readable(path)


def test_what_is_expected_settles_a_maybe_and_never_a_sure(two, tmp_path):
    maybe, sure = save(tmp_path / "a.pict"), save(tmp_path / "page.pict")
    assert formats.kind_of(maybe, hint="photo").name == "photo"
    assert formats.kind_of(maybe, hint="picture").name == "picture"
    assert formats.kind_of(sure).name == "picture"
    assert formats.kind_of(sure, hint="photo").name == "picture"
    assert formats.kind_of(sure, kind="photo").name == "photo"
    with pytest.raises(InputError, match="this can be a photo or a picture"):
        formats.kind_of(maybe, hint="volume")


def test_a_backend_settles_the_cases_of_a_study(two, tmp_path, monkeypatch):
    from my_photos.rows import BLOBS

    from workbench.core import registry

    rows = {**registry.backends(), "blobs": BLOBS}
    monkeypatch.setattr(registry, "backends", lambda: rows)
    monkeypatch.setattr("workbench.api.registry.backends", lambda: rows)
    maybe, sure = save(tmp_path / "a.pict"), save(tmp_path / "page.pict")
    (case,) = cases.settled([Case("a", maybe)], BLOBS)
    assert case.options["kind"] == "photo"
    assert cases.open_case(case).kind == "photo"
    with pytest.raises(InputError, match="case 'p': .*this is a picture, and backend blobs takes a photo"):
        cases.settled([Case("p", sure)], BLOBS)
    assert len(wb.predict("blobs", maybe).parts["blobs"]) == 0


def test_no_first_row_wins_in_the_window(two, tmp_path, monkeypatch):
    reader = pytest.importorskip("workbench_napari.shared.reader", exc_type=ImportError)
    asked = []
    monkeypatch.setattr(reader, "_has_window", lambda: True)
    monkeypatch.setattr(reader, "choose", lambda title, text, names: asked.append(names) or "a photo")
    ((data, attributes, kind),) = reader.read(str(save(tmp_path / "a.pict")))
    assert asked == [["a photo", "a picture"]]
    assert (kind, data.shape, attributes["rgb"]) == ("image", (4, 5, 3), True)
    monkeypatch.setattr(reader, "choose", lambda *_: None)
    assert reader.read(str(save(tmp_path / "a.pict"))) == [(None,)]
