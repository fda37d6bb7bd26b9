from __future__ import annotations

import torch

from model import LIGHT, VisTR
from model.initialise import random_tensors
from tests.tiny_vistr import tiny_vistr


def test_the_seed_alone_decides() -> None:
    architecture = tiny_vistr().architecture
    state = torch.get_rng_state()
    first, again = random_tensors(architecture, 3), random_tensors(architecture, 3)
    other = random_tensors(architecture, 4)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["vistr.query_embed.weight"], other["vistr.query_embed.weight"])


def test_the_untrained_light_network_answers_to_its_input() -> None:
    net = VisTR(LIGHT)
    net.load_state_dict(random_tensors(LIGHT, 0))
    net.eval().requires_grad_(False)
    first, second = (net.encode(torch.rand(36, 3, 64, 96) * scale) for scale in (1, 2))
    state, other = net.relate(first), net.relate(second)
    masks = net.segment(state, [0, 9])
    for tensor in (state.logits, state.boxes, state.embeddings, masks):
        assert tensor.isfinite().all()
        assert tensor.std(0).max() > 1e-3  # over time
    for tensor in (state.logits, state.boxes, state.embeddings):
        assert tensor.std(1).max() > 1e-3  # over slots
    assert (state.logits - other.logits).abs().max() > 1e-4
    assert (masks > 0).any()
    assert (masks < 0).any()
