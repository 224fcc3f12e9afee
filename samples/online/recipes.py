"""A recipe that learns label by label: a river model that has learned nothing."""

from river import compose, linear_model, preprocessing


def build(params):
    numbers = compose.SelectType(float) | preprocessing.StandardScaler()
    texts = compose.SelectType(str) | preprocessing.OneHotEncoder()
    return (numbers + texts) | linear_model.LogisticRegression(**params)
