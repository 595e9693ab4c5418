"""Volumes: CT and MR in three dimensions. The names of this package are public; its modules are how they are made."""

from workbench.core.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "workbench.volume.display": ("volume_scores", "volume_table"),
        "workbench.volume.drawn": (
            "Below",
            "attributes_over",
            "balls",
            "choose_image",
            "fit_of",
            "has_grid",
            "labels_over",
            "letters",
            "screen_direction",
            "to_voxels",
        ),
        "workbench.volume.layers": (
            "geometry_from_layer",
            "image_from_layers",
            "labels_from_layer",
            "set_by_hand",
            "shown_colors",
        ),
        "workbench.volume.overlay": ("follow_layer",),
        "workbench.volume.placement": ("layer_world",),
        "workbench.volume.reorient": (
            "ORIENTATIONS",
            "WORDS",
            "Taken",
            "Turned",
            "flipped",
            "grid_record",
            "in_order_read",
            "motion",
            "own_motion",
            "taken",
            "turned",
        ),
        "workbench.volume.data.write": ("write_file",),
        "workbench.volume.data.monai_reader": ("VolumeReader",),
    },
)
