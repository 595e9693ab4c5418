"""Whole slides. The names of this package are public; its modules are how they are made."""

from workbench.core.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "workbench.slide.annotations.types": ("Annotations",),
        "workbench.slide.annotations.write": ("write_annotations",),
        "workbench.slide.data.heat_maps": ("read_labels", "read_map"),
        "workbench.slide.data.lazy_levels": ("LazyLevel", "TileCache"),
        "workbench.slide.data.resample": ("Square", "ratio", "read_square"),
        "workbench.slide.data.scaled": ("scaled",),
        "workbench.slide.data.stream": ("TileStream",),
        "workbench.slide.data.tiles": ("Lattice", "lattice"),
        "workbench.slide.data.nuclei_labels": ("read_reference",),
        "workbench.slide.drawn_layers": (
            "ANNOTATIONS", "ANNOTATIONS_FILE", "MASK", "annotation_layers", "annotations_in", "config_of", "frame_of",
            "is_annotations", "is_mask", "line_width", "mask_layer", "mask_of", "open_annotations", "regions",
            "write_region",
        ),
        "workbench.slide.ihc_scores": ("INDEX", "POSITIVE_AREA", "index_table"),
        "workbench.slide.layers": (
            "PREDICTED", "common_attributes", "geometry_of", "kept_outlines", "outline_colors", "prepare", "to_layers",
        ),
        "workbench.slide.nuclei_edits": ("NucleiEdits",),
        "workbench.slide.nuclei_learning": ("Learnt", "learn_classes", "read_seen", "save_classes"),
        "workbench.slide.nuclei_objects": ("in_pixels", "mpp_of"),
        "workbench.slide.nuclei_now": ("NUCLEI", "REJECTED_NUCLEI", "COUNTS", "count_rows"),
        "workbench.slide.outline_levels": ("EditedOutlines", "OutlineLevel", "edits_in"),
        "workbench.data.objects": ("require_frame",),
        "workbench.slide.evaluate.cells": ("evaluate_cells",),
        "workbench.slide.evaluate.settings": ("CellScoring",),
        "workbench.slide.predict.area": ("find_area",),
        "workbench.slide.predict.chosen": ("coarse_geometry",),
        "workbench.slide.data.stain_profile": (
            "ColourChange", "StainProfile", "read_stain_profile", "write_stain_profile",
        ),
        "workbench.slide.predict.stain_slide": ("stain_profile",),
        "workbench.slide.stain_levels": ("STAIN", "StainLevel", "stain_layers"),
        "workbench.slide.region_counts": ("REGIONS", "REGION_OUTLINES", "counted"),
        "workbench.slide.data.embedding_files": ("TileEmbeddings", "side_of"),
        "workbench.slide.clusters": ("MOST_CLUSTERS", "Clusters", "Plane", "clustered", "has_umap", "plane_of"),
        "workbench.slide.clusters_report": ("CLUSTERS", "cluster_map", "write_clusters"),
        "workbench.slide.search": ("TileIndex", "index_of"),
        "workbench.slide.search_report": ("SIMILARITY", "picture_of", "similarity_map"),
        "workbench.slide.tile_learning": (
            "LearntTissue", "learn_tissue", "save_tissue", "with_tissue",
        ),
        "workbench.slide.predict.heads": ("CLASS_AREAS", "SLIDE_CLASS", "is_tissue"),
        "workbench.slide.tile_grid": ("TileGrid",),
        "workbench.slide.train.label_list": ("LabelList", "read_label_list"),
        "workbench.slide.train.corrected": ("TEACHING_STEPS", "teach_corrected"),
    },
)  # fmt: skip
