"""Ridge regression on imputed, scaled and one-hot encoded columns."""

import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

train = pd.read_csv("data/train.csv")
validation = pd.read_csv("data/validation.csv")
test = pd.read_csv("data/test.csv")
features = [name for name in train.columns if name not in ("Id", "SalePrice")]

numbers = make_pipeline(SimpleImputer(strategy="mean"), StandardScaler())
categories = make_pipeline(
    SimpleImputer(strategy="constant", fill_value="missing"),
    OneHotEncoder(handle_unknown="ignore"),
)
columns = make_column_transformer(
    (numbers, make_column_selector(dtype_include="number")),
    (categories, make_column_selector(dtype_exclude="number")),
)
model = make_pipeline(columns, Ridge(alpha=0.1))
model.fit(train[features], train["SalePrice"])

own = r2_score(validation["SalePrice"], model.predict(validation[features]))
print(f"r2 on the validation rows: {own:.4f}")

prices = model.predict(test[features])
pd.DataFrame({"Id": test["Id"], "SalePrice": prices}).to_csv("submission.csv", index=False)
