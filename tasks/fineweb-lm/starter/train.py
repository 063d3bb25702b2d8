"""A starting point: a few steps of training, written into model/. It is far from done."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from model import GPT, Shape, save
from torch.nn import functional

STEPS = 20
ROWS = 8
HEADER_BYTES = 1024

torch.manual_seed(0)
torch.set_num_threads(1)
sizes = json.loads(Path("data/sizes.json").read_text(encoding="utf-8"))
length = sizes["length"]
tokens = np.memmap("data/train.bin", "<u2", "r", offset=HEADER_BYTES)
network = GPT(Shape(sizes["vocabulary"], length, layers=2, heads=4, width=128))
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
for step in range(STEPS):
    starts = torch.randint(len(tokens) - length - 1, (ROWS,)).tolist()
    parts = np.stack([tokens[start : start + length + 1] for start in starts]).astype(np.int64)
    windows = torch.from_numpy(parts)  # (rows, length + 1)
    scores = network(windows[:, :-1])
    loss = functional.cross_entropy(scores.flatten(0, 1), windows[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: loss {loss.item():.3f}")
save(network, Path("model"))
shutil.copyfile("model.py", Path("model", "model.py"))
print("wrote model/")
