"""Rows of a made-up study, as a run leaves them."""

import numpy as np

NASTY = [
    "plain",
    "with space & ampersand",
    "quote \" and ' here",
    "<script>alert(1)</script>",
    "line\nbreak",
    "100% #1?",
    "umlaut ä 漢字",
    "broken \udce9\udcff",
    "half \ud800 pair",
    "=1+1",
    "turned \u202e gnp",
]


def row(case, liver=None, spleen=None, *, status="done", **more):
    """One row; a class whose size is not given is not in its table."""
    table = [
        {"class": name, "value": n, "volume [mL]": size, "voxels": 10}
        for n, (name, size) in enumerate((("liver", liver), ("spleen", spleen)), 1)
        if size is not None
    ]
    return {
        "case": case, "status": status, "source": f"/data/{case}.nii.gz", "group": case, "columns": {},
        "seconds": 2.5, "peak_memory_mb": 812.25, "files": [], "table": table, "notes": [], "stage": "", "error": "",
        "message": "", "hint": "", **more,
    }  # fmt: skip


def study(n=40, seed=0):
    """Livers of about 1500 mL and spleens of about 200 mL; case 3 has a spleen ten times too large."""
    rng = np.random.default_rng(seed)
    rows = [
        row(f"P{i:03d}", round(float(rng.lognormal(7.3, 0.2)), 3), round(float(rng.lognormal(5.3, 0.3)), 3))
        for i in range(n)
    ]
    rows[3]["table"][1]["volume [mL]"] = 2000.0
    return rows
