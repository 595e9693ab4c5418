import json

import numpy as np
from PIL import Image as Pillow

from workbench import Image, UsageError


def family(format, source):  # the format to write for what was asked
    if format not in ("auto", "png"):
        raise UsageError(f"format {format} holds no photos, and this is one: choose png.")
    return "png"


def jobs(part, target, family, source):  # files to write: (path, function of a path)
    if not isinstance(part, Image):
        return None  # tables, objects, features: written alike for all kinds
    picture, spacing = Pillow.fromarray(np.moveaxis(part.data, 0, 2)), part.geometry.spacing
    files = [(target.with_name(f"{target.name}.png"), lambda path: picture.save(path, format="PNG"))]
    if spacing is not None:
        text = json.dumps({"mm_per_pixel": spacing[0]})
        files.append((target.with_name(f"{target.name}.json"), lambda path: path.write_text(text, encoding="utf-8")))
    return files
