"""U-Net has no reference: its shapes, and that it learns."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import ogive


def test_the_output_has_the_size_of_the_input() -> None:
    module = ogive.compile(ogive.load("unet", "UNet", base=8)).eval()
    with torch.inference_mode():
        assert module(torch.randn(2, 3, 48, 80)).shape == (2, 2, 48, 80)


def test_a_size_that_the_levels_do_not_divide_is_refused_at_its_line() -> None:
    module = ogive.compile(ogive.load("unet", "UNet", base=8))
    with pytest.raises(ogive.ArchError) as caught:
        module(torch.randn(1, 3, 40, 48))
    assert "40 % 16 = 8" in str(caught.value)
    assert "unet.arch" in str(caught.value)


def test_training_on_one_batch_lowers_the_loss() -> None:
    """Squares on noise: after 30 steps the loss is well below what it was."""
    torch.manual_seed(0)
    module = ogive.compile(ogive.load("unet", "UNet", base=8, levels=2)).train()
    image = 0.3 * torch.randn(4, 3, 32, 32)
    mask = torch.zeros(4, 32, 32, dtype=torch.long)
    mask[:, 8:20, 10:26] = 1
    image += mask[:, None]
    optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(module(image), mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
