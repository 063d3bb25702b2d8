"""The rules of the environment and the size of the training; there is no data to learn from.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. What is public tells an agent what is
played and how long the baseline trains; what is private is what the judge plays by.
"""

import json
import sys
from pathlib import Path

ENVIRONMENT = "MountainCarContinuous-v0"
STEPS = 999
ACTIONS = 0
"""How many there are; 0 where an action is a number instead."""

TRAINING = {"full": (2_500_000, 1500), "mini": (150_000, 120)}
"""Of the baseline: environment steps of each seed, and seconds at most."""


def main() -> None:
    """Write the rules of one variant."""
    out, variant = Path(sys.argv[2]), sys.argv[3]
    rules = {"environment": ENVIRONMENT, "steps": STEPS, "actions": ACTIONS, "checkpoints": 5}
    training_steps, seconds = TRAINING[variant]
    training = {"training_steps": training_steps, "training_seconds": seconds}
    card = {
        "title": f"Rules of {ENVIRONMENT}",
        "licence": "Apache-2.0",
        "variant": variant,
        "note": "No data: the environment is gymnax's own, which is installed.",
        **rules,
        **training,
    }
    files = {
        "public/task.json": rules | training | {"variant": variant},
        "private/rules.json": rules,
        "card.json": card,
    }
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
