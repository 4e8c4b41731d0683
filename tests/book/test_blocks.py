"""What a page builds is the library's network, or the page says where they part."""

import pytest
import torch
from torch import nn

from emolib.book import blocks
from emolib.models.layers import DepthwiseSeparable


def separable(c_out: int = 6, *, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False), nn.BatchNorm2d(3), activation(),
        nn.Conv2d(3, c_out, 1, bias=False), nn.BatchNorm2d(c_out), activation(),
    )  # fmt: skip


def test_a_network_with_other_names_and_the_same_layers_is_the_same():
    shown = blocks.same(separable(), DepthwiseSeparable(3, 6), torch.randn(2, 3, 8, 8))
    (row,) = shown.frame.to_dict("records")
    assert row["parameters, this page"] == row["parameters, library"] == "63"
    assert row["output"] == "2×6×8×8"


def test_a_layer_of_another_size_is_named():
    with pytest.raises(blocks.BlockError, match=r"part at 3\.weight \(7, 3, 1, 1\)"):
        blocks.same(separable(7), DepthwiseSeparable(3, 6), torch.randn(2, 3, 8, 8))


def test_a_layer_too_few_is_named():
    with pytest.raises(blocks.BlockError, match=r"part at nothing \(\), where the library has 4"):
        blocks.same(separable()[:4], DepthwiseSeparable(3, 6), torch.randn(2, 3, 8, 8))


def test_the_same_layers_with_another_forward_pass_are_told():
    with pytest.raises(blocks.BlockError, match="the outputs differ"):
        other = separable(activation=nn.Tanh)
        blocks.same(other, DepthwiseSeparable(3, 6), torch.randn(2, 3, 8, 8))


def test_the_source_is_folded_and_nothing_in_it_becomes_markup():
    shown = blocks.source(blocks.Source)
    assert "emolib/book/blocks.py" in shown.name
    assert shown._repr_html_().startswith("<details><summary>Source in")
    assert "&lt;details&gt;" in shown._repr_html_()
    assert "class Source" in repr(shown)
