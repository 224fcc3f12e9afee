"""How the columns of a model of a boosting library and the features of its settings go together, or that they do not."""

from typing import TYPE_CHECKING

from leadline.core.models import Signature
from leadline.learning.encoders import text_of
from leadline.learning.errors import RegistryError
from leadline.learning.native.boosted import Native
from leadline.settings import ModelSettings
from leadline.wire.conversion import ConversionError

if TYPE_CHECKING:
    from leadline.learning.deciding import Sample

_SHOWN = 5


def own_coding(model: Native, sample: "Sample", settings: ModelSettings, name: str) -> dict[str, list[str]]:
    """The categories that the model itself numbers, of those that are categories in the settings. Raises RegistryError."""
    found = {}
    for feature in [each for each in sample.signature.categorical if each in model.categories]:
        texts = found[feature] = _texts(model, feature, name)
        declared = sample.signature.categories[feature]
        if feature in settings.categories and declared != texts:
            raise RegistryError(
                f"{name} has a coding of its own for {feature!r}, {texts[:_SHOWN]}, and [categories] in model.toml says "
                f"{declared[:_SHOWN]}: leave it out there"
            )
        _check_known(feature, texts, sample, name)
    return found


def _texts(model: Native, feature: str, name: str) -> list[str]:
    try:
        texts = [text_of(each) for each in model.categories[feature]]
    except ConversionError as error:
        raise RegistryError(f"{name}: a category of {feature!r} {error}; train it on texts") from None
    said = [text for text in texts if text is not None]
    if len(set(said)) < len(texts):
        raise RegistryError(
            f"{name} knows a category of {feature!r} twice, or one that is missing: train it on one of each"
        )
    return said


def _check_known(feature: str, known: list[str], sample: "Sample", name: str) -> None:
    seen = sample.inputs.texts[feature].texts
    if seen and not set(seen) & set(known):
        raise RegistryError(
            f"{name} knows the categories {known[:_SHOWN]} of {feature!r}, and the reference has {sorted(seen)[:_SHOWN]}: give the "
            "reference as the model was trained"
        )


def check_columns(model: Native, columns: list[str], signature: Signature, coded: set[str], name: str) -> None:
    """Raises RegistryError where a column would reach the model as something else than what it was trained on.

    ``columns``: in the order of the model; ``coded``: the categories of which it is known which has which number.
    """
    if len(columns) != model.n_features_in_:
        raise RegistryError(
            f"{name} does not score a matrix of {len(columns)} features: it has {model.n_features_in_}; name all of them in model.toml, "
            "in its order"
        )
    for feature in signature.numeric:
        if feature in model.texts:
            raise RegistryError(f"{name} takes texts for {feature!r}: name it in categorical in model.toml")
        if feature in model.categories:
            raise RegistryError(
                f"{name} was trained on categories of {feature!r}, {model.categories[feature][:_SHOWN]}: name it in categorical"
            )
    for feature in signature.categorical:
        said, highest = len(signature.categories[feature]), model.highest.get(columns.index(feature), -1)
        if feature not in model.categories and feature in coded and highest >= said:
            raise RegistryError(
                f"{name} was trained on the number {highest} of {feature!r}, and [categories] in model.toml names {said}, from 0: name "
                "all of them, in the order of their numbers; or name it in numeric, and let requests give the number"
            )
        if feature not in model.categories and feature not in coded and feature not in model.texts:
            raise RegistryError(
                f"{name} takes numbers for {feature!r}, and nothing says which category has which number: declare it in model.toml "
                f'below [categories], {feature} = ["the one of 0", "the one of 1", ...]'
            )
