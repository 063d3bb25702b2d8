"""BERT with a classifier on top, and how its published weights are read.

Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding", 2019. n is the number of pairs, t of tokens in the longest one.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import gelu, scaled_dot_product_attention

HEAD = 64  # the width of an attention head, in every published size
DROPOUT = 0.1
EPSILON = 1e-12  # of the layer norms
NAMES = (
    # how parts of the names in the published file are called here; the order matters
    ("bert.embeddings.", ""),
    ("bert.encoder.layer.", "layers."),
    ("bert.pooler.dense", "pooler"),
    (".gamma", ".weight"),
    (".beta", ".bias"),
    ("attention.self.", ""),
    ("attention.output.dense", "mixed"),
    ("attention.output.LayerNorm", "mixed_norm"),
    ("intermediate.dense", "inner"),
    ("output.dense", "outer"),
    ("output.LayerNorm", "outer_norm"),
    ("LayerNorm", "norm"),
)


class Layer(nn.Module):
    """Attention among a pair's tokens, then a network on each; both add to what came in."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.mixed, self.mixed_norm = nn.Linear(width, width), nn.LayerNorm(width, EPSILON)
        self.inner, self.outer = nn.Linear(width, inner), nn.Linear(inner, width)
        self.outer_norm = nn.LayerNorm(width, EPSILON)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, tokens: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Of tokens (n, t, width), where those marked in `seen` (n, 1, 1, t) are looked at."""
        query, key, value = (
            made(tokens).unflatten(2, (-1, HEAD)).transpose(1, 2)
            for made in (self.query, self.key, self.value)
        )
        dropped = DROPOUT if self.training else 0.0
        found = scaled_dot_product_attention(query, key, value, attn_mask=seen, dropout_p=dropped)
        mixed = self.mixed(found.transpose(1, 2).flatten(2))
        tokens = self.mixed_norm(tokens + self.drop(mixed))
        return self.outer_norm(tokens + self.drop(self.outer(gelu(self.inner(tokens)))))


class Bert(nn.Module):
    """The encoder, the pooler on its first token, and a linear classifier."""

    def __init__(self, weights: dict[str, torch.Tensor], labels: int) -> None:
        super().__init__()
        words, width = weights["word_embeddings.weight"].shape
        inner = len(weights["layers.0.inner.bias"])
        depth = sum(name.endswith("inner.bias") for name in weights)
        self.word_embeddings = nn.Embedding(words, width)
        positions = len(weights["position_embeddings.weight"])
        self.position_embeddings = nn.Embedding(positions, width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, EPSILON)
        self.layers = nn.ModuleList(Layer(width, inner) for _ in range(depth))
        self.pooler = nn.Linear(width, width)
        self.classifier = nn.Linear(width, labels)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, ids: torch.Tensor, types: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Scores of the labels (n, labels).

        Ids, types (0 in the first sentence, 1 in the second) and `seen` (False where a pair has
        ended) have shape (n, t).
        """
        places = torch.arange(ids.shape[1], device=ids.device)
        tokens = self.word_embeddings(ids) + self.token_type_embeddings(types)
        tokens = self.drop(self.norm(tokens + self.position_embeddings(places)))
        for layer in self.layers:
            tokens = layer(tokens, seen[:, None, None])
        return self.classifier(self.drop(torch.tanh(self.pooler(tokens[:, 0]))))


def load(path: Path, labels: int) -> Bert:
    """BERT with the weights of a file in Hugging Face's layout.

    A classifier is taken from the file where there is one, else it begins at random. What only
    pre-training needs is left out; anything else that is missing is an error.
    """
    published = {renamed(name): weight for name, weight in load_file(path).items()}
    model = Bert(published, labels)
    own = model.state_dict()
    for name in ("classifier.weight", "classifier.bias"):
        published.setdefault(name, own[name])
    model.load_state_dict({name: weight for name, weight in published.items() if name in own})
    return model


def renamed(name: str) -> str:
    """What a weight of the file is called here."""
    for theirs, ours in NAMES:
        name = name.replace(theirs, ours)
    return name
