"""Small spectral scenes on disk, for tests."""

from pathlib import Path

import numpy as np

BANDS, ROWS, COLUMNS = 7, 9, 11
TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
ORDER = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}
MAP_INFO = "{UTM, 1, 1, 565000.0, 4150000.0, 20.0, 20.0, 10, North, WGS-84, units=Meters}"


def cube(code: int = 2, seed: int = 0) -> np.ndarray:
    """Smooth spectra (bands, rows, columns) that fill much of the range of the type."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(TYPES[code])
    smooth = rng.normal(size=(BANDS, ROWS, COLUMNS)).cumsum(0).cumsum(1).cumsum(2)
    unit = (smooth - smooth.min()) / np.ptp(smooth)
    if dtype.kind == "f":
        return unit.astype(dtype)
    top = min(float(np.iinfo(dtype).max), 2.0**50)
    low = -top / 3 if dtype.kind == "i" else 0.0
    return (low + unit * (top - low) * 0.9).astype(dtype)


def save_envi(
    folder: Path, data: np.ndarray, *, name="scene", suffix=".dat", interleave="bsq", big=False, edit=(), **fields
):
    """An ENVI pair written byte by byte, independent of the package; returns the header's path."""
    bands, rows, columns = data.shape
    code = next(c for c, t in TYPES.items() if np.dtype(t) == data.dtype)
    offset = int(fields.get("header_offset", 0))
    order = ORDER[interleave]
    body = np.ascontiguousarray(data.transpose(order)).astype(data.dtype.newbyteorder(">" if big else "<")).tobytes()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}{suffix}").write_bytes(b"\x7f" * offset + body)
    header = {
        "samples": columns, "lines": rows, "bands": bands, "header offset": offset, "file type": "ENVI Standard",
        "data type": code, "interleave": interleave, "byte order": int(big),
    }  # fmt: skip
    header |= {k.replace("_", " "): v for k, v in fields.items()} | dict(edit)
    path = folder / f"{name}.hdr"
    path.write_text("ENVI\n" + "".join(f"{k} = {v}\n" for k, v in header.items() if v is not None))
    return path
