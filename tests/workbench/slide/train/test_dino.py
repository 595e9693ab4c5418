"""The loss is the formula, the centre and the teacher move as said, and what must not learn does not."""

import numpy as np
import pytest
import torch

from workbench.nets.vit import VisionTransformer
from workbench.slide.train.batches import moment_of, numbers_of
from workbench.slide.train.dino import Dino, DinoHead, Moment, dino_loss, follow, next_centre, rising
from workbench.slide.train.settings import SlideTrainConfig
from workbench.training.schedule import half_cosine


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def outputs(seed, views, count=5, dim=7):
    return np.random.default_rng(seed).standard_normal((views, count, dim)).astype(np.float32)


def test_the_loss_is_the_formula():
    student, teacher, centre = outputs(0, 4), outputs(1, 2), outputs(2, 1, 1)[0, 0]
    right, pairs = 0.0, 0
    for t in range(2):
        for s in range(4):
            if t != s:
                p = softmax((teacher[t].astype(float) - centre) / 0.04)
                right += -(p * np.log(softmax(student[s].astype(float) / 0.1))).sum(-1).mean()
                pairs += 1
    assert pairs == 6
    found = dino_loss(
        list(torch.from_numpy(student)), list(torch.from_numpy(teacher)), torch.from_numpy(centre),
        student_temp=0.1, teacher_temp=0.04,
    )  # fmt: skip
    assert float(found) == pytest.approx(right / pairs, rel=1e-5)


def test_golden_value_of_two_outputs():
    # Both crops alike: teacher softmax((1, 0) / 0.5), student log softmax((1, 0) / 1).
    x = torch.tensor([[1.0, 0.0]])
    p = np.exp(2) / (np.exp(2) + 1)
    q = np.log(np.exp(1) / (np.exp(1) + 1)), np.log(1 / (np.exp(1) + 1))
    found = dino_loss([x, x], [x, x], torch.zeros(2), student_temp=1.0, teacher_temp=0.5)
    assert float(found) == pytest.approx(-(p * q[0] + (1 - p) * q[1]), abs=1e-6)


def test_a_teacher_gets_no_gradient():
    teacher = torch.randn(3, 4, requires_grad=True)
    student = torch.randn(3, 4, requires_grad=True)
    dino_loss([student, student], [teacher], torch.zeros(4), student_temp=0.1, teacher_temp=0.04).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_the_centre_moves_towards_the_mean():
    teacher, centre = outputs(3, 2), outputs(4, 1, 1)[0, 0]
    found = next_centre(torch.from_numpy(centre), list(torch.from_numpy(teacher)), 0.9)
    assert np.allclose(found, 0.9 * centre + 0.1 * teacher.reshape(-1, 7).mean(0), atol=1e-6)


def tiny():
    torch.manual_seed(0)
    return Dino(VisionTransformer(32, 16, 24, 2, 3, drop_path=0.2), DinoHead(24, 16, 20, 8))


def test_the_teacher_follows():
    net = tiny()
    before = [p.clone() for p in net.teacher.parameters()]
    for p in net.student.parameters():
        p.data.add_(1.0)
    follow(net.teacher, net.student, 0.75)
    for old, new, student in zip(before, net.teacher.parameters(), net.student.parameters(), strict=True):
        assert torch.allclose(new, 0.75 * old + 0.25 * student, atol=1e-6)


def test_only_the_student_learns_and_the_first_step_moves_no_teacher():
    net = tiny()
    teacher = [p.clone() for p in net.teacher.parameters()]
    large, small = [torch.randn(3, 3, 32, 32) for _ in range(2)], [torch.randn(3, 3, 16, 16)]
    net.loss(large, small, Moment(1.0, 0.04)).backward()
    assert all(torch.equal(a, b) for a, b in zip(teacher, net.teacher.parameters(), strict=True))
    assert all(p.grad is None for p in (*net.teacher.parameters(), *net.teacher_head.parameters()))
    assert all(p.grad is not None for p in (*net.student.parameters(), *net.student_head.parameters()))
    assert net.centre.abs().sum() > 0
    assert {b.drop_path for b in net.teacher.blocks} == {0.0}
    assert net.student.blocks[-1].drop_path == 0.2


def test_the_centre_takes_in_all_crops_of_the_teacher():
    net = tiny()
    large = [torch.randn(3, 3, 32, 32), 5 + torch.randn(3, 3, 32, 32)]
    with torch.no_grad():
        first, second = (net.teacher_head(net.teacher(x)).mean(0) for x in large)
    assert (first - second).abs().max() > 0.01, "crops that are told apart"
    net.loss(large, [torch.randn(3, 3, 16, 16)], Moment(1.0, 0.04))
    assert torch.allclose(net.centre, 0.1 * (first + second) / 2, atol=1e-6)


def test_a_fixed_last_layer_has_no_gradient():
    net = tiny()
    net.loss([torch.randn(3, 3, 32, 32) for _ in range(2)], [], Moment(1.0, 0.04, fixed=True)).backward()
    assert net.student_head.last.grad is None
    assert net.student_head.fc3.weight.grad is not None


def test_the_head_gives_cosines():
    head = DinoHead(24, 16, 20, 8)
    found = head(100 * torch.randn(50, 24))
    assert found.shape == (50, 16)
    assert found.abs().max() <= 1 + 1e-5
    head.last.data.mul_(7)
    torch.manual_seed(1)
    x = torch.randn(4, 24)
    before = head(x)
    head.last.data.mul_(0.1)
    assert torch.allclose(head(x), before, atol=1e-6), "rows have no length of their own"


def test_schedules():
    assert half_cosine(0.04, 0.4, 0.0) == pytest.approx(0.04)
    assert half_cosine(0.04, 0.4, 0.5) == pytest.approx(0.22)
    assert half_cosine(0.04, 0.4, 1.0) == pytest.approx(0.4)
    assert half_cosine(0.996, 1.0, 2.0) == 1.0
    assert [rising(0.04, 0.07, f, 0.3) for f in (0.0, 0.15, 0.3, 1.0)] == pytest.approx([0.04, 0.055, 0.07, 0.07])
    assert rising(0.04, 0.07, 0.0, 0.0) == 0.07
    config = SlideTrainConfig()
    first, second, last = (moment_of(n, 1000, config) for n in (0, 1, 1000))
    assert (first.momentum, first.fixed, first.teacher_temp) == (1.0, True, 0.04)
    assert second.momentum == pytest.approx(0.996)
    assert last.momentum == pytest.approx(1.0, abs=1e-6)
    assert (last.fixed, last.teacher_temp) == (False, 0.07)
    assert moment_of(0, 1000, config, spent=1.0).teacher_temp == 0.07, "time that is up ends the schedules"


def test_a_pass_has_every_tile_once_and_passes_differ():
    config = SlideTrainConfig(batch=4, seed=1)
    drawn = np.array([numbers_of(n, 10, config) for n in range(5)]).ravel()
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert drawn[:10].tolist() != drawn[10:].tolist()
    assert numbers_of(3, 10, config) == numbers_of(3, 10, config)
    assert numbers_of(3, 10, config) != numbers_of(3, 10, SlideTrainConfig(batch=4, seed=2))
