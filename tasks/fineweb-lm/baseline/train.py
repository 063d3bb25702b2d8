"""Train a small GPT from scratch, and write it into model/.

Its size and number of steps go with the windows: the smaller ones are for two cores and half a minute,
the larger ones are the network and steps of the published baseline and want a GPU.
"""

import json
import math
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from model import GPT, ONE_THREAD_WIDTH, Shape, save
from torch import Tensor
from torch.nn import functional

HERE = Path(__file__).parent
DATA = Path("data")
SETTINGS: dict[int, dict[str, float]] = {
    128: {"layers": 1, "width": 128, "steps": 200, "rows": 8, "micro": 8, "rate": 3e-3},
    1024: {"layers": 12, "width": 768, "steps": 500, "rows": 512, "micro": 16, "rate": 1e-3},
}
"""By the length of the windows; rows are windows in one step, micro those that fit in memory."""

HEAD_WIDTH = 64
DECAY = 0.1
WARM = 0.05
HEADER_BYTES = 1024
CHECK_ROWS = 16


def read(name: str) -> np.ndarray:
    """The tokens of a shard."""
    return np.memmap(DATA / f"{name}.bin", "<u2", "r", offset=HEADER_BYTES)


def sample(tokens: np.ndarray, rows: int, length: int, device: str) -> tuple[Tensor, Tensor]:
    """Random windows and what follows each of their tokens, both (rows, length)."""
    starts = torch.randint(len(tokens) - length - 1, (rows,)).tolist()
    parts = np.stack([tokens[start : start + length + 1] for start in starts]).astype(np.int64)
    whole = torch.from_numpy(parts).to(device)
    return whole[:, :-1], whole[:, 1:]


def loss_of(network: GPT, windows: tuple[Tensor, Tensor]) -> Tensor:
    """The mean loss in nats."""
    on_gpu = windows[0].is_cuda
    with torch.autocast(windows[0].device.type, torch.bfloat16, enabled=on_gpu):
        scores = network(windows[0])
    return functional.cross_entropy(scores.flatten(0, 1).float(), windows[1].flatten())


def rate_at(step: int, steps: int) -> float:
    """The share of the full rate: up in a line, then down along a cosine."""
    warm = max(1, int(WARM * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def train(network: GPT, tokens: np.ndarray, setting: dict[str, float], device: str) -> None:
    """Fit the weights."""
    rows, micro, steps = int(setting["rows"]), int(setting["micro"]), int(setting["steps"])
    matrices = [weight for weight in network.parameters() if weight.dim() == 2]
    others = [weight for weight in network.parameters() if weight.dim() < 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95))
    started = time.monotonic()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = setting["rate"] * rate_at(step, steps)
        for _ in range(rows // micro):
            windows = sample(tokens, micro, network.shape.length, device)
            loss = loss_of(network, windows)
            (loss * micro / rows).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 0:
            print(
                f"step {step}: loss {loss.item():.3f}, {time.monotonic() - started:.0f} s",
                flush=True,
            )


def frequencies(tokens: np.ndarray, vocabulary: int) -> Tensor:
    """The logarithm of each token's share, where the scores begin."""
    counts = np.bincount(tokens, minlength=vocabulary).astype(np.float64) + 0.1
    return torch.from_numpy(np.log(counts / counts.sum())).float()


def main() -> None:
    """Train, check on the validation tokens, and write the folder."""
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = json.loads((DATA / "sizes.json").read_text(encoding="utf-8"))
    setting = SETTINGS[sizes["length"]]
    layers, width = int(setting["layers"]), int(setting["width"])
    if width <= ONE_THREAD_WIDTH:
        torch.set_num_threads(1)
    shape = Shape(sizes["vocabulary"], sizes["length"], layers, width // HEAD_WIDTH, width)
    network = GPT(shape)
    tokens = read("train")
    network.bias.data.copy_(frequencies(tokens, sizes["vocabulary"]))
    train(network.to(device), tokens, setting, device)
    with torch.inference_mode():
        checks = [
            loss_of(network, sample(read("validation"), CHECK_ROWS, sizes["length"], device))
            for _ in range(8)
        ]
    print(f"loss on validation tokens: {torch.stack(checks).mean():.3f}")
    save(network, Path("model"))
    shutil.copyfile(HERE / "model.py", Path("model", "model.py"))


if __name__ == "__main__":
    main()
