"""EEGLAB data sets: MATLAB 5 files by scipy, MATLAB 7.3 ones by h5py as MATLAB lays out structures in HDF5."""

import numpy as np
from scipy import io

RATE = 100.0
NAMES = ("Fz", "Cz", "Pz", "EOG1")


def fields(data, *, rate=RATE, events=(), names=NAMES, trials=1, first=0.0, places=True):
    """The structure ``EEG`` of samples ``(channels, samples, ...)`` in microvolt; `events` as (sample, type)."""
    width = data.shape[1]
    where = [(85.0 * np.cos(n), 85.0 * np.sin(n), 10.0) for n in range(len(names))]
    return {
        "setname": "made", "nbchan": float(data.shape[0]), "pnts": float(width), "trials": float(trials),
        "srate": rate, "xmin": first, "xmax": first + (width - 1) / rate, "data": data.astype("f4"),
        "chanlocs": [
            {"labels": n, "type": "EOG" if "EOG" in n else "EEG"}
            | (dict(zip("XYZ", p, strict=True)) if places else {}) for n, p in zip(names, where, strict=True)
        ],
        "event": [{"type": kind, "latency": at + 1.0, "duration": 1.0} for at, kind in events],
        "history": "pop_loadset", "etc": [{"tags": "x"}],
    }  # fmt: skip


def signals(channels=4, samples=500, trials=0):
    shape = (channels, samples, trials) if trials else (channels, samples)
    return np.random.default_rng(0).normal(0, 20, shape).astype("f4")


def save(path, eeg, *, version=5, beside=False, flat=False, packed=False):
    """Write it, the samples into an ``.fdt`` beside it if `beside`, each field as a variable if `flat`."""
    if beside:
        eeg["data"].astype("<f4").ravel(order="F").tofile(path.with_suffix(".fdt"))
        eeg = {**eeg, "data": path.with_suffix(".fdt").name}
    content = eeg if flat else {"EEG": eeg}
    if version == 5:
        io.savemat(path, {k: _plain(v) for k, v in content.items()}, do_compression=packed)
        return path
    import h5py

    with h5py.File(path, "w", userblock_size=512) as f:
        for name, value in content.items():
            _put(f, f, name, value)
    with path.open("r+b") as out:
        out.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def _plain(value):
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if not isinstance(value, list):
        return value
    if not value:
        return np.empty((0, 0))
    made = np.empty((1, len(value)), dtype=[(k, object) for k in value[0]])
    for n, row in enumerate(value):
        made[0, n] = tuple(row.values())
    return made


def _put(file, group, name, value):
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list) and len(value) == 1:
        inner = group.create_group(name)
        inner.attrs["MATLAB_class"] = np.bytes_("struct")
        for key, item in value[0].items():
            _put(file, inner, key, item)
    elif isinstance(value, list) and value:
        inner = group.create_group(name)
        inner.attrs["MATLAB_class"] = np.bytes_("struct")
        for key in value[0]:
            made = []
            for row in value:
                place = f"#refs#/r{len(file.require_group('#refs#'))}"
                _put(file, file, place, row[key])
                made.append(file[place].ref)
            import h5py

            inner.create_dataset(key, data=np.array(made, dtype=h5py.ref_dtype)[:, None], dtype=h5py.ref_dtype)
    elif isinstance(value, list) or (isinstance(value, str) and not value):
        made = group.create_dataset(name, data=np.zeros(2, "u8"))
        made.attrs["MATLAB_class"] = np.bytes_("double" if isinstance(value, list) else "char")
        made.attrs["MATLAB_empty"] = np.uint8(1)
    elif isinstance(value, str):
        coded = np.frombuffer(value.encode("utf-16-le"), "<u2")[:, None]
        group.create_dataset(name, data=coded).attrs["MATLAB_class"] = np.bytes_("char")
    else:
        array = np.atleast_2d(np.asarray(value))
        large = {"chunks": True, "compression": 3} if array.size > 500 else {}
        made = group.create_dataset(name, data=array.T, **large)
        made.attrs["MATLAB_class"] = np.bytes_("single" if array.dtype == np.float32 else "double")
