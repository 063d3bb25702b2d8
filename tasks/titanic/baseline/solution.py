"""Logistic regression on imputed, scaled and one-hot encoded columns."""

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS = ["Age", "SibSp", "Parch", "Fare"]
CATEGORIES = ["Pclass", "Sex", "Embarked"]

train = pd.read_csv("data/train.csv")
test = pd.read_csv("data/test.csv")

numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
categories = make_pipeline(
    SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
)
columns = make_column_transformer((numbers, NUMBERS), (categories, CATEGORIES))
model = make_pipeline(columns, LogisticRegression(max_iter=1000))

features = NUMBERS + CATEGORIES
folds = cross_val_score(model, train[features], train["Survived"], cv=5)
print(f"accuracy in cross-validation: {folds.mean():.4f}")

model.fit(train[features], train["Survived"])
fates = model.predict(test[features])
pd.DataFrame({"PassengerId": test["PassengerId"], "Survived": fates}).to_csv(
    "submission.csv", index=False
)
