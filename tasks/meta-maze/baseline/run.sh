#!/usr/bin/env bash
# Started in the workspace: trains with the starter's ppo.py and leaves submission/ there.
set -euo pipefail
PYTHONPATH=. python baseline/train.py
