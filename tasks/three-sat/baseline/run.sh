#!/usr/bin/env bash
# Started in the workspace: solves the task plainly and leaves heuristic.py there.
set -euo pipefail
cp baseline/heuristic.py heuristic.py
