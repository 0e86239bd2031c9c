"""Make-believe customers of a telephone company, always the same for the same seed."""

from __future__ import annotations

import numpy as np

COLUMNS = ("tenure", "monthly_charges", "total_charges", "contract", "internet_service")


def make_customers(count: int = 7000, seed: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """`count` rows of COLUMNS, and for each row 1 if the customer left, else 0."""
    random = np.random.default_rng(seed)
    tenure = np.minimum(random.gamma(1.1, 28.0, count).round(), 72)
    internet = random.choice([0, 1, 2], count, p=[0.22, 0.34, 0.44])
    long_contract = random.random(count) < 0.15 + 0.75 * tenure / 72
    contract = np.where(long_contract, random.choice([1, 2], count, p=[0.47, 0.53]), 0)
    monthly = np.array([22.0, 55.0, 85.0])[internet] + random.normal(0, 9.0, count)
    monthly = np.clip(monthly, 18.0, 120.0).round(2)
    total = (tenure * monthly * random.normal(1.0, 0.03, count)).clip(0).round(2)
    log_odds = -0.9 - 0.035 * tenure - 1.1 * contract + 0.7 * internet + 0.012 * (monthly - 60)
    left = (random.random(count) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return np.column_stack([tenure, monthly, total, contract, internet]), left
