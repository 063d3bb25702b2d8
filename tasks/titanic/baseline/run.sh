#!/usr/bin/env bash
# Started in the workspace: solves the task plainly and leaves submission.csv there.
set -euo pipefail
python baseline/solution.py
