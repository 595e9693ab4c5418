"""What a classifier looked at: on the picture of the page, and in the leads.

Swin: Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391). ViT and BEiT: rollout of attention weighted by gradients
(Abnar and Zuidema 2020, arXiv:2005.00928; Chefer et al. 2021, arXiv:2103.15679). Leads: what the class
loses without each of them (occlusion, Zeiler and Fergus 2014, arXiv:1311.2901).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from workbench.page.net.classifiers import PictureNet
    from workbench.page.net.lead_net import LeadNet

Floats = npt.NDArray[np.float32]


def on_picture(
    net: PictureNet, picture: npt.NDArray[np.uint8], target: int, device: Any, against: int | None = None
) -> Floats:
    """How much each place of a picture speaks for a class, ``(height, width)`` float32, 0 or more, 1 in sum.

    Parameters
    ----------
    picture
        ``(height, width, 3)`` uint8, as the network takes it.
    target
        Number of the class.
    against
        Number of the class that it is held against: what speaks for both alike counts for neither.
    """
    inputs = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float().to(device)
    with torch.enable_grad():
        way = _grad_cam if net.is_windowed else _rollout
        coarse = way(net, inputs, lambda logits: logits[target] - (0 if against is None else logits[against]))
    size = (picture.shape[0], picture.shape[1])
    fine = interpolate(coarse[None, None].float(), size=size, mode="bilinear", align_corners=False)[0, 0]
    fine = fine.clamp_min(0).cpu()
    total = float(fine.sum())
    out: Floats = (fine / total if total > 0 else torch.full_like(fine, 1 / fine.numel())).numpy()
    return out


def _grad_cam(net: PictureNet, inputs: Tensor, what: Callable[[Tensor], Tensor]) -> Tensor:
    """``(rows, columns)`` of the last stage."""
    kept: list[Tensor] = []
    last = net.net.swin.encoder.layers[-1].blocks[-1]

    def keep(_module: Any, _entering: Any, leaving: Any) -> None:
        kept.append(leaving[0] if isinstance(leaving, tuple) else leaving)

    hook = last.register_forward_hook(keep)
    try:
        logits = net.ask(net.prepared(inputs).requires_grad_()).logits
    finally:
        hook.remove()
    (seen,) = kept
    (slope,) = torch.autograd.grad(what(logits[0]), seen)
    cam = (slope.mean(1, keepdim=True) * seen).sum(-1)[0].clamp_min(0).detach()
    sizes = net.net.config
    down = int(sizes.patch_size) * 2 ** (len(sizes.depths) - 1)
    return cam.reshape(-(-inputs.shape[2] // down), -(-inputs.shape[3] // down))


def _rollout(net: PictureNet, inputs: Tensor, what: Callable[[Tensor], Tensor]) -> Tensor:
    """``(rows, columns)`` of patches: what flows from them to where the class is read."""
    before = net.net.config._attn_implementation
    net.net.set_attn_implementation("eager")  # the other one keeps no attention
    try:
        found = net.ask(net.prepared(inputs).requires_grad_(), output_attentions=True)
    finally:
        net.net.set_attn_implementation(before)
    slopes = torch.autograd.grad(what(found.logits[0]), found.attentions)
    tokens = found.attentions[0].shape[-1]
    flow = torch.eye(tokens, device=inputs.device)
    for attention, slope in zip(found.attentions, slopes, strict=True):
        own = (attention * slope)[0].clamp_min(0).mean(0).detach()
        flow = flow + own @ flow
    if net.config.architecture == "beit" and net.net.config.use_mean_pooling:
        seen = (flow - torch.eye(tokens, device=flow.device))[1:, 1:].mean(0)
    else:
        seen = flow[0, 1:]
    patch = net.net.config.patch_size
    high, wide = patch if isinstance(patch, list | tuple) else (patch, patch)
    rows, columns = inputs.shape[2] // high, inputs.shape[3] // wide
    return seen.reshape(rows, columns)


def on_leads(net: LeadNet, leads: npt.NDArray[np.floating[Any]], target: int, device: Any) -> Floats:
    """How much the logit of a class loses where a lead is not seen, ``(12,)`` float32; 0 of leads that are not there.

    Parameters
    ----------
    leads
        As `workbench.page.diagnose.leads.lead_array` makes them. The network is taught with pages that lack leads, so
        one without a lead is nothing new to it; a flat lead, as gradients are summed from, would be.
    """
    whole = torch.from_numpy(np.ascontiguousarray(leads, np.float32))
    there = torch.isfinite(whole).any(dim=1)
    pages = whole.repeat(1 + len(whole), 1, 1)
    for n in range(len(whole)):
        pages[1 + n, n] = torch.nan
    with torch.no_grad():
        logits = net(pages.to(device))[:, target].float().cpu()
    lost: Floats = torch.where(there, logits[0] - logits[1:], 0.0).numpy()
    return lost
