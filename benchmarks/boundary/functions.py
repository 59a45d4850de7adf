"""How fast scikit-learn models score a million rows in SQL, beside calling them directly on the same Arrow data; a line of JSON for each model.

Both ways start from the same pyarrow table and end with one Arrow array of scores, and use as many threads as Python and the model take.
Times are the best of several runs, taken in turns.
"""
import json, sys, time

import numpy as np
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import plasmon

ROWS, FEATURES, RUNS = 1_000_000, 8, 5


def data():
    """Features as a table, and models that were fitted to some of them."""
    random = np.random.default_rng(7)
    features = random.normal(size=(ROWS, FEATURES))
    target = features @ random.normal(size=FEATURES)
    kind = (features @ random.normal(size=FEATURES) + np.sin(3 * features[:, 0]) > 0).astype(int)
    some = slice(0, 20_000)
    models = {
        "linear regression": LinearRegression().fit(features[some], target[some]),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()).fit(features[some], kind[some]),
        "gradient boosting": HistGradientBoostingClassifier(max_iter=50).fit(features[some], kind[some]),
    }
    return pa.table({f"x{i}": features[:, i] for i in range(FEATURES)}), models


def seconds(work):
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def main():
    table, models = data()
    names = ", ".join(table.column_names)
    with plasmon.connect() as connection:
        connection.register("points", table)
        for name, model in models.items():

            def score(*columns):
                matrix = np.column_stack(columns)
                return model.predict_proba(matrix)[:, 1] if hasattr(model, "predict_proba") else model.predict(matrix)

            def direct():
                return pa.array(score(*(column.combine_chunks() for column in table.columns)))

            def in_sql():
                return connection.sql(f"SELECT score({names}) AS s FROM points").table().column("s")

            connection.create_function("score", score, [float] * FEATURES, float)
            times = [(seconds(direct), seconds(in_sql)) for _ in range(RUNS)]
            (_, expected), (_, given) = times[0]
            # Rows of parallel workers come in any order.
            same = np.array_equal(np.sort(expected.to_numpy()), np.sort(given.to_numpy()))
            best = [min(run[way][0] for run in times) for way in (0, 1)]
            print(json.dumps({"model": name, "rows": ROWS, "direct": best[0], "sql": best[1], "same": same}), flush=True)
            if not same:
                sys.exit(1)


if __name__ == "__main__":
    main()
