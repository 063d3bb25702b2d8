"""Write a model that predicts the mean into model/."""

import shutil
from pathlib import Path

import numpy as np

train = np.loadtxt("data/train.csv", delimiter=",", skiprows=1)
folder = Path("model")
folder.mkdir(exist_ok=True)
np.save(folder / "weights.npy", np.array([0.0, 0.0, train[:, 2].mean()]))
shutil.copy("model.py", folder / "model.py")
print(f"wrote {folder}/")
