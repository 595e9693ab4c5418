"""Whole scenes: the shared front end against patches, borders, tiles, masks, memory, cancel."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tests.lively import lively
from workbench.core.errors import Cancelled, InputError, OutOfMemory, UsageError
from workbench.scene.net.lola_fused import FusedLola
from workbench.scene.net.lola_specvit import LolaSpecViT, small_config
from workbench.scene.predict.map import SceneMap, SceneSettings, Tile, map_patches, map_scene, standardise_patches


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Thousands of tiny calls: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


BANDS, CLASSES = 6, 4


class Cube:
    """An array read by rectangles; remembers the largest."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.shape, self.largest = data, data.shape, 0

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        block = self.data[:, rows, columns]
        self.largest = max(self.largest, block[0].size)
        return block


def cube(rows: int, columns: int, seed: int = 0) -> Cube:
    return Cube(np.random.default_rng(seed).standard_normal((BANDS, rows, columns)).astype(np.float32))


def net_of(seed: int = 0, **changes: object) -> LolaSpecViT:
    small = {"dim": 8, "num_heads": [1, 2, 4], "front_channels": [4, 6]}
    return lively(
        LolaSpecViT(**small_config(**({"in_channels": BANDS, "num_classes": CLASSES} | small | changes))), seed
    )


def dense(net: LolaSpecViT | FusedLola, scene: Cube, **options: object) -> SceneMap:
    return map_scene(net.front, net.window_head, scene, margin=net.margin, window_offsets=net.window_offsets, **options)


@pytest.mark.parametrize("border", ["reflect", "zero"])
@pytest.mark.parametrize(("rows", "columns", "tile"), [(13, 17, 128), (13, 17, 6), (16, 2, 8), (1, 9, 8)])
def test_logits_are_those_of_the_patches(border: str, rows: int, columns: int, tile: int) -> None:
    net, scene = net_of(), cube(rows, columns)
    settings = SceneSettings(tile=tile, border=border, batch=50)
    patches = map_patches(net, scene, patch_size=net.patch_size, settings=settings, keep_logits=True)
    for runner in (net, FusedLola(net)):
        found = dense(runner, scene, settings=settings, keep_logits=True)
        assert found.logits is not None
        assert patches.logits is not None
        assert np.abs(found.logits - patches.logits).max() <= 1e-4
        assert (found.labels == patches.labels).all()
        np.testing.assert_allclose(found.confidence, patches.confidence, atol=1e-5)
    assert set(np.unique(found.labels)) <= set(range(1, CLASSES + 1))
    assert (patches.report.mode, found.report.mode) == ("patches", "dense")


def test_our_default_network_is_exact() -> None:
    net, scene = lively(LolaSpecViT(**small_config(BANDS, CLASSES))), cube(8, 9)
    patches = map_patches(net, scene, patch_size=net.patch_size, keep_logits=True)
    found = dense(FusedLola(net), scene, keep_logits=True, settings=SceneSettings(tile=5))
    assert np.abs(found.logits - patches.logits).max() <= 1e-4


@pytest.mark.parametrize("border", ["reflect", "zero"])
def test_a_patch_is_cut_from_the_continued_scene(border: str) -> None:
    """Against the plainest form: pad everything, cut every patch."""
    net, scene = net_of(), cube(9, 15)
    half = net.patch_size // 2
    pads = [(0, 0), (half, half), (half, half)]
    whole = np.pad(scene.data, pads, mode="reflect") if border == "reflect" else np.pad(scene.data, pads)
    found = dense(net, scene, settings=SceneSettings(tile=5, border=border), keep_logits=True)
    for row, column in ((0, 0), (8, 14), (4, 7), (0, 9)):
        patch = torch.from_numpy(whole[None, :, row : row + 2 * half + 1, column : column + 2 * half + 1].copy())
        with torch.no_grad():
            expected = net(patch)[0].numpy()
        np.testing.assert_allclose(found.logits[:, row, column], expected, atol=1e-5)
        assert found.labels[row, column] == expected.argmax() + 1


def test_zero_padding_inside_patches_is_not_the_same_as_dense() -> None:
    """Why the exact patch mode exists: the same weights, zero-padded patches against one pass over the scene."""
    padded, scene = net_of(padding="same"), cube(16, 16)
    shared = LolaSpecViT(**(padded.config | {"padding": "halo"})).eval()
    shared.load_state_dict(padded.state_dict())
    assert not padded.dense
    patches = map_patches(padded, scene, patch_size=padded.patch_size, keep_logits=True)
    found = dense(shared, scene, keep_logits=True)
    assert np.abs(found.logits - patches.logits).max() > 1e-2


def test_published_standardisation() -> None:
    x = torch.randn(3, BANDS, 5, 5) * 4 + 2
    out = standardise_patches(x)
    torch.testing.assert_close(out.mean((2, 3)), torch.zeros(3, BANDS), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std((2, 3)), torch.ones(3, BANDS), atol=1e-5, rtol=0)
    net, scene = net_of(padding="same"), cube(8, 8)
    plain = map_patches(net, scene, patch_size=15, keep_logits=True)
    scaled = Cube(scene.data * 3 + 1)
    settings = SceneSettings(border="reflect")
    a = map_patches(net, scene, patch_size=15, keep_logits=True, standardise=True, settings=settings)
    b = map_patches(net, scaled, patch_size=15, keep_logits=True, standardise=True, settings=settings)
    assert np.abs(a.logits - plain.logits).max() > 1e-3
    centreless = net_of(padding="same", centre=False)
    a = map_patches(centreless, scene, patch_size=15, keep_logits=True, standardise=True)
    b = map_patches(centreless, scaled, patch_size=15, keep_logits=True, standardise=True)
    np.testing.assert_allclose(a.logits, b.logits, atol=1e-4)


def test_preparation_is_applied_to_what_is_read() -> None:
    net, scene = net_of(), cube(14, 14)
    raw = Cube(np.repeat(scene.data, 2, axis=0) * 2)
    found = dense(net, raw, prepare=lambda block: block[::2] / 2, keep_logits=True, settings=SceneSettings(tile=9))
    np.testing.assert_allclose(found.logits, dense(net, scene, keep_logits=True).logits, atol=1e-5)


def test_only_wanted_pixels() -> None:
    net, scene = net_of(), cube(20, 30)
    where = np.zeros((20, 30), bool)
    where[2:5, 20:26] = True
    full = dense(net, scene)
    for run in (dense(net, scene, where=where, settings=SceneSettings(tile=10)),
                map_patches(net, scene, patch_size=21, where=where)):  # fmt: skip
        assert (run.labels[~where] == 0).all()
        assert (run.confidence[~where] == 0).all()
        assert (run.labels[where] == full.labels[where]).all()
        assert run.report.pixels == 18
    assert dense(net, scene, where=where, settings=SceneSettings(tile=10)).report.tiles == 1
    nothing = dense(net, scene, where=np.zeros((20, 30), bool))
    assert nothing.report.tiles == 0
    with pytest.raises(InputError, match=r"\(3, 3\)"):
        dense(net, scene, where=np.ones((3, 3), bool))


def test_tiles_come_as_they_are_finished() -> None:
    net, scene = net_of(), cube(25, 20)
    tiles: list[Tile] = []
    steps: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        steps.append((done, total))

    found = dense(net, scene, settings=SceneSettings(tile=10, batch=33), on_tile=tiles.append, progress=progress)
    assert len(tiles) == found.report.tiles == 6
    labels, confidence = np.zeros((25, 20), np.uint8), np.zeros((25, 20), np.float32)
    for tile in tiles:
        labels[tile.rows, tile.columns], confidence[tile.rows, tile.columns] = tile.labels, tile.confidence
    assert (labels == found.labels).all()
    assert (confidence == found.confidence).all()
    assert labels.min() >= 1
    assert steps[0] == (0, 500)
    assert steps[-1] == (500, 500)
    assert steps == sorted(steps)


def test_no_more_than_a_tile_is_read() -> None:
    net, scene = net_of(), cube(60, 60)
    dense(net, scene, settings=SceneSettings(tile=15), where=np.eye(60, dtype=bool))
    assert scene.largest == (15 + 20) ** 2


def test_cancel_stops_within_a_batch() -> None:
    calls = 0

    def progress(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if done >= 40:
            raise Cancelled

    with pytest.raises(Cancelled):
        dense(net_of(), cube(30, 30), settings=SceneSettings(batch=20), progress=progress)
    assert calls == 3


def test_bfloat16_changes_few_labels() -> None:
    net, scene = net_of(), cube(20, 20)
    full = dense(net, scene, keep_logits=True)
    half = dense(net, scene, settings=SceneSettings(precision="bfloat16"), keep_logits=True)
    assert half.logits.dtype == np.float32
    assert (half.labels == full.labels).mean() > 0.95
    assert 0 < np.abs(half.logits - full.logits).max() < 0.1


def test_many_classes_need_wider_labels() -> None:
    net = net_of()
    net.replace_head(300)
    found = dense(net, cube(4, 4))
    assert found.labels.dtype == np.uint16


def test_memory_that_runs_out_is_a_line_with_the_flag() -> None:
    """Another tile or batch would round differently: neither is chosen for anybody."""
    net, scene = net_of(), cube(16, 16)
    options = {"margin": net.margin, "window_offsets": net.window_offsets}

    def front(x: torch.Tensor) -> torch.Tensor:
        raise MemoryError("this is too large")

    def head(windows: torch.Tensor, spectra: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(OutOfMemory, match=r"tiles of 128 .* \(this is too large\).* Try --tile 64"):
        map_scene(front, head, scene, **options)
    with pytest.raises(OutOfMemory, match=r"tiles of 8 .* Try --batch 128"):
        map_scene(net.front, head, scene, **options, settings=SceneSettings(tile=8))


def test_other_errors_pass_through() -> None:
    net = net_of()
    options = {"margin": net.margin, "window_offsets": net.window_offsets}
    with pytest.raises(InputError, match="does not take off a margin of 4"):
        map_scene(lambda x: x, net.window_head, cube(9, 9), **options)
    with pytest.raises(InputError, match="logits of shape"):
        map_scene(net.front, lambda w, s: w, cube(9, 9), **options)

    def broken(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("not about memory")

    with pytest.raises(RuntimeError, match="not about memory"):
        map_patches(broken, cube(9, 9), patch_size=21)


@pytest.mark.parametrize("bad", [{"tile": 0}, {"batch": 0}, {"precision": "float16"}, {"border": "wrap"}])
def test_bad_settings(bad: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        SceneSettings(**bad)


@pytest.mark.slow
def test_the_shared_pass_is_many_times_faster() -> None:
    """Processor time, so that a busy machine does not matter; `tests/benchmarks/bench_scene.py` measures in full."""
    net = FusedLola(LolaSpecViT(**small_config(15, CLASSES)).eval())
    scene = Cube(np.random.default_rng(0).standard_normal((15, 100, 100)).astype(np.float32))
    where = np.zeros((100, 100), bool)
    where.flat[::40] = True
    seconds = []
    for run in (lambda: map_patches(net, scene, patch_size=21, where=where), lambda: dense(net, scene)):
        run()
        began = time.process_time()
        pixels = run().report.pixels
        seconds.append((time.process_time() - began) / pixels)
    assert seconds[0] / seconds[1] > 15
