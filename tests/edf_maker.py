"""Small EDF+ and BDF+ recordings with times of their own for each record, written from the layout of the format."""

import numpy as np

ROOM = 120  # samples of the annotation channel in each record


def save_edf(path, data, begins, texts=(), kind="EDF+D", counts=None):
    """Write records of one second.

    `data` holds channels with values in microvolts; each of `counts` samples per record, 128 by default. `begins` are
    the times of the records [s], `texts` (record, onset, duration, words). `kind` is EDF+C, EDF+D, BDF+C or BDF+D.
    """
    wide = kind.startswith("BDF")
    size = 3 if wide else 2
    top = 2 ** (8 * size - 1)
    counts = list(counts or [128] * len(data))
    names = [f"EEG {n + 1}" for n in range(len(data))] + [f"{kind[:3]} Annotations"]
    columns = [
        (16, names), (80, [""] * len(names)), (8, [*["uV"] * len(data), ""]), (8, [*[-200] * len(data), -1]),
        (8, [*[200] * len(data), 1]), (8, [-top] * len(names)), (8, [top - 1] * len(names)), (80, [""] * len(names)),
        (8, [*counts, ROOM]), (32, [""] * len(names)),
    ]  # fmt: skip
    start = b"\xffBIOSEMI" if wide else b"0".ljust(8)
    fields = [(80, "X X X X"), (80, "Startdate 01-JAN-2020 X X X"), (8, "01.01.20"), (8, "00.00.00"),
              (8, 256 * (len(names) + 1)), (44, kind), (8, len(begins)), (8, 1), (4, len(names))]  # fmt: skip
    head = start + b"".join(str(value).encode().ljust(width) for width, value in fields)
    head += b"".join(str(value).encode().ljust(width) for width, values in columns for value in values)
    body = b""
    for number, begin in enumerate(begins):
        for row, count in zip(data, counts, strict=True):
            values = np.rint(row[number * count : (number + 1) * count] * (top - 1) / 200).astype("<i4")
            raw = values.view(np.uint8).reshape(-1, 4)[:, :size]
            body += raw.tobytes()
        words = f"+{begin:g}\x14\x14\0"
        for record, onset, duration, text in texts:
            if record == number:
                words += f"+{onset:g}" + (f"\x15{duration:g}" if duration else "") + f"\x14{text}\x14\0"
        body += words.encode().ljust(ROOM * size, b"\0")
    path.write_bytes(head + body)
    return path
