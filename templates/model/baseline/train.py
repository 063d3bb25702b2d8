"""Fit a plane by least squares, and write it into model/."""

import shutil
from pathlib import Path

import numpy as np

train = np.loadtxt("data/train.csv", delimiter=",", skiprows=1)
design = np.column_stack([train[:, :2], np.ones(len(train))])
weights, *_ = np.linalg.lstsq(design, train[:, 2], rcond=None)
folder = Path("model")
folder.mkdir(exist_ok=True)
np.save(folder / "weights.npy", weights)
shutil.copy("baseline/model.py", folder / "model.py")
