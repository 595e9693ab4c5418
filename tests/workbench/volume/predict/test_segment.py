"""The sliding-window engine against MONAI's, and against computing everything at once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.core.errors import Cancelled, InputError, OutOfMemory
from workbench.volume.data.grid import resize
from workbench.volume.predict.segment import segment
from workbench.volume.predict.windows import WindowSettings, importance_map

CLASSES = 4


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """A little network whose logits depend on the place in the window, so that blending matters."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv3d(2, 6, 5, padding=2), nn.GELU(), nn.Conv3d(6, CLASSES, 5, padding=2)).eval()


@pytest.fixture(scope="module")
def low_net() -> nn.Module:
    """Logits at a quarter of the resolution."""
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv3d(2, 8, 7, stride=4, padding=3), nn.GELU(), nn.Conv3d(8, CLASSES, 3, padding=1)).eval()


def upsampled(low_net: nn.Module) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        low = low_net(x)
        full = F.interpolate(low, size=[4 * n for n in low.shape[2:]], mode="trilinear", align_corners=False)
        return full[:, :, : x.shape[2], : x.shape[3], : x.shape[4]]

    return forward


def volume_of(shape: tuple[int, ...], seed: int = 0, blob: int = 6, noise: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(2, *(max(2, n // blob) for n in shape))).astype(np.float32)
    return resize(coarse, shape) + noise * rng.normal(size=(2, *shape)).astype(np.float32)


def monai_logits(predictor: Any, volume: np.ndarray, roi: tuple[int, ...], overlap: float = 0.5) -> np.ndarray:
    from monai.inferers import sliding_window_inference

    with torch.no_grad():
        out = sliding_window_inference(torch.from_numpy(volume)[None], roi, 4, predictor, overlap, mode="gaussian")
    return out[0].numpy()


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float((a == b).mean())


@pytest.mark.parametrize(
    ("shape", "roi", "overlap"),
    [
        ((40, 33, 50), (24, 24, 24), 0.5),
        ((33, 61, 40), (16, 32, 24), 0.25),
        ((30, 30, 47), (32, 32, 32), 0.5),
        ((20, 17, 9), (32, 16, 16), 0.5),
        ((45, 20, 31), (17, 15, 13), 0.7),
        ((37, 26, 28), (16, 16, 16), 0.0),
    ],
)
@pytest.mark.parametrize("stride", [1, 4])
def test_exact_labels_are_monais(
    net: nn.Module, low_net: nn.Module, shape: Any, roi: Any, overlap: float, stride: int
) -> None:
    volume = volume_of(shape)
    reference = monai_logits(net if stride == 1 else upsampled(low_net), volume, roi, overlap)
    settings = WindowSettings(roi=roi, stride=stride, overlap=overlap, batch=3)
    found = segment(net if stride == 1 else low_net, volume, settings)
    assert agreement(found.labels, reference.argmax(0)) >= 0.9999
    assert found.labels.dtype == np.uint8
    assert len(np.unique(found.labels)) > 1


@pytest.mark.parametrize(
    ("shape", "floor"), [((64, 48, 80), 0.97), ((64, 48, 70), 0.97), ((61, 47, 70), 0.9999), ((20, 64, 33), 0.97)]
)
def test_fast_is_close(low_net: nn.Module, shape: Any, floor: float) -> None:
    """Along axes that are no multiples of the stride nothing is blended coarsely: the third shape is exact."""
    volume = volume_of(shape, 1, blob=16, noise=0.0)
    reference = monai_logits(upsampled(low_net), volume, (32, 32, 32)).argmax(0)
    settings = WindowSettings(roi=(32, 32, 32), stride=4, mode="fast", precision="float32")
    found = segment(low_net, volume, settings)
    assert agreement(found.labels, reference) >= floor


def test_fast_equals_exact_with_one_window(low_net: nn.Module) -> None:
    volume = volume_of((32, 30, 25), 1)
    exact = segment(low_net, volume, WindowSettings(roi=(32, 32, 32), stride=4))
    fast = segment(low_net, volume, WindowSettings(roi=(32, 32, 32), stride=4, mode="fast", precision="float32"))
    assert agreement(exact.labels, fast.labels) >= 0.9999


@pytest.mark.parametrize("shape", [(70, 40, 33), (33, 40, 70), (40, 70, 33)])
@pytest.mark.parametrize("output", [(91, 33, 60), (30, 81, 20)])
@pytest.mark.parametrize("stride", [1, 4])
def test_native_resampling_equals_full_materialisation(
    net: nn.Module, low_net: nn.Module, shape: Any, output: Any, stride: int
) -> None:
    volume = volume_of(shape, 2)
    logits = monai_logits(net if stride == 1 else upsampled(low_net), volume, (24, 24, 24))
    expected = resize(logits, output)
    settings = WindowSettings(roi=(24, 24, 24), stride=stride)
    found = segment(net if stride == 1 else low_net, volume, settings, output_shape=output, uncertainty=True)
    assert agreement(found.labels, expected.argmax(0)) >= 0.9999
    p = torch.from_numpy(expected).softmax(0)
    entropy = -(p * p.log()).sum(0) / np.log(CLASSES)
    assert found.uncertainty is not None
    np.testing.assert_allclose(found.uncertainty, entropy, atol=2e-4)


def test_fast_native_resampling_composes(low_net: nn.Module) -> None:
    """Reading the blended quarter-resolution logits straight onto the output grid equals doing it in two steps."""
    volume = volume_of((64, 40, 44), 2)
    settings = WindowSettings(roi=(32, 32, 32), stride=4, mode="fast", precision="float32")
    found = segment(low_net, volume, settings, output_shape=(51, 77, 44), uncertainty=True)
    # One class at a time as its own sigmoid read-out is awkward; blend by hand instead.
    total, weight = np.zeros((CLASSES, 16, 10, 11), np.float64), np.zeros((16, 10, 11))
    w = F.avg_pool3d(importance_map((32, 32, 32))[None, None], 4)[0, 0].numpy()
    with torch.no_grad():
        for x in (0, 16, 32):
            for y in (0, 8):
                for z in (0, 12):
                    window = torch.from_numpy(volume[None, :, x : x + 32, y : y + 32, z : z + 32])
                    at = tuple(slice(v // 4, v // 4 + 8) for v in (x, y, z))
                    total[(slice(None), *at)] += low_net(window)[0].numpy() * w
                    weight[at] += w
    logits = resize(resize((total / weight).astype(np.float32), (64, 40, 44)), (51, 77, 44))
    assert agreement(found.labels, logits.argmax(0)) >= 0.9999


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_crop_box(low_net: nn.Module, mode: Any) -> None:
    volume = volume_of((60, 56, 72), 5)
    box = (slice(9, 50), slice(4, 44), slice(20, 60))
    settings = WindowSettings(roi=(24, 24, 24), stride=4, mode=mode, precision="float32")
    found = segment(low_net, volume, settings, box=box)
    inside = segment(low_net, np.ascontiguousarray(volume[(slice(None), *box)]), settings)
    if mode == "exact":
        assert agreement(found.labels[box], inside.labels) == 1.0
        outside = found.labels.copy()
        outside[box] = 0
        assert not outside.any()
    assert found.report.windows < segment(low_net, volume, settings).report.windows
    assert found.report.skipped > 0


def test_crop_box_with_resampling(net: nn.Module) -> None:
    volume = volume_of((40, 40, 40), 5)
    box = (slice(8, 32), slice(0, 40), slice(16, 40))
    settings = WindowSettings(roi=(24, 24, 24))
    found = segment(net, volume, settings, box=box, output_shape=(80, 60, 20))
    inside = monai_logits(net, np.ascontiguousarray(volume[(slice(None), *box)]), (24, 24, 24))
    # 2x, 1.5x and 0.5x of the box; where the triangle of the coarse axis stays within the box they must be equal.
    expected = resize(inside, (48, 60, 12)).argmax(0)
    assert agreement(found.labels[16:64, :, 8:], expected) >= 0.9999
    assert not found.labels[:16].any()
    assert not found.labels[64:].any()
    assert not found.labels[:, :, :8].any()


def test_a_small_box_grows_to_the_window(net: nn.Module) -> None:
    seen: list[Any] = []

    def predictor(x: Tensor) -> Tensor:
        seen.append(x.clone())
        return net(x)

    volume = volume_of((40, 40, 40))
    segment(predictor, volume, WindowSettings(roi=(24, 24, 24)), box=(slice(35, 40), slice(0, 3), slice(10, 14)))
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0][0], volume[:, 16:40, 0:24, 0:24])


def test_sigmoid_regions_and_merge(net: nn.Module) -> None:
    volume = volume_of((40, 30, 36), 6)
    logits = monai_logits(net, volume, (24, 24, 24))
    settings = WindowSettings(roi=(24, 24, 24))
    bits = segment(net, volume, settings, activation="sigmoid").labels
    expected = sum((logits[k] > 0).astype(int) << k for k in range(CLASSES))
    assert agreement(bits, expected) >= 0.9999

    def merge(regions: np.ndarray) -> np.ndarray:
        assert regions.dtype == bool
        assert regions.shape[0] == CLASSES
        return np.where(regions[1], 2, np.where(regions[3], 7, 0)).astype(np.uint8)

    found = segment(net, volume, settings, activation="sigmoid", merge=merge, uncertainty=True)
    assert agreement(found.labels, np.where(logits[1] > 0, 2, np.where(logits[3] > 0, 7, 0))) >= 0.9999
    p = torch.from_numpy(logits).sigmoid().double()
    entropy = -(p * p.log() + (1 - p) * (1 - p).log()).mean(0) / np.log(2)
    np.testing.assert_allclose(found.uncertainty, entropy, atol=1e-3)


def test_entropy_range() -> None:
    def undecided(x: Tensor) -> Tensor:
        return torch.zeros(len(x), 5, *x.shape[2:])

    def sure(x: Tensor) -> Tensor:
        return torch.tensor([1e4, 0, 0, 0, 0.0]).view(1, 5, 1, 1, 1).expand(len(x), 5, *x.shape[2:])

    volume = volume_of((20, 20, 20))
    settings = WindowSettings(roi=(16, 16, 16))
    for activation in ("softmax", "sigmoid"):
        high = segment(undecided, volume, settings, activation=activation, uncertainty=True).uncertainty
        assert high is not None
        np.testing.assert_allclose(high, 1.0, atol=1e-5)
    low = segment(sure, volume, settings, uncertainty=True).uncertainty
    assert low is not None
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, 0.0, atol=1e-5)


@pytest.mark.parametrize("flips", [(0,), (1, 2)])
def test_flips_average_mirrored_predictions(net: nn.Module, flips: tuple[int, ...]) -> None:
    volume = volume_of((40, 30, 36), 7)

    def averaged(x: Tensor) -> Tensor:
        axes = [[]] + [[a + 2] for a in flips] + ([[a + 2 for a in flips]] if len(flips) == 2 else [])
        return torch.stack([net(x.flip(a)).flip(a) for a in axes]).mean(0)

    expected = monai_logits(averaged, volume, (24, 24, 24)).argmax(0)
    found = segment(net, volume, WindowSettings(roi=(24, 24, 24), flips=flips))
    assert agreement(found.labels, expected) >= 0.9999
    plain = segment(net, volume, WindowSettings(roi=(24, 24, 24)))
    assert agreement(found.labels, plain.labels) < 0.999


def test_reversed_axes(net: nn.Module) -> None:
    volume = volume_of((40, 30, 36), 7)
    found = segment(net, volume, WindowSettings(roi=(24, 16, 32), axis_order="zyx"))
    turned = np.ascontiguousarray(volume.transpose(0, 3, 2, 1))
    expected = monai_logits(net, turned, (32, 16, 24)).argmax(0)
    assert agreement(found.labels, expected.transpose(2, 1, 0)) >= 0.9999


def test_cancel_stops_within_one_window(net: nn.Module) -> None:
    calls, seen = [0], []

    def predictor(x: Tensor) -> Tensor:
        calls[0] += 1
        return net(x)

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        segment(predictor, volume_of((60, 60, 60)), WindowSettings(roi=(24, 24, 24), batch=1), progress=progress)
    assert calls[0] == 3
    assert seen == [(0, 64), (1, 64), (2, 64), (3, 64)]


def test_progress_reaches_the_end(net: nn.Module) -> None:
    seen: list[tuple[int, int]] = []
    found = segment(
        net, volume_of((40, 24, 50)), WindowSettings(roi=(24, 24, 24)), progress=lambda d, t: seen.append((d, t))
    )
    total = found.report.windows
    assert seen == [(i, total) for i in range(total + 1)]


class Hungry:
    """Runs out of memory above a number of voxels per call, as a GPU does."""

    def __init__(self, net: nn.Module, limit: int) -> None:
        self.net, self.limit, self.failed = net, limit, 0

    def __call__(self, x: Tensor) -> Tensor:
        if len(x) * x[0, 0].numel() > self.limit:
            self.failed += 1
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            )
        return self.net(x)


def test_memory_that_runs_out_is_a_line_with_the_flags(net: nn.Module) -> None:
    """Another batch or window would be another result: neither is chosen for anybody."""
    hungry = Hungry(net, 24**3)
    with pytest.raises(
        OutOfMemory, match=r"4 window\(s\) of 24 x 24 x 24 .* ran out .* Try --batch 1 \(now 4\)"
    ) as caught:
        segment(hungry, volume_of((40, 40, 40)), WindowSettings(roi=(24, 24, 24), batch=4))
    assert hungry.failed == 1
    assert "\n" not in str(caught.value)
    with pytest.raises(OutOfMemory, match=r"Try --batch 1 \(now 2\) and --roi 32 32 32"):
        segment(Hungry(net, 0), volume_of((70, 70, 40)), WindowSettings(roi=(64, 64, 64), batch=2))
    with pytest.raises(OutOfMemory, match="another device or a coarser spacing"):
        segment(Hungry(net, 0), volume_of((40, 40, 40)), WindowSettings(roi=(32, 32, 32), batch=1))


def test_other_errors_are_not_swallowed(net: nn.Module) -> None:
    def broken(x: Tensor) -> Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        segment(broken, volume_of((20, 20, 20)), WindowSettings(roi=(16, 16, 16)))


def test_bfloat16_is_close(low_net: nn.Module) -> None:
    volume = volume_of((40, 40, 40))
    full = segment(low_net, volume, WindowSettings(roi=(32, 32, 32), stride=4))
    half = segment(low_net, volume, WindowSettings(roi=(32, 32, 32), stride=4, precision="bfloat16"))
    assert half.report.precision == "bfloat16"
    assert full.report.precision == "float32"
    assert 0.9 < agreement(full.labels, half.labels) < 1.0


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_memory_is_bounded_by_a_slab(mode: Any) -> None:
    """Four times as long a volume takes no more memory beyond its labels."""
    classes = 16
    allocated: list[int] = []
    zeros, original = torch.zeros, torch.zeros

    def counting(*size: Any, **kwargs: Any) -> Tensor:
        made = original(*size, **kwargs)
        allocated.append(made.numel() * made.element_size())
        return made

    def predictor(x: Tensor) -> Tensor:
        return x.new_ones(len(x), classes, *(n // 4 for n in x.shape[2:]))

    peaks = []
    for length in (96, 384):
        allocated.clear()
        volume = np.zeros((1, length, 32, 32), np.float32)
        torch.zeros = counting  # type: ignore[assignment]
        try:
            tracemalloc.start()
            segment(predictor, volume, WindowSettings(roi=(32, 32, 32), stride=4, mode=mode, precision="float32"))
            python_peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            torch.zeros = zeros
        peaks.append((sum(allocated), python_peak - length * 32 * 32))
    assert peaks[1][0] == peaks[0][0]
    assert peaks[1][0] < 1.3 * 4 * classes * 34 * 32 * 32
    assert peaks[1][1] < peaks[0][1] + 2**20


def test_read_only_and_flipped_input(net: nn.Module) -> None:
    volume = volume_of((40, 30, 36), 7)
    expected = segment(net, volume, WindowSettings(roi=(24, 24, 24))).labels
    view = np.ascontiguousarray(volume[:, ::-1])[:, ::-1]
    view.setflags(write=False)
    assert agreement(segment(net, view, WindowSettings(roi=(24, 24, 24))).labels, expected) == 1.0


def test_many_classes_need_wider_labels() -> None:
    def predictor(x: Tensor) -> Tensor:
        out = torch.zeros(len(x), 300, *x.shape[2:])
        out[:, 299] = 1
        return out

    labels = segment(predictor, volume_of((8, 8, 8)), WindowSettings(roi=(8, 8, 8))).labels
    assert labels.dtype == np.uint16
    assert (labels == 299).all()


def test_bad_shapes(net: nn.Module) -> None:
    with pytest.raises(InputError, match="expected a volume"):
        segment(net, np.zeros((4, 4, 4), np.float32), WindowSettings(roi=(8, 8, 8)))
    with pytest.raises(InputError, match="logits of shape"):
        segment(net, volume_of((16, 16, 16)), WindowSettings(roi=(16, 16, 16), stride=4))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_gpu_equals_cpu(low_net: nn.Module, mode: Any) -> None:
    volume = volume_of((70, 60, 50), 8)
    settings = WindowSettings(roi=(32, 32, 32), stride=4, mode=mode, precision="float32")
    expected = segment(low_net, volume, settings, output_shape=(90, 60, 70))
    import copy

    found = segment(copy.deepcopy(low_net).cuda(), volume, settings, device="cuda", output_shape=(90, 60, 70))
    assert agreement(found.labels, expected.labels) >= 0.999
