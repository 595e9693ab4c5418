"""Hyperspectral scenes. The names of this package are public; its modules are how they are made."""

from workbench.core.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "workbench.scene.data.scene": ("open_blocks",),
        "workbench.scene.data.spectral_library": ("Spectra", "write_spectra"),
        "workbench.scene.data.monai_reader": ("SceneReader",),
        "workbench.scene.display": (
            "PRESETS", "ClassSpectrum", "Components", "area_table", "area_text", "areas", "class_spectra",
            "component_picture", "composite", "doubtful_spot", "preset_bands", "principal_components", "sample_spectra",
            "spread_bands",
        ),
        "workbench.scene.layers": (
            "heatmap_layer", "labels_from_layer", "labels_layer", "scene_geometry", "scene_record", "with_unlisted",
        ),
        "workbench.scene.train.lesson": ("TOO_FEW", "SceneLearner", "map_only", "teach_scene"),
    },
)  # fmt: skip
