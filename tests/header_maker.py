"""Makes headers of MetaImage and NRRD that lie, and says what comes of reading them."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.core.errors import InputError
from workbench.data import formats

HOSTILE = Path(__file__).resolve().parents[2] / "shared" / "cases" / "hostile"
_ROOT = Path(__file__).resolve().parents[1]
_META = {
    "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False", "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "0 0 0", "ElementSpacing": "1 1 1",
    "DimSize": "4 4 4", "ElementType": "MET_UCHAR", "ElementDataFile": "LOCAL",
}  # fmt: skip
_NRRD = {"type": "uint8", "dimension": "3", "sizes": "4 4 4", "encoding": "raw"}
_CODE = """
import sys
from workbench.core.errors import WorkbenchError
from workbench.data import formats
try:
    formats.info(sys.argv[1])
    formats.read(sys.argv[1]).data
    print("accepted")
except WorkbenchError as error:
    print(error)
"""


def metaimage(path, content=bytes(64), **changed):
    fields = {**_META, **changed}
    fields["ElementDataFile"] = fields.pop("ElementDataFile")  # always the last one
    text = "".join(f"{k} = {v}\n" for k, v in fields.items())
    path.write_bytes(text.encode() + (content if fields["ElementDataFile"] == "LOCAL" else b""))
    return path


def nrrd(path, content=bytes(64), pairs="", **changed):
    fields = {k.replace("_", " "): v for k, v in {**_NRRD, **changed}.items()}
    path.write_bytes(
        ("NRRD0004\n" + "".join(f"{k}: {v}\n" for k, v in fields.items()) + f"{pairs}\n").encode() + content
    )
    return path


def refused(path, match):
    """Already the header, in one line that names the file."""
    with pytest.raises(InputError, match=match) as caught:
        formats.info(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    assert len(text) < 400 + len(str(path))


def outcome(path):
    """What a process of its own says, within 5 s of processor time beyond what the imports take."""

    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (15, 15))

    run = subprocess.run([sys.executable, "-c", _CODE, str(path)], capture_output=True, text=True, cwd=_ROOT,
                         preexec_fn=limit)  # fmt: skip
    assert run.returncode == 0, (run.returncode, run.stderr[-300:])
    return run.stdout.strip()
