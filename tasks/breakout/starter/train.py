"""A short training with common settings: writes submission/, which can be handed in."""

import json
import shutil
from pathlib import Path

from ppo import Settings, train

task = json.loads(Path("data/task.json").read_text())
submission = Path("submission")
submission.mkdir(exist_ok=True)
shutil.copy("policy.py", submission)
settings = Settings(task["environment"], task["training_steps"] // 20)
train(settings, submission / "checkpoints", task["checkpoints"])
