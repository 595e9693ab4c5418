"""What happens to a page before it is a file: scanners, telephones, screens, water, mould and hands.

The kinds of capture are those of the ECG-Image-Database (Reyna et al. 2024, arXiv:2409.16612). Geometry is changed
once, by one map, which moves the truth with the pixels.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from workbench.page.draw.render import DrawnPage, Floats

Capture = Literal["render", "scan", "grey scan", "photo", "screen", "stained", "damaged", "mould", "grey mould"]
CAPTURES: tuple[Capture, ...] = get_args(Capture)
_BENT = ("photo", "screen", "stained", "damaged")
Light = npt.NDArray[np.float32]
Move = Callable[[Floats], Floats]


def capture(
    page: DrawnPage,
    kind: Capture,
    *,
    seed: int = 0,
    angle: float | None = None,
    strength: float = 1.0,
    noise: float | None = None,
) -> DrawnPage:
    """The page as a scanner, a telephone... would give it, with the truth moved along.

    Parameters
    ----------
    kind
        See `CAPTURES`.
    seed
        Of everything that is left to chance.
    angle
        Degrees by which it lies turned; by chance (scans up to 1.5, photos up to 6) if ``None``.
    strength
        Of perspective, waves, shadows, stains and noise; 1 is as found, 0 none.
    noise
        Standard deviation of the noise in grey levels, instead of by chance.
    """
    rng = np.random.default_rng([seed, CAPTURES.index(kind)])
    if kind != "render" or angle is not None:
        page = _moved(page, kind, angle, strength, rng)
    light = page.pixels.astype(np.float32)
    if kind in ("mould", "grey mould"):
        light = _spots(light, rng, strength)
    if kind in ("stained", "damaged"):
        light = _stains(light, rng, strength, many=kind == "damaged")
    if kind == "damaged":
        light = _creases(_scribbles(light, rng, strength), rng, strength)
    if kind in ("photo", "stained", "damaged"):
        if rng.random() < 0.35:
            light = _creases(light, rng, 0.6 * strength)
        light = _shadows(light, rng, strength)
    if kind == "screen":
        light = _screen(light, rng, strength)
    if kind in ("grey scan", "grey mould") or (kind == "photo" and rng.random() < 0.1):
        light = np.repeat(light @ np.array([0.299, 0.587, 0.114], np.float32)[:, None], 3, axis=2)
        light = (light - 128) * float(rng.uniform(0.95, 1.25)) + 128 + float(rng.uniform(-5, 10))
    elif kind != "render":
        light = light * np.exp(rng.normal(0, 0.05 * strength, 3)).astype(np.float32)
    blur = (
        {"render": 0.0, "scan": 0.45, "grey scan": 0.5, "screen": 0.7}.get(kind, 0.8) * strength * rng.uniform(0.5, 1.4)
    )
    if blur > 0.15:
        light = ndimage.gaussian_filter(light, (blur, blur, 0))
    own = (rng.uniform(1, 5) if kind in ("scan", "grey scan", "render") else rng.uniform(2, 10)) * strength
    size = own if noise is None else noise
    if kind != "render" or noise is not None:
        grain = rng.standard_normal((*light.shape[:2], 1 if rng.random() < 0.5 else 3), np.float32)
        light = light + size * grain
    pixels = np.clip(np.round(light), 0, 255).astype(np.uint8)
    if kind != "render":
        pixels = _jpeg(pixels, int(rng.integers(62, 96)))
    return replace(page, pixels=pixels, capture=kind)


def _jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file, formats=("JPEG",)).convert("RGB"))


def _moved(page: DrawnPage, kind: Capture, angle: float | None, strength: float, rng: np.random.Generator) -> DrawnPage:
    """Turned, in perspective, and in waves, on a table that is a little larger."""
    height, width = page.pixels.shape[:2]
    bent = kind in _BENT
    most = 6.0 if bent else 1.5
    turn = np.deg2rad(rng.uniform(-most, most) * strength if angle is None else angle)
    border = (0.04 * rng.random() * strength * width) if bent else 0.0
    size = np.array([width, height], float)
    corners = np.array([[0.0, 0.0], [1, 0], [1, 1], [0, 1]]) * size
    c, s = np.cos(turn), np.sin(turn)
    there = (corners - size / 2) @ np.array([[c, s], [-s, c]]) + size / 2
    if bent:
        there = there + rng.uniform(-0.045, 0.045, (4, 2)) * strength * size[[0, 0]] * np.array([1.0, 0.8])
    low = there.min(axis=0) - border
    there = there - low
    out_width, out_height = np.ceil(there.max(axis=0) + border).astype(int)
    back = _homography(there, corners)
    forth = np.linalg.inv(back)
    waves = (
        _waves(rng, strength, width, page.dpi / 25.4)
        if kind in ("stained", "damaged") or (bent and rng.random() < 0.6)
        else None
    )

    def source(places: Floats) -> Floats:
        at = _apply(back, places)
        return at if waves is None else at + waves(at)

    def forward(places: Floats) -> Floats:
        at = np.array(places, float)
        if waves is not None:
            flat = at.copy()
            for _ in range(8):
                flat = at - waves(flat)
            at = flat
        return _apply(forth, at)

    step = 8
    gy, gx = np.meshgrid(np.arange(0, out_height + step, step), np.arange(0, out_width + step, step), indexing="ij")
    coarse = source(np.column_stack([gx.ravel(), gy.ravel()]).astype(float)).reshape(*gx.shape, 2)
    table = tuple(float(v) for v in rng.uniform(30, 200, 3)) if bent else (250.0, 250.0, 250.0)
    pixels, ink, mask = _sampled(page, coarse, step, int(out_height), int(out_width), table)
    crossings = page.crossings.copy()
    crossings[:, 2:] = forward(page.crossings[:, 2:])
    before = page.to_pixels
    return replace(
        page,
        pixels=pixels,
        ink=ink,
        mask=mask,
        crossings=crossings,
        leads=tuple(replace(lead, line=_of_finite(forward, lead.line)) for lead in page.leads),
        words=tuple(replace(w, corners=forward(w.corners)) for w in page.words),
        to_pixels=lambda places: forward(before(places)),
    )


def _of_finite(move: Move, line: Floats) -> Floats:
    out = np.full_like(line, np.nan)
    good = np.isfinite(line[:, 1])
    out[good] = move(line[good])
    return out


def _sampled(
    page: DrawnPage, coarse: Floats, step: int, height: int, width: int, table: tuple[float, ...]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    import torch
    from torch.nn.functional import grid_sample, interpolate

    rows, columns = page.pixels.shape[:2]
    places = torch.from_numpy(np.moveaxis(coarse, 2, 0)[None])
    fine = interpolate(
        places,
        size=((coarse.shape[0] - 1) * step + 1, (coarse.shape[1] - 1) * step + 1),
        mode="bilinear",
        align_corners=True,
    )
    fine = fine[0, :, :height, :width].permute(1, 2, 0)
    x, y = fine[..., 0], fine[..., 1]
    grid = torch.stack([2 * x / (columns - 1) - 1, 2 * y / (rows - 1) - 1], -1)[None].float()
    stack = np.concatenate([np.moveaxis(page.pixels, 2, 0), page.ink[None]]).astype(np.float32)
    found = grid_sample(torch.from_numpy(stack)[None], grid, mode="bicubic", align_corners=True, padding_mode="border")
    marks = grid_sample(
        torch.from_numpy(page.mask[None, None].astype(np.float32)), grid, mode="nearest", align_corners=True
    )
    outside = ((x < -0.5) | (y < -0.5) | (x > columns - 0.5) | (y > rows - 0.5)).numpy()
    planes = found[0].numpy().clip(0, 255)
    planes[:3, outside] = np.array(table, np.float32)[:, None]
    planes[3, outside] = 0
    mask = marks[0, 0].numpy().astype(np.uint8)
    mask[outside] = 0
    pixels = np.ascontiguousarray(np.moveaxis(planes[:3], 0, 2)).round().astype(np.uint8)
    return pixels, planes[3].round().astype(np.uint8), mask


def _homography(here: Floats, there: Floats) -> Floats:
    """The 3 x 3 matrix that brings four places to four others."""
    rows = []
    for (x, y), (u, v) in zip(here, there, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solved = np.linalg.solve(np.array(rows), there.ravel())
    return np.append(solved, 1.0).reshape(3, 3)


def _apply(matrix: Floats, places: Floats) -> Floats:
    out = np.column_stack([places, np.ones(len(places))]) @ matrix.T
    found: Floats = out[:, :2] / out[:, 2:]
    return found


def _waves(rng: np.random.Generator, strength: float, width: int, per_mm: float) -> Move:
    """Paper that does not lie flat: a few long waves, up to about 1.5 mm."""
    n = 4
    towards = rng.uniform(0, 2 * np.pi, n)
    number = 2 * np.pi / (width * rng.uniform(0.25, 1.0, n))
    vectors = np.column_stack([np.cos(towards), np.sin(towards)]) * number[:, None]
    phases, sizes = rng.uniform(0, 6.3, n), rng.normal(0, 0.45, (n, 2)) * strength * per_mm

    def move(places: Floats) -> Floats:
        out: Floats = np.sin(places @ vectors.T + phases) @ sizes
        return out

    return move


def _field(rng: np.random.Generator, shape: tuple[int, ...], cells: int) -> Light:
    """A smooth field of mean 0 and standard deviation 1."""
    small = rng.standard_normal((cells, max(2, round(cells * shape[1] / shape[0])))).astype(np.float32)
    out = ndimage.zoom(
        small, (shape[0] / small.shape[0], shape[1] / small.shape[1]), order=1, grid_mode=True, mode="nearest"
    )
    out = out[: shape[0], : shape[1]]
    out = np.pad(out, [(0, shape[0] - out.shape[0]), (0, shape[1] - out.shape[1])], mode="edge")
    even: Light = (out - out.mean()) / max(float(out.std()), 1e-6)
    return even


def _shadows(light: Light, rng: np.random.Generator, strength: float) -> Light:
    """Uneven light, and the soft shadow of a hand or a telephone."""
    height, width = light.shape[:2]
    y, x = np.mgrid[0:height:4, 0:width:4].astype(np.float32)
    towards = rng.uniform(0, 2 * np.pi)
    across = (np.cos(towards) * (x / width - 0.5) + np.sin(towards) * (y / height - 0.5)).astype(np.float32)
    dim = 1 - strength * rng.uniform(0.05, 0.35) * (across + 0.5)
    for _ in range(int(rng.integers(0, 3))):
        way, soft = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.15)
        edge = (
            np.cos(way) * (x / width - rng.uniform(0.2, 0.8)) + np.sin(way) * (y / height - rng.uniform(0.2, 0.8))
        ) / soft
        dim *= 1 - strength * rng.uniform(0.1, 0.4) / (1 + np.exp(-edge.clip(-30, 30)))
    whole = np.repeat(np.repeat(dim, 4, 0), 4, 1)[:height, :width]
    whole = ndimage.uniform_filter(whole, 9)
    tint = np.array([1.0, rng.uniform(0.93, 1.0), rng.uniform(0.78, 1.0)], np.float32)
    out: Light = light * whole[..., None].astype(np.float32) * tint * float(rng.uniform(0.75, 1.05))
    return out


def _stains(light: Light, rng: np.random.Generator, strength: float, *, many: bool) -> Light:
    """Coffee and water: darker, with darker edges."""
    shape = light.shape[:2]
    for _ in range(int(rng.integers(2, 6 if many else 4))):
        level = _field(rng, shape, int(rng.integers(3, 7)))
        inside = 1 / (1 + np.exp(-(level - rng.uniform(0.3, 1.2)) * 6))
        rim = 4 * inside * (1 - inside)
        colour = np.array([rng.uniform(0.02, 0.15), rng.uniform(0.1, 0.3), rng.uniform(0.2, 0.5)], np.float32)
        light = light * (1 - strength * (0.6 * inside + 0.35 * rim)[..., None] * colour)
    return light


def _spots(light: Light, rng: np.random.Generator, strength: float) -> Light:
    """Mould: clouds of small dark and greenish spots."""
    shape = light.shape[:2]
    where = (_field(rng, shape, 6) > rng.uniform(0.4, 1.2)) & (rng.random(shape) < 0.004 * strength)
    blobs = ndimage.gaussian_filter(where.astype(np.float32), rng.uniform(1.2, 3.5))
    blobs = np.clip(blobs / max(float(blobs.max()), 1e-6) * 2.0, 0, 1)
    colour = np.array([rng.uniform(0.3, 0.6), rng.uniform(0.25, 0.5), rng.uniform(0.35, 0.6)], np.float32)
    out: Light = light * (1 - strength * blobs[..., None] * colour)
    return out


def _creases(light: Light, rng: np.random.Generator, strength: float) -> Light:
    """Folds: a bright line beside a dark one."""
    height, width = light.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(int(rng.integers(1, 4))):
        way = rng.uniform(0, np.pi)
        from_line = np.cos(way) * (x - rng.uniform(0.1, 0.9) * width) + np.sin(way) * (
            y - rng.uniform(0.1, 0.9) * height
        )
        w = rng.uniform(2, 9)
        fold = np.exp(-((from_line / w) ** 2)) - 0.8 * np.exp(-(((from_line - 1.5 * w) / (1.4 * w)) ** 2))
        light = light * (1 + strength * rng.uniform(0.06, 0.2) * fold[..., None])
    return light


def _scribbles(light: Light, rng: np.random.Generator, strength: float) -> Light:
    """Pen strokes, and pieces that are gone."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    width, height = picture.size
    for _ in range(int(rng.integers(1, 5) * strength)):
        at = rng.uniform(0, [width, height])
        steps = at + np.cumsum(rng.normal(0, 0.012 * width, (int(rng.integers(5, 25)), 2)), axis=0)
        colour = tuple(int(v) for v in rng.uniform(0, [60, 60, 190]))
        pen.line([tuple(p) for p in steps], fill=colour, width=int(rng.integers(2, 5)), joint="curve")
    for _ in range(int(rng.integers(0, 3) * strength)):
        middle, size = rng.uniform(0, [width, height]), rng.uniform(0.01, 0.05) * width
        way = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        edge = middle + size * rng.uniform(0.5, 1.2, (12, 1)) * np.column_stack([np.cos(way), np.sin(way)])
        pen.polygon([tuple(p) for p in edge], fill=tuple(int(v) for v in rng.uniform(120, 255, 3)))
    return np.asarray(picture).astype(np.float32)


def _screen(light: Light, rng: np.random.Generator, strength: float) -> Light:
    """A display: its pixels beat with those of the camera, and light mirrors in it."""
    height, width = light.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for channel in range(3):
        number = rng.uniform(0.8, 3.0, 2) * np.pi / rng.uniform(2, 9)
        beat = np.sin(number[0] * x + 0.15 * y + rng.uniform(0, 6)) * np.sin(number[1] * y + rng.uniform(0, 6))
        light[..., channel] *= 1 + 0.06 * strength * beat
    glow = np.exp(
        -(((x - rng.uniform(0, width)) / (0.3 * width)) ** 2 + ((y - rng.uniform(0, height)) / (0.3 * height)) ** 2)
    )
    out: Light = light * float(rng.uniform(0.75, 1.0)) + 40 * strength * float(rng.random()) * glow[..., None]
    return out
