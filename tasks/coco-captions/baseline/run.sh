#!/usr/bin/env bash
# Started in the workspace: solves the task plainly and leaves submission.csv there.
set -euo pipefail
photographs=$(wc -l < data/train.jsonl)
if [ "$photographs" -ge 10000 ]; then
    echo "Training a captioner from scratch on $photographs photographs."
    python baseline/captioner.py
else
    echo "Only $photographs photographs to learn from: the captions of similar ones."
    python baseline/neighbours.py
fi
