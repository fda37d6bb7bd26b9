"""The golden cases: outputs of the published network for weights that can be drawn again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.golden.random_weights import random_weights

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class GoldenCase:
    arrays: dict[str, NDArray[Any]]
    keys: dict[str, list[int]]
    results: list[dict[str, Any]]
    salt: int

    def weights(self) -> dict[str, Tensor]:
        drawn = random_weights(self.keys, self.salt, self.arrays)
        return {key: torch.from_numpy(array) for key, array in drawn.items()}

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])


def golden_case(name: str, salt: int) -> GoldenCase:
    with np.load(GOLDEN / f"{name}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files}
    keys = json.loads((GOLDEN / f"{name}.keys.json").read_text())
    results = json.loads((GOLDEN / f"{name}.results.json").read_text())
    return GoldenCase(arrays, keys, results, salt)
