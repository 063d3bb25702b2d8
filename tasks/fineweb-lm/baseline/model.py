"""A small GPT. `train.py` copies this file into the folder that is handed in."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

ONE_THREAD_WIDTH = 256
"""For little matrices threads only wait for each other, and for long on a busy machine."""


@dataclass(frozen=True)
class Shape:
    """What a network is made of; it is saved beside the weights."""

    vocabulary: int
    length: int
    layers: int
    heads: int
    width: int


class Block(nn.Module):
    """Attention to what came before, then a layer for each token alone."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.before = nn.LayerNorm(shape.width)
        self.mix = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.between = nn.LayerNorm(shape.width)
        self.wide = nn.Linear(shape.width, 4 * shape.width)
        self.narrow = nn.Linear(4 * shape.width, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """From and to (rows, length, width)."""
        rows, length, width = x.shape
        parts = self.mix(self.before(x)).view(rows, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(
            2, 0, 3, 1, 4
        )  # each (rows, heads, length, width / heads)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(rows, length, width))
        return x + self.narrow(functional.gelu(self.wide(self.between(x))))


class GPT(nn.Module):
    """The network; the table of tokens is also the last layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.places = nn.Embedding(shape.length, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.last = nn.LayerNorm(shape.width)
        self.bias = nn.Parameter(torch.zeros(shape.vocabulary))
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                deep = name.endswith(("out.weight", "narrow.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * shape.layers) ** (0.5 * deep))

    def features(self, tokens: Tensor) -> Tensor:
        """From (rows, length) to (rows, length, width)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.tokens(tokens) + self.places(places)
        for block in self.blocks:
            x = block(x)
        return self.last(x)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of what follows each token: (rows, length, vocabulary)."""
        return functional.linear(self.features(tokens), self.tokens.weight, self.bias)


class Model:
    """What `load` returns to the judge's loader."""

    def __init__(self, network: GPT) -> None:
        if network.shape.width <= ONE_THREAD_WIDTH:
            torch.set_num_threads(1)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = network.to(self.device).eval()

    @torch.inference_mode()
    def logits(self, tokens: np.ndarray) -> np.ndarray:
        """Scores of what follows each row: from int64 (rows, length) to float32 (rows, vocabulary)."""
        x = self.network.features(torch.from_numpy(tokens).to(self.device))[:, -1]
        scores = functional.linear(x, self.network.tokens.weight, self.network.bias)
        return scores.float().cpu().numpy()


def save(network: GPT, folder: Path) -> None:
    """Write the shape and the weights."""
    folder.mkdir(exist_ok=True)
    (folder / "shape.json").write_text(json.dumps(asdict(network.shape)), encoding="utf-8")
    path = folder / "weights.safetensors"
    save_file({name: weight.contiguous() for name, weight in network.state_dict().items()}, path)
    path.chmod(0o644)


def load(folder: Path) -> Model:
    """The model whose shape and weights lie in the folder."""
    shape = json.loads((folder / "shape.json").read_text(encoding="utf-8"))
    network = GPT(Shape(**shape))
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    return Model(network)
