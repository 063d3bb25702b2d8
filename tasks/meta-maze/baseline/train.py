"""The published settings: 10 million steps of each of five seeds, if time allows."""

import json
import shutil
from pathlib import Path

from ppo import Settings, train

PUBLISHED = {
    "envs": 64,
    "steps": 32,
    "epochs": 4,
    "minibatches": 4,
    "rate": 5e-4,
    "final_rate": 5e-4,
    "clip": 0.1,
    "entropy": 0.05,
    "layers": (256, 256),
}
QUICK = PUBLISHED | {
    "envs": 32,
    "steps": 64,
    "rate": 2e-3,
    "clip": 0.2,
    "layers": (64, 64),
}
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
