"""Self-distillation without labels (DINO): two networks of one shape agree on crops of the same tile.

M. Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021, arXiv 2104.14294. A student
learns to give for any crop what a teacher gives for another, large one; the teacher is the running average of the
student. Its outputs are centred (no output wins everywhere) and sharpened (not all are alike), so that both cannot
agree on a constant. Written from the description.

>>> net = Dino(backbone, DinoHead(384, 4096))                                          # doctest: +SKIP
>>> loss = net.loss(large, small, moment)                                              # doctest: +SKIP
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.nets.vit import VisionTransformer


class DinoHead(nn.Module):
    """The projection: three layers, a unit vector, and a last layer whose rows are unit vectors too.

    Parameters
    ----------
    dim, out_dim
        Width of an embedding and of the outputs: ``(N, dim) -> (N, out_dim)``.
    hidden, bottleneck
        Widths in between.
    """

    def __init__(self, dim: int, out_dim: int, hidden: int = 2048, bottleneck: int = 256) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, bottleneck)
        self.last = nn.Parameter(torch.empty(out_dim, bottleneck))
        for layer in (self.fc1, self.fc2, self.fc3):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        nn.init.trunc_normal_(self.last, std=0.02)

    def forward(self, x: Tensor, *, fixed: bool = False) -> Tensor:
        """Outputs ``(N, out_dim)``; with `fixed` the last layer learns nothing."""
        x = self.fc3(F.gelu(self.fc2(F.gelu(self.fc1(x)))))
        last = self.last.detach() if fixed else self.last
        return F.linear(F.normalize(x, dim=-1), F.normalize(last, dim=-1))


def dino_loss(
    student: Sequence[Tensor], teacher: Sequence[Tensor], centre: Tensor, *, student_temp: float, teacher_temp: float
) -> Tensor:
    """Mean cross-entropy between what the teacher says of a crop and what the student says of another of that tile.

    ``-sum_k softmax((t - centre) / teacher_temp)_k log softmax(s / student_temp)_k``, over all pairs of a crop of the
    teacher and a *different* crop of the student, and over the batch.

    Parameters
    ----------
    student, teacher
        Outputs ``(B, K)`` for each crop; the first of the student are of the same crops as those of the teacher.
    centre
        ``(K,)``.
    """
    wanted = [F.softmax((t.float() - centre) / teacher_temp, dim=-1).detach() for t in teacher]
    said = [F.log_softmax(s.float() / student_temp, dim=-1) for s in student]
    pairs = [-(t * s).sum(-1).mean() for i, t in enumerate(wanted) for j, s in enumerate(said) if i != j]
    return torch.stack(pairs).mean()


def next_centre(centre: Tensor, teacher: Sequence[Tensor], momentum: float) -> Tensor:
    """The centre ``(K,)`` moved towards the mean of the teacher's outputs ``(B, K)`` over crops and batch."""
    mean = torch.cat([t.float() for t in teacher]).mean(0)
    return momentum * centre + (1 - momentum) * mean


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the teacher towards the student: ``momentum * teacher + (1 - momentum) * student``, every parameter."""
    for mine, other in zip(teacher.parameters(), student.parameters(), strict=True):
        mine.mul_(momentum).add_(other.detach(), alpha=1 - momentum)


def rising(start: float, end: float, fraction: float, warmup: float) -> float:
    """From `start` to `end` in a straight line while `fraction` is below `warmup`, then `end`."""
    return end if warmup <= 0 or fraction >= warmup else start + (end - start) * fraction / warmup


@dataclass(frozen=True)
class Moment:
    """The numbers of one step.

    Parameters
    ----------
    momentum
        With which the teacher takes in what the student learnt in the step before; 1 at the very first step.
    teacher_temp, student_temp, centre_momentum
        See `dino_loss`, `next_centre`.
    fixed
        The last layer learns nothing.
    """

    momentum: float
    teacher_temp: float
    student_temp: float = 0.1
    centre_momentum: float = 0.9
    fixed: bool = False


class Dino(nn.Module):
    """Student, teacher and centre; all that a training must keep is in its state.

    Parameters
    ----------
    backbone
        Becomes the student's. The teacher begins as its copy, without stochastic depth.
    head
        The projection, of both.
    """

    def __init__(self, backbone: VisionTransformer, head: DinoHead) -> None:
        super().__init__()
        self.student, self.student_head = backbone, head
        self.teacher, self.teacher_head = copy.deepcopy(backbone), copy.deepcopy(head)
        for block in self.teacher.blocks:
            block.drop_path = 0.0  # type: ignore[assignment]
        for parameter in (*self.teacher.parameters(), *self.teacher_head.parameters()):
            parameter.requires_grad_(False)
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(head.last.shape[0]))

    def forward(self, x: Tensor) -> Tensor:
        """What the teacher makes of tiles: ``(B, 3, H, W) -> (B, D)``."""
        found: Tensor = self.teacher(x)
        return found

    def loss(self, large: Sequence[Tensor], small: Sequence[Tensor], moment: Moment) -> Tensor:
        """The loss of crops ``(B, 3, S, S)`` of the same tiles, two or more large ones first.

        The teacher takes in the student of the step before, and the centre moves after the loss: both are then in the
        state, as if nothing had happened, when a killed training goes on.
        """
        self.catch_up(moment.momentum)
        with torch.no_grad():
            taught = [self.teacher_head(self.teacher(x)) for x in large]
        # Crops of one size go through the network together.
        tokens = [*self.student(torch.cat(list(large))).chunk(len(large))]
        if small:
            tokens += self.student(torch.cat(list(small))).chunk(len(small))
        said = self.student_head(torch.cat(tokens), fixed=moment.fixed).chunk(len(tokens))
        found = dino_loss(said, taught, self.centre, student_temp=moment.student_temp, teacher_temp=moment.teacher_temp)
        with torch.no_grad():
            self.centre.copy_(next_centre(self.centre, taught, moment.centre_momentum))
        return found

    def catch_up(self, momentum: float) -> None:
        """Let the teacher take in what the student has learnt."""
        follow(self.teacher, self.student, momentum)
        follow(self.teacher_head, self.student_head, momentum)
