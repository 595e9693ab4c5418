import json

import pytest

from workbench.core.errors import WeightsError
from workbench.recording.data.recipe import RecordingRecipe


def test_a_recipe_survives_json():
    recipe = RecordingRecipe(("mag",), 200.0, (50.0, 60.0), (0.5, None), True, ("eog",), ("a", "b"), "pca", 2, False)
    assert RecordingRecipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert RecordingRecipe.from_json(json.loads(json.dumps(RecordingRecipe().to_json()))) == RecordingRecipe()
    assert RecordingRecipe.from_json({"notch": "auto"}).notch == "auto"
    assert RecordingRecipe(notch=50.0).notch == (50.0,)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sampling_rate", -1), ("sampling_rate", "fast"), ("sampling_rate", float("nan")), ("notch", "none"),
        ("notch", [-50]), ("band", [40, 1]), ("band", [1]), ("band", "all"), ("ica", ["emg"]), ("channels", []),
        ("channels", [1]), ("reduce", "ica"), ("n_channels", 0), ("n_channels", 2.5), ("standardise", 1),
        ("kinds", "mag"),
    ],
)  # fmt: skip
def test_impossible_values_of_a_file_are_named(key, value):
    with pytest.raises(WeightsError, match=f"recipe's {key} is"):
        RecordingRecipe.from_json({key: value})
    with pytest.raises(WeightsError, match="unknown entries"):
        RecordingRecipe.from_json({"speed": 3})
