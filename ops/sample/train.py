"""Train the two models of the sample: `python train.py --out DIR`."""

from __future__ import annotations

import argparse
from pathlib import Path

import joblib
from customers import make_customers
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for blue/ and green/")
    out = parser.parse_args().out
    rows, left = make_customers()
    train_rows, test_rows, train_left, test_left = train_test_split(rows, left, test_size=0.25, random_state=0)
    models = {
        "blue": make_pipeline(StandardScaler(), LogisticRegression()),
        "green": GradientBoostingClassifier(n_estimators=60, max_depth=3, random_state=0),
    }
    for name, model in models.items():
        model.fit(train_rows, train_left)
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        joblib.dump(model, folder / "model.joblib")
        print(f"{name}: {model.score(test_rows, test_left):.3f} of {len(test_left)} customers foretold rightly")


if __name__ == "__main__":
    main()
