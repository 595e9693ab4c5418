"""A torso made of formulas: organs as distance functions, painted one over the other with anti-aliased edges.

Patient coordinates are RAS+ millimetres with the origin in the body of the first lumbar vertebra: x to the patient's
right, y to the front, z to the head. Nothing here is measured from anybody; sizes and densities are textbook ranges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

CLASSES = ("liver", "spleen", "kidneys", "aorta", "vertebrae", "lungs")
LIVER, SPLEEN, KIDNEYS, AORTA, VERTEBRAE, LUNGS = range(1, 7)

# Mean and standard deviation between patients [HU] without contrast, in the portal-venous and in the arterial phase.
DENSITIES: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "liver": ((52, 7), (108, 10), (66, 8)),
    "spleen": ((43, 5), (120, 10), (112, 15)),
    "kidneys": ((27, 4), (175, 20), (140, 20)),
    "aorta": ((41, 4), (150, 15), (300, 40)),
    "veins": ((38, 4), (140, 15), (75, 20)),
    "muscle": ((45, 9), (58, 8), (52, 8)),
    "bowel": ((28, 8), (60, 15), (50, 12)),
    "pancreas": ((34, 8), (90, 10), (95, 12)),
    "bile": ((8, 5), (8, 5), (8, 5)),
    "fat": ((-104, 5), (-102, 5), (-103, 5)),
    "lungs": ((-840, 35), (-830, 35), (-835, 35)),
    "spongy bone": ((170, 35), (185, 35), (180, 35)),
    "cortical bone": ((430, 80), (430, 80), (430, 80)),
}
PHASES = ("none", "portal", "arterial")

Volume = NDArray[np.float32]


@dataclass
class Canvas:
    """Patient coordinates of every voxel, and what has been painted there: density [HU] and class."""

    x: Volume
    y: Volume
    z: Volume
    step: float  # edge width: mean voxel size [mm]
    hu: Volume
    labels: NDArray[np.uint8]
    bumps: tuple[Volume, Volume, Volume]  # smooth unit noise, to roughen surfaces and textures
    rng: np.random.Generator

    @cached_property
    def _extents(self) -> list[tuple[Volume, Volume]]:
        """Lowest and highest x in every plane of the first axis, y of the second, z of the third."""
        planes = ((self.x, (1, 2)), (self.y, (0, 2)), (self.z, (0, 1)))
        return [(field.min(axis=others), field.max(axis=others)) for field, others in planes]

    def everywhere(self) -> tuple[slice, slice, slice]:
        n = self.hu.shape
        return slice(0, n[0]), slice(0, n[1]), slice(0, n[2])

    def box(self, center: tuple[float, float, float], reach: float) -> tuple[slice, slice, slice] | None:
        """Index box that surely holds everything within `reach` of `center`; None if outside the picture."""
        slices = []
        for (lowest, highest), c in zip(self._extents, center, strict=True):
            inside = np.nonzero((lowest <= c + reach) & (highest >= c - reach))[0]
            if inside.size == 0:
                return None
            slices.append(slice(int(inside[0]), int(inside[-1]) + 1))
        return slices[0], slices[1], slices[2]

    def paint(
        self, where: tuple[slice, slice, slice], distance: Volume, density: float | Volume, label: int = 0
    ) -> None:
        """Fill where `distance` < 0, mixing densities over one voxel at the edge (partial volume)."""
        share = np.clip(0.5 - distance / self.step, 0, 1)
        self.hu[where] += share * (density - self.hu[where])
        self.labels[where][share > 0.5] = label

    def ellipsoid(
        self,
        center: tuple[float, float, float],
        radii: tuple[float, float, float],
        density: float | None,
        label: int = 0,
        *,
        turn: tuple[float, float, float] = (0, 0, 0),
        rough: float = 0.0,
        within: Volume | None = None,
        texture: float = 0.0,
    ) -> None:
        """Paint an ellipsoid turned by Euler angles [degrees], surface roughened by `rough` mm."""
        where = self.box(center, max(radii) + 3 * rough + 2 * self.step)
        if where is None or density is None:
            return
        distance = self.ellipsoid_distance(where, center, radii, turn)
        if rough:
            weights = self.rng.normal(0, 1, 3)
            distance += rough * sum(w * b[where] for w, b in zip(weights, self.bumps, strict=True)) / np.sqrt(3)
        if within is not None:
            distance = np.maximum(distance, within[where])
        value = density + texture * self.bumps[2][where] if texture else density
        self.paint(where, distance, value, label)

    def ellipsoid_distance(
        self,
        where: tuple[slice, slice, slice],
        center: tuple[float, float, float],
        radii: tuple[float, float, float],
        turn: tuple[float, float, float] = (0, 0, 0),
    ) -> Volume:
        """Signed distance [mm] to an ellipsoid, exact at the surface to first order."""
        p = [f[where] - np.float32(c) for f, c in zip((self.x, self.y, self.z), center, strict=True)]
        if any(turn):
            m = rotation(*turn).astype(np.float32)
            p = [m[0, a] * p[0] + m[1, a] * p[1] + m[2, a] * p[2] for a in range(3)]
        k0 = np.sqrt(sum((q / r) ** 2 for q, r in zip(p, radii, strict=True)))
        k1 = np.sqrt(sum((q / r**2) ** 2 for q, r in zip(p, radii, strict=True)))
        return np.asarray(k0 * (k0 - 1) / np.maximum(k1, 1e-6), np.float32)

    def tube(self, points: list[tuple[float, float, float]], radius: float, density: float, label: int = 0) -> None:
        """Paint a tube along a polyline."""
        for a, b in pairwise(points):
            middle = tuple((p + q) / 2 for p, q in zip(a, b, strict=True))
            length = float(np.linalg.norm(np.subtract(b, a)))
            where = self.box((middle[0], middle[1], middle[2]), length / 2 + radius + 2 * self.step)
            if where is None:
                continue
            p = [f[where] - np.float32(c) for f, c in zip((self.x, self.y, self.z), a, strict=True)]
            d = np.subtract(b, a) / max(length, 1e-6)
            along = np.clip(sum(q * np.float32(v) for q, v in zip(p, d, strict=True)), 0, length)
            away = np.sqrt(sum((q - along * np.float32(v)) ** 2 for q, v in zip(p, d, strict=True)))
            self.paint(where, np.asarray(away - radius, np.float32), density, label)


def rotation(ax: float, ay: float, az: float) -> NDArray[np.float64]:
    """Rotation matrix from angles about x, y, z [degrees], applied in that order."""
    m = np.eye(3)
    for axis, angle in enumerate((ax, ay, az)):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        r = np.eye(3)
        r[i, i], r[i, j], r[j, i], r[j, j] = c, -s, s, c
        m = r @ m
    return m


def smooth_noise(shape: tuple[int, int, int], cells: tuple[float, float, float], rng: np.random.Generator) -> Volume:
    """Unit-variance noise that varies over about `cells` voxels along each axis: a random cubic B-spline."""
    bases = [_spline_basis(n, c) for n, c in zip(shape, cells, strict=True)]
    field = rng.normal(0, 1, [b.shape[1] for b in bases])
    for (
        basis
    ) in bases:  # contracts the first axis and appends the new one: after three rounds the order is x, y, z again
        field = np.tensordot(field, basis, axes=(0, 1))
    return np.asarray(field / max(float(field.std()), 1e-3), np.float32)


def _spline_basis(n: int, cell: float) -> NDArray[np.float64]:
    """Values of the cubic B-splines with knots `cell` apart at n voxels, (n, knots)."""
    knots = np.arange(-1, int(np.ceil(n / cell)) + 3)
    t = np.abs(np.arange(n)[:, None] / cell - knots[None])
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.where(t < 2, (2 - t) ** 3 / 6, 0.0))


def draw_densities(phase: str, rng: np.random.Generator) -> dict[str, float]:
    """One patient's density per tissue [HU]; one liver in eight is fatty."""
    column = PHASES.index(phase)
    values = {name: float(rng.normal(*rows[column])) for name, rows in DENSITIES.items()}
    if rng.random() < 1 / 8:
        values["liver"] -= rng.uniform(15, 35)
    return values


def paint_torso(c: Canvas, hu: dict[str, float], rng: np.random.Generator) -> None:
    """Paint a whole torso on the canvas, from the skin inwards: later organs cover earlier ones."""
    shape = _Shape.draw(rng)
    walls = _paint_walls(c, hu, shape, rng)
    _paint_bowel(c, hu, walls, rng)
    _paint_upper_organs(c, hu, walls, shape.width, rng)
    _paint_chest(c, hu, walls, rng)
    _paint_kidneys(c, hu, rng)
    _paint_bones(c, hu, walls, shape, rng)
    _paint_vessels(c, hu, shape, rng)


@dataclass(frozen=True)
class _Shape:
    """Habitus of one patient [mm]."""

    width: float  # half width of the cavity at the waist
    depth: float
    fat: float
    muscle: float
    dome: tuple[float, float]  # height of the right and left diaphragm
    scoliosis: float
    lordosis: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Shape:
        dome = rng.uniform(100, 135)
        return cls(
            width=rng.uniform(128, 150), depth=rng.uniform(82, 108), fat=rng.uniform(8, 34), muscle=rng.uniform(9, 15),
            dome=(dome, dome - rng.uniform(5, 20)), scoliosis=rng.uniform(-7, 7), lordosis=rng.uniform(0.6, 1.3),
        )  # fmt: skip

    def spine(self, z: Volume) -> tuple[Volume, Volume]:
        """Centre line of the vertebral bodies: x and y at height z."""
        y = np.interp(z, [-230, -175, -140, -75, 0, 80, 160, 260, 330], [-42, -16, 2, 9, 0, -16, -28, -20, 0])
        x = self.scoliosis * np.sin((np.asarray(z) + 60) / 90)
        return x.astype(np.float32), (y * self.lordosis).astype(np.float32)


@dataclass(frozen=True)
class _Walls:
    """Signed distances [mm] that later organs are cut with."""

    cavity: Volume
    below_diaphragm: Volume


def _paint_walls(c: Canvas, hu: dict[str, float], s: _Shape, rng: np.random.Generator) -> _Walls:
    """Skin, fat, muscle and the cavity with its diaphragm."""
    heights = [-320, -230, -140, -40, 60, 150, 230, 290, 330]
    wide = np.interp(c.z, heights, [0.98, 1.0, 0.99, 0.98, 0.98, 1.0, 0.93, 0.72, 0.45]).astype(np.float32) * s.width
    deep = np.interp(c.z, heights, [0.84, 0.92, 0.95, 1.0, 1.02, 1.0, 0.84, 0.66, 0.5]).astype(np.float32) * s.depth
    middle = np.interp(c.z, heights, [8, 14, 26, 30, 30, 22, 10, 4, 4]).astype(np.float32)
    shoulders = np.interp(c.z, [-320, -200, 180, 260, 330], [16, 6, 0, 26, 34]).astype(np.float32)

    def section(grow_x: float | Volume, grow_y: float | Volume, back: float, power: float) -> Volume:
        """Distance to a rounded box section that is larger by the given growth, and by `back` behind."""
        w, d = wide + grow_x, deep + grow_y
        u = np.abs(c.x / w)
        v = np.where(c.y > middle, (c.y - middle) / d, (middle - c.y) / (d + back))
        f = (u**power + np.abs(v) ** power) ** (1 / power)
        return np.asarray((f - 1) * np.minimum(w, d), np.float32)

    where = c.everywhere()
    fat, muscle = s.fat, s.muscle
    front = rng.uniform(0.6, 1.3) * fat
    skin = section(muscle + fat + shoulders, muscle + front, 22 + 0.6 * fat, 2.3) + 2.0 * c.bumps[0]
    c.paint(where, skin, 20.0)
    c.paint(where, skin + 3, hu["fat"])
    wall = section(muscle + 0.6 * shoulders, muscle, 22, 2.4) + 1.5 * c.bumps[1]
    c.paint(where, wall, hu["muscle"] + 6 * c.bumps[2])
    sx, sy = s.spine(c.z)
    # The cavity goes round the spine and the muscles beside it, so that organs lie beside them, not over them.
    ridge = np.sqrt(((c.x - sx) / 42) ** 2 + ((c.y - sy + 34) / 42) ** 2) - 1
    cavity = np.maximum(section(0, 0, 0, 2.3), -ridge * 42)
    c.paint(where, cavity, hu["fat"] + 4 * c.bumps[0] + 3 * c.bumps[2])
    for side in (-1, 1):  # streaks of fat between the back muscles make them visible
        c.ellipsoid((side * 36, -62, 0), (32, 20, 400), hu["muscle"] - 4, rough=2, texture=8, within=wall + 3)
    side_of = np.where(c.x > 0, s.dome[0], s.dome[1]).astype(np.float32)
    rho = ((np.abs(c.x) - 66) / 84) ** 2 + ((c.y - 32) / 100) ** 2
    floor = 12 + np.clip(c.y + 20, 0, 90) * 0.6
    dome = floor + (side_of - floor) * np.sqrt(np.clip(1 - rho, 0, 1))
    dome = np.where(np.abs(c.x) < 40, np.maximum(dome, side_of - 28), dome)
    return _Walls(cavity, np.asarray((c.z - dome) * 0.75 + 2 * c.bumps[1], np.float32))


def _paint_bowel(c: Canvas, hu: dict[str, float], walls: _Walls, rng: np.random.Generator) -> None:
    """Small bowel, colon with gas and stool, bladder; mesenteric vessels as small dots in the fat."""
    inside = np.maximum(walls.cavity + 6, walls.below_diaphragm + 6)
    for _ in range(int(rng.integers(40, 100))):
        r = rng.uniform(8, 18)
        at = (rng.uniform(-90, 90), rng.uniform(25, 100), rng.uniform(-240, -5))
        turn = tuple(rng.uniform(0, 180, 3))
        c.ellipsoid(at, (r, r, r * rng.uniform(1, 2.8)), hu["bowel"] + rng.normal(0, 6), turn=turn, within=inside)
        if rng.random() < 0.15:
            gas = (at[0], at[1] + r * 0.4, at[2])
            c.ellipsoid(gas, (r * 0.6,) * 3, rng.uniform(-950, -500), within=inside)
    for _ in range(40):
        at = (rng.uniform(-80, 80), rng.uniform(30, 90), rng.uniform(-200, 30))
        c.ellipsoid(at, (2.5, 2.5, rng.uniform(4, 15)), hu["veins"], turn=tuple(rng.uniform(0, 90, 3)), within=inside)
    x, y = rng.uniform(95, 112), rng.uniform(35, 60)
    front = rng.uniform(70, 95)
    path = [(x, y, -150), (x, y, -90), (x - 5, y + 10, -35), (50, front, -25), (0, front + 4, -35), (-50, front, -10),
            (-98, y + 10, 25), (-110, y - 15, -30), (-112, y - 15, -120), (-70, 35, -190), (0, 10, -215)]  # fmt: skip
    for a, b in pairwise(path):
        for t in np.linspace(0, 1, int(np.linalg.norm(np.subtract(b, a)) // 16) + 1)[:-1]:
            at = tuple(p + t * (q - p) + rng.normal(0, 4) for p, q in zip(a, b, strict=True))
            r = rng.uniform(14, 26)
            c.ellipsoid(at, (r, r, r), hu["bowel"], within=inside, rough=2)
            kind = rng.random()
            if kind < 0.4:  # gas rises to the front
                c.ellipsoid((at[0], at[1] + 2, at[2]), (r - 4,) * 3, -960, within=inside)
            elif kind < 0.75:  # stool: mottled
                c.ellipsoid(at, (r - 3,) * 3, rng.uniform(-150, 20), within=inside, texture=rng.uniform(30, 160))
    bladder = rng.uniform(25, 45)
    c.ellipsoid((0, 45, -265), (bladder * 1.2, bladder, bladder), rng.uniform(0, 15), rough=2)


def _paint_upper_organs(c: Canvas, hu: dict[str, float], walls: _Walls, width: float, rng: np.random.Generator) -> None:
    """Liver, gallbladder, spleen, stomach and pancreas under the diaphragm."""
    under = np.maximum(walls.cavity + 3, walls.below_diaphragm + 3)
    j = rng.normal
    k = rng.uniform(0.9, 1.12)
    drop = rng.uniform(-12, 12)
    c.ellipsoid((10 + j(0, 5), 72 + j(0, 5), 70 + drop), (rng.uniform(60, 95) * k, 34 * k, 42 * k), hu["liver"], LIVER,
                turn=(0, 12 + j(0, 5), -8), rough=4, within=under)  # fmt: skip
    c.ellipsoid((78 + j(0, 4), 32 + j(0, 4), 48 + drop), (70 * k, 88 * k, rng.uniform(76, 100) * k), hu["liver"], LIVER,
                turn=(0, j(-8, 5), 10), rough=4, within=under)  # fmt: skip
    for _ in range(8):  # vessels inside the liver, still liver
        at = (rng.uniform(30, 110), rng.uniform(0, 80), rng.uniform(30, 110) + drop)
        where = c.box(at, 28)
        if where is not None:
            inside = c.labels[where] == LIVER
            d = c.ellipsoid_distance(where, at, (3, 3, 22), tuple(rng.uniform(0, 180, 3)))
            share = np.clip(0.5 - d / c.step, 0, 1) * inside
            c.hu[where] += share * (hu["veins"] - c.hu[where])
    low = (52 + j(0, 8), 78 + j(0, 6), 5 + drop)
    c.ellipsoid(low, (13, 15, rng.uniform(18, 32)), hu["bile"], turn=(25, 0, 0), rough=1, within=under)
    c.ellipsoid((70, 0, 16 + drop), (11, 8, 34), hu["fat"], turn=(0, 10, 20), rough=3)  # fat behind the liver's edge
    at = (-58 + j(0, 7), 48 + j(0, 8), 58 + j(0, 10))
    r = rng.uniform(26, 44)
    turn = (j(-20, 8), j(25, 10), j(20, 10))
    c.ellipsoid(at, (r, r * 0.9, r * 1.5), hu["bowel"] + 12, turn=turn, rough=3, within=under)
    filling = rng.choice([-700.0, 5.0, 25.0, -40.0])
    c.ellipsoid(at, (r - 6, r * 0.9 - 6, r * 1.5 - 6), filling, turn=turn, rough=3, within=under, texture=15)
    if rng.random() < 0.7:  # gas bubble at the front
        c.ellipsoid((at[0], at[1] + r * 0.35, at[2] + 8), (r * 0.6, r * 0.5, r * 0.8), -950.0, turn=turn, within=under)
    size = rng.uniform(0.82, 1.2)
    at = (-0.68 * width + j(0, 4), -16 + j(0, 7), 55 + j(0, 12))
    turn = (j(-15, 8), j(-10, 8), j(-20, 8))
    c.ellipsoid((at[0] + 16 * size, at[1] + 12, at[2]), (30 * size, 40 * size, 52 * size), hu["fat"], turn=turn,
                rough=3, within=under)  # fmt: skip
    c.ellipsoid(at, (29 * size, 44 * size, 55 * size), hu["spleen"], SPLEEN, turn=turn, rough=3, within=under)
    c.ellipsoid((at[0] + 30 * size, at[1] + 16, at[2]), (13, 15, 24), hu["fat"], rough=2, within=under)
    for t in np.linspace(0, 1, 7):
        at = (28 - 95 * t, 44 - 22 * t**2 + j(0, 2), 2 + 28 * t)
        c.ellipsoid(at, (13, 10, 11), hu["pancreas"], rough=2, within=under)
    c.tube([(12, 38, 0), (24, 46, 30), (55, 48, 52)], 6, hu["veins"])


def _paint_chest(c: Canvas, hu: dict[str, float], walls: _Walls, rng: np.random.Generator) -> None:
    """Lungs, diaphragm, heart, mediastinum and airways."""
    j = rng.normal
    where = c.everywhere()
    # |z|-dependent width of the mediastinum: wide at the heart, narrow above.
    width = np.interp(c.z, [40, 90, 150, 200, 300], [30, 42, 40, 26, 22]).astype(np.float32)
    center = np.interp(c.z, [60, 120, 200], [-4, -10, 0]).astype(np.float32)
    mediastinum = np.abs(c.x - center) - width - 4 * c.bumps[0]
    # Behind the level of the spine's front the lungs reach far to the middle, beside the vertebral bodies.
    mediastinum = np.where(c.y < 0, np.abs(c.x) - np.maximum(20, width * 0.55), mediastinum)
    top = (np.asarray(c.z) - 268 + ((np.abs(c.x) - 55) / 9) ** 2 * 0.5).astype(np.float32)
    lung = np.maximum.reduce([walls.cavity + 1, -walls.below_diaphragm, -mediastinum, top])
    c.paint(where, np.maximum(walls.cavity, np.abs(walls.below_diaphragm + 1) - 2.2), hu["muscle"])
    vessels = 60 * np.maximum(c.bumps[0] * c.bumps[1], 0) + 25 * c.bumps[2]
    sag = 0.25 * (40 - c.y)  # blood sinks: denser behind
    c.paint(where, lung, np.asarray(hu["lungs"] + vessels + sag, np.float32), LUNGS)
    c.ellipsoid((-22 + j(0, 5), 70 + j(0, 5), 152 + j(0, 6)), (54, 46, 44), hu["veins"] * 0.5 + hu["aorta"] * 0.5,
                turn=(0, 25, -30), rough=3, within=walls.cavity + 4)  # fmt: skip
    for side in (-1, 1):  # pulmonary vessels from the hilum
        hilum = (side * 34, 34, 185)
        for _ in range(7):
            end = tuple(h + d for h, d in zip(hilum, (side * rng.uniform(20, 60), j(0, 35), j(-5, 45)), strict=True))
            where2 = c.box(hilum, 120)
            if where2 is not None:
                before = c.labels[where2].copy()
                c.tube([hilum, (end[0], end[1], end[2])], rng.uniform(2, 5), hu["veins"])
                c.labels[where2] = np.where((before == LUNGS) & (c.labels[where2] == 0), LUNGS, c.labels[where2])
    c.tube([(0, 8, 320), (0, 22, 215)], 8, -980.0)
    c.tube([(0, 22, 215), (30, 20, 190)], 6, -980.0)
    c.tube([(0, 22, 215), (-32, 18, 188)], 6, -980.0)
    c.tube([(-2, -2, 320), (-3, 8, 200), (-10, 20, 100)], 7, hu["muscle"] - 10)


def _paint_kidneys(c: Canvas, hu: dict[str, float], rng: np.random.Generator) -> None:
    """Kidneys in their fat, with the sinus; psoas muscles and the crura beside the spine."""
    j = rng.normal
    for side in (-1, 1):
        at = (side * (65 + j(0, 4)), -6 + j(0, 5), (-18 if side > 0 else -4) + j(0, 8))
        size = rng.uniform(0.88, 1.15)
        turn = (j(8, 4), side * j(-12, 4), side * j(-28, 8))
        c.ellipsoid(at, (36 * size, 33 * size, 60 * size), hu["fat"], turn=turn, rough=3)
        c.ellipsoid(at, (26 * size, 22 * size, 53 * size), hu["kidneys"], KIDNEYS, turn=turn, rough=2)
        if hu["kidneys"] > 100:
            c.ellipsoid(at, (15 * size, 12 * size, 40 * size), hu["kidneys"] - 45, KIDNEYS, turn=turn, rough=2)
        hilum = (at[0] - side * 15 * size, at[1] + 8, at[2])
        c.ellipsoid(hilum, (14 * size, 8 * size, 21 * size), hu["fat"] + 15, turn=turn, rough=2)
        c.ellipsoid(hilum, (7, 4, 10), rng.uniform(5, 20))
        c.tube([(side * 30, 0, -5), (side * 40, -2, -80), (side * 58, 18, -190), (side * 82, 35, -300)],
               rng.uniform(14, 21), hu["muscle"])  # fmt: skip
        c.tube([(side * 16, 22, 70), (side * 17, 20, 0), (side * 12, 18, -40)], 6, hu["muscle"])


def _paint_bones(c: Canvas, hu: dict[str, float], walls: _Walls, s: _Shape, rng: np.random.Generator) -> None:
    """Ribs, sternum, pelvis, and the vertebrae with their arches and processes."""
    hard, spongy = hu["cortical bone"], hu["spongy bone"]
    levels = np.array([-144, -108, -72, -36, 0, 32, *(32 + 25.5 * np.arange(1, 12))], np.float32)
    where = c.everywhere()
    thoracic = levels[5:]
    along = c.z + 0.5 * (c.y + 30)
    nearest = _nearest(along, thoracic)
    rib = np.maximum(np.abs(walls.cavity - 5) - 3.5, np.abs(along - nearest) - 6.5)
    rib = np.maximum(rib, np.maximum(-c.z - 22 + np.maximum(c.y, 0) * 0.9, np.abs(c.x) * -1 + 22))
    share = np.where(c.y > 70, 95.0, 0.6 * hard + 0.1 * spongy)
    c.paint(where, np.asarray(np.where(c.z > 285, 50, rib), np.float32), share.astype(np.float32))
    front = s.depth + 22
    c.tube([(0, front + 4, 95), (0, front, 150), (0, front - 12, 220)], 8, 0.5 * hard)
    for side in (-1, 1):
        for inner, density in ((0.0, hard), (3.0, spongy)):
            wing = c.ellipsoid_distance(where, (side * 62, 5, -195), (62, 85, 88), (0, side * 18, side * 20))
            plate = np.maximum.reduce([np.abs(wing) - 5 + inner * 0.7, 55 - side * c.x, c.y - 72, c.z + 128])
            c.paint(where, plate, density)
            c.ellipsoid((side * 92, 18, -292), (30 - inner,) * 3, density)
            c.ellipsoid((0, -42, -205), (54 - inner, 24 - inner, 46 - inner), density, turn=(-30, 0, 0), rough=2)
    _paint_vertebrae(c, levels, hard, spongy, s, rng)


def _nearest(values: Volume, levels: NDArray[np.float32]) -> Volume:
    """The level nearest to each value; levels ascend."""
    middles = (levels[1:] + levels[:-1]) / 2
    return np.asarray(levels[np.searchsorted(middles, values)], np.float32)


def _paint_vertebrae(
    c: Canvas, levels: NDArray[np.float32], hard: float, spongy: float, s: _Shape, rng: np.random.Generator
) -> None:
    """All vertebrae at once, in coordinates relative to the nearest one; discs are not bone and carry no label."""
    sx, sy = s.spine(c.z)
    near = np.nonzero(np.abs(c.x).min(axis=(1, 2)) < 75)[0]
    where = (slice(int(near[0]), int(near[-1]) + 1), slice(None), slice(None))
    z = c.z[where]
    x, y = c.x[where] - sx[where], c.y[where] - sy[where]
    level = _nearest(z, levels)
    dz = z - level
    size = rng.uniform(0.92, 1.1)
    lumbar = np.clip((70 - level) / 70, 0, 1)
    wide, deep = (17 + 7 * lumbar) * size, (14.5 + 3.5 * lumbar) * size
    tall = (10.2 + 3.3 * lumbar) * np.ones_like(dz)
    outside = np.where((z < levels[0] - 17) | (z > levels[-1] + 13), np.float32(50), np.float32(-50))
    waist = 1 - 0.06 * np.cos(np.clip(dz / tall, -1, 1) * np.pi / 2)
    round_ = (np.sqrt((x / (wide * waist)) ** 2 + (y / (deep * waist)) ** 2) - 1) * deep
    c.paint(where, np.maximum(round_ + 1, outside), 85.0)  # discs
    body = np.maximum(np.maximum(round_, np.abs(dz) - tall), outside)
    canal_y = -(deep + 8.5)
    ring = np.abs(np.sqrt((x / 1.15) ** 2 + (y - canal_y) ** 2) - 12) - 3.2
    arch = np.maximum(ring, np.abs(dz - 1) - 9)
    slope = 0.75 - 0.6 * lumbar
    spinous = np.maximum.reduce([np.abs(x) - 3.4, y - canal_y + 11, canal_y - 38 - y])
    spinous = np.maximum(spinous, np.abs(dz - slope * (y - canal_y + 12)) - (6.5 + 2 * lumbar))
    ax = np.abs(x)
    along = np.clip((ax - 12) / 26, 0, 1)
    transverse = np.sqrt((ax - 12 - along * 26) ** 2 + (y - canal_y - 2 + along * 6) ** 2 + (dz - 3) ** 2) - 4.6
    facet = np.sqrt(((ax - 15) / 6.5) ** 2 + ((y - canal_y + 5) / 6) ** 2 + ((np.abs(dz) - 8) / 12) ** 2) * 6 - 6
    back = np.maximum(np.minimum.reduce([arch, spinous, transverse, facet]), outside)
    c.paint(where, back, 0.55 * hard + 0.4 * spongy, VERTEBRAE)
    c.paint(where, body, hard * 0.8, VERTEBRAE)
    c.paint(where, body + 2.6, spongy + 18 * c.bumps[2][where], VERTEBRAE)
    canal = np.sqrt((x / 1.15) ** 2 + (y - canal_y) ** 2) - 8.6
    c.paint(where, np.maximum(canal, outside - 100 * (z > levels[-1])), 28.0)


def _paint_vessels(c: Canvas, hu: dict[str, float], s: _Shape, rng: np.random.Generator) -> None:
    """Aorta from the heart over the arch down to its fork in front of L4, iliac arteries, inferior vena cava."""
    r = rng.uniform(9.5, 13)
    lean = rng.uniform(-16, -8)

    def before(z: float, x: float, gap: float) -> tuple[float, float, float]:
        sx, sy = s.spine(np.asarray([z], np.float32))
        return (float(sx[0]) + x, float(sy[0]) + gap, z)

    fork = rng.uniform(-115, -95)
    down = [before(z, x, g + r) for z, x, g in
            ((205, -24, 4), (160, -27, 3), (110, -20, 8), (60, lean + 2, 17), (0, lean, 20), (-50, lean, 20),
             (fork, lean / 2, 20))]  # fmt: skip
    arch = [(12, 62, 160), (14, 60, 200), (4, 50, 226), (-12, 26, 232), down[0]]
    c.tube([(24, 45, 200), (24, 38, 300)], 9, hu["veins"])
    c.tube([before(-115, 20, 30), before(0, 24, 30), (26, 40, 60), (22, 48, 130)], rng.uniform(8, 12), hu["veins"])
    for side in (-1, 1):
        foot = (side * 45, -10, -210)
        c.tube([before(-115, 20, 30), (side * 50, -8, -215), (side * 75, 45, -300)], 6, hu["veins"])
        c.tube([down[-1], (foot[0], foot[1] + 12, foot[2]), (side * 70, 52, -300)], 5.5, hu["aorta"])
    c.tube(arch, r + 2.5, hu["aorta"], AORTA)
    c.tube(down[:4], r + 1.5, hu["aorta"], AORTA)
    c.tube(down[3:], r, hu["aorta"], AORTA)
    if rng.random() < 0.5:  # calcified plaques in the wall
        for _ in range(int(rng.integers(2, 9))):
            a = down[int(rng.integers(3, len(down)))]
            angle = rng.uniform(0, 2 * np.pi)
            at = (a[0] + r * np.cos(angle), a[1] + r * np.sin(angle), a[2] + rng.uniform(-15, 15))
            where = c.box(at, 12)
            if where is not None:
                before_ = c.labels[where].copy()
                c.ellipsoid(at, (2.5, 2.5, 5), 500.0)
                c.labels[where] = before_
