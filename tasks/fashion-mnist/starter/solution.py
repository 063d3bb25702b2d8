"""Name the class whose mean training picture is nearest, and write submission.csv."""

import numpy as np

train, test = np.load("data/train.npz"), np.load("data/test.npz")
images = train["images"].reshape(len(train["images"]), -1) / 255.0
tested = test["images"].reshape(len(test["images"]), -1) / 255.0

means = np.stack([images[train["labels"] == kind].mean(axis=0) for kind in range(10)])
# squared distances but for each picture's own length, which is the same for all classes
nearest = ((means**2).sum(axis=1) - 2 * tested @ means.T).argmin(axis=1)

table = np.column_stack([test["ids"], nearest])
np.savetxt("submission.csv", table, fmt="%d", delimiter=",", header="id,label", comments="")
print(f"wrote submission.csv with {len(table)} rows")
