from dataclasses import dataclass

import numpy as np

import workbench as wb
from workbench import slide


@dataclass(frozen=True)
class Config:
    mpp: float | None = wb.setting(None, "Size of a pixel, where the file does not say it.", unit="um per pixel")
    target_mpp: float = wb.setting(1.0, "Scale of the tiles.", unit="um per pixel", low=0.1, high=20.0)
    tile: int = wb.setting(64, "Side of a tile.", unit="pixels", low=16, high=4096)


def load(config, device):
    return None


def predict(model, image, config, progress=None):
    image = slide.scaled(image, config.mpp)  # the size of a pixel that a person gives, in place of the file's
    recorder = wb.Recorder("mean_colour", config, None, image)
    factor = slide.ratio(image.pyramid, config.target_mpp, name=image.source)  # pixels of level 0 along one of a tile
    rows, columns = image.pyramid.levels[0].shape
    tiles = slide.lattice((0, 0, rows, columns), factor, config.tile, name=image.source)
    density = np.full(len(tiles), np.nan, np.float32)
    stream = slide.TileStream(image.pyramid, tiles)
    for done, (number, pixels) in enumerate(stream, 1):  # (tile, tile, 3) of 8 bits, read ahead by threads
        density[number] = -np.log10(np.maximum(pixels, 1) / 255).mean()
        if progress:
            progress(done, len(tiles))
    for note in stream.notes():  # tiles that were damaged
        recorder.note(note)
    step = tiles.stride * tiles.factor
    grid = slide.coarse_geometry(image, tiles.count, tiles.corner[::-1], (step, step))
    parts = {"density": wb.Heatmap(density.reshape(tiles.count), grid, "density")}
    return wb.Result(parts, image, recorder.finish())
