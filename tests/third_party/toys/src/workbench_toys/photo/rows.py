"""Rows of the kind and of its backend: plain strings, so that listing them costs nothing."""

from workbench import Backend, Kind

PHOTO = Kind(
    name="photo",
    title="a photo",
    axes=("y", "x"),
    readers=dict.fromkeys((".png", ".jpg", ".jpeg"), "workbench_toys.photo.read"),
    writer="workbench_toys.photo.write",
    formats=("png",),
    layers="workbench_toys.photo.layers",
    size_part="sizes",
    size_column="area [pixels]",
    engines=(),
)

BLOBS = Backend(
    name="blobs",
    title="Blobs",
    task="outline bright blobs in photos",
    kind="photo",
    reads=("PNG", "JPEG"),
    gives=("outlines", "areas [pixels]"),
    axes="rows, columns",
    module="workbench_toys.photo.blobs",
)
