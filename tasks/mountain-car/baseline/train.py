"""Two and a half million steps of each of five seeds, if time allows.

The published settings but for the network, which is small, and the learning rate, which is high:
so much of the published 20 million steps is enough.
"""

import json
import shutil
from pathlib import Path

from ppo import Settings, train

FULL = {
    "envs": 256,
    "steps": 256,
    "epochs": 4,
    "minibatches": 8,
    "rate": 2e-3,
    "final_rate": 5e-4,
    "lam": 0.99,
    "entropy": 0.1,
    "layers": (64, 64),
    "reward_scale": 0.1,
}
QUICK = FULL | {"envs": 32, "steps": 128}
"""For the mini variant: fewer steps between updates, for it has few steps."""

task = json.loads(Path("data/task.json").read_text())
submission = Path("submission")
submission.mkdir(exist_ok=True)
shutil.copy("policy.py", submission)
settings = FULL if task["variant"] == "full" else QUICK
train(
    Settings(task["environment"], task["training_steps"], **settings),
    submission / "checkpoints",
    task["checkpoints"],
    seconds=task["training_seconds"],
)
