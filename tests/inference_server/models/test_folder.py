import pytest

from inference_server.models.folder import NotServed, find


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["model.pkl"], ("sklearn", "model.pkl")),
        (["churn/MLmodel", "churn/model.pkl", "churn/conda.yaml"], ("mlflow", "churn/MLmodel")),
        (["deep/er/model.onnx", "weights.onnx"], ("onnx", "weights.onnx")),
        (["scaler.joblib", "model.joblib"], ("sklearn", "model.joblib")),
        (["a/model.json", "a/notes.json"], ("xgboost", "a/model.json")),
        (["BOOSTER.UBJ"], ("xgboost", "BOOSTER.UBJ")),
        (["model.txt", "readme.txt"], ("lightgbm", "model.txt")),
        ([".hidden/model.pkl", "x.lgb"], ("lightgbm", "x.lgb")),
    ],
)
def test_the_model_is_found_by_its_name(paths, found):
    assert find(paths) == found


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (["weights.pt", "readme.md"], "it has readme.md, weights.pt"),
        ([], "it has nothing"),
        (["one.pkl", "two.onnx"], "several models (one.pkl, two.onnx)"),
        (["model.pkl", "model.onnx"], "several models"),
    ],
)
def test_what_cannot_be_served_is_explained(paths, text):
    with pytest.raises(NotServed) as caught:
        find(paths)
    assert text in str(caught.value)
