import pytest

from workbench.core.atomic import replacing, sha256_of, write_json, write_text
from workbench.core.errors import UsageError, visible
from workbench.core.types import plain_name


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(b"old")

    def half_written():
        with replacing(path) as part:
            assert part.name.endswith(".nii.gz")
            part.write_bytes(b"half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        half_written()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["mask.nii.gz"]


def test_an_unusable_folder_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot write .*file/x.json"):
        write_json(tmp_path / "file" / "x.json", {})


def test_bytes_of_a_name_that_are_no_text_are_written_as_escapes(tmp_path):
    name = b"bad\xff".decode("utf-8", "surrogateescape")
    assert write_text(tmp_path / "a.html", f"<h1>{name}</h1>").read_text(encoding="utf-8") == r"<h1>bad\udcff</h1>"
    assert visible(name) == r"bad\udcff"
    assert plain_name(name) == "bad_udcff"


def test_hash_of_a_folder_sees_names_and_contents(tmp_path):
    (tmp_path / "a").write_text("1")
    first = sha256_of(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert sha256_of(tmp_path) != first
