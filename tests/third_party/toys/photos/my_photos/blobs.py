from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from workbench import ClassTable, Frame, Objects, Recorder, Result, Scores, setting


@dataclass(frozen=True)
class Config:
    level: float = setting(0.5, "Brightness above which a pixel belongs to a blob.", low=0.0, high=1.0)
    min_area: int = setting(4, "Smaller blobs are left out.", unit="pixels", low=1)
    large: int = setting(40, "Blobs of this area or more are called large.", unit="pixels", low=1)


def load(config, device):
    return None


def predict(model, image, config, progress=None):
    recorder = Recorder("blobs", config, None, image)
    grey = image.data.mean(axis=0) / 255
    labels, count = ndimage.label(grey > config.level, structure=np.ones((3, 3)))
    outlines, pixels, brightness = [], [], []
    for number in range(1, count + 1):
        if progress:
            progress(number - 1, count)
        mask = labels == number
        if mask.sum() >= config.min_area:
            outlines.append(outline(mask))
            pixels.append(mask.sum())
            brightness.append(grey[mask].mean())
    if progress:
        progress(count, count)
    found = Objects.from_polygons(
        outlines,  # for each object its rings: the outline, then its holes
        class_values=np.where(np.array(pixels) >= config.large, 2, 1),
        classes=ClassTable.from_names(["small", "large"]),  # values 1 and 2; 0 is no class
        probabilities=np.array(brightness, np.float32),  # 0 to 1; leave it out where there are none
        frame=Frame.of(image.geometry.affine, image.geometry.unit),  # pixels, and where they lie in the world
        name="blobs",
    )
    found = measured(found, image.geometry)
    return Result({"blobs": found, "sizes": sizes(found)}, image, recorder.finish())


def outline(mask):
    """Rings along the edges of the pixels, as (x, y) from the corner of the first pixel."""
    from rasterio.features import shapes

    (found, _), *_ = shapes(mask.astype(np.uint8), mask=mask, connectivity=8)
    return [np.array(ring[:-1], dtype=float) for ring in found["coordinates"]]


def measured(found, geometry):
    """The objects with their areas: in pixels, and in mm2 if the photo has a scale."""
    pixel, areas = geometry.sample_volume, found.areas()  # the area of one pixel in mm2, or None
    more = {} if pixel is None else {"area [mm2]": areas * pixel}
    return replace(found, measurements={"area [pixels]": areas, **more})


def sizes(found):
    """Area, pixels and number of the objects: a row per class."""
    rows = []
    for value, name in ((0, "no class"), *((c.value, c.name) for c in found.classes)):
        own = found.select(found.class_values == value)
        if value or len(own):
            total = {key: float(column.sum()) for key, column in own.measurements.items()}
            rows.append((name, total.get("area [mm2]"), round(total["area [pixels]"]), len(own)))
    return Scores(("class", "area [mm2]", "pixels", "count"), tuple(rows), "sizes")
