"""The published settings: 20 million steps of each of five seeds, if time allows."""

import json
import shutil
from pathlib import Path

from ppo import Settings, train

PUBLISHED = {
    "envs": 256,
    "steps": 256,
    "epochs": 4,
    "minibatches": 8,
    "rate": 6e-4,
    "final_rate": 5e-4,
    "lam": 0.99,
    "entropy": 0.1,
    "layers": (256, 256, 256, 256),
    "reward_scale": 0.1,
}
QUICK = PUBLISHED | {"envs": 32, "steps": 128, "rate": 2e-3, "layers": (64, 64)}
"""For the mini variant: a small network that learns in seconds."""

task = json.loads(Path("data/task.json").read_text())
submission = Path("submission")
submission.mkdir(exist_ok=True)
shutil.copy("policy.py", submission)
settings = PUBLISHED if task["variant"] == "full" else QUICK
train(
    Settings(task["environment"], task["training_steps"], **settings),
    submission / "checkpoints",
    task["checkpoints"],
    seconds=task["training_seconds"],
)
