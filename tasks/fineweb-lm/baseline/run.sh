#!/usr/bin/env bash
# Started in the workspace: solves the task plainly and leaves model/ there.
set -euo pipefail
python baseline/train.py
