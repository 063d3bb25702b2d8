#!/usr/bin/env bash
# Started in the workspace: solves the task plainly and leaves strategy.py there.
set -euo pipefail
cp baseline/strategy.py strategy.py
