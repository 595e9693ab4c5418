from workbench import Backend, Kind

PHOTO = Kind(
    name="photo",  # one noun; the value of Image.kind
    title="a photo",  # with its article, for messages
    axes=("y", "x"),  # spatial axes, in array order
    readers={".png": "my_photos.read", ".jpg": "my_photos.read", ".jpeg": "my_photos.read"},
    layers="my_photos.layers",
    writer="my_photos.write",
    formats=("png",),
    size_part="sizes",  # the table of sizes in a result,
    size_column="area [mm2]",  # and its column: letter by letter a column of that table
    engines=(),  # nothing heavy to load ahead
)

BLOBS = Backend(
    name="blobs",
    title="Blobs",
    task="outline bright blobs in photos",
    kind="photo",
    reads=("PNG", "JPEG"),
    gives=("outlines", "areas [mm2]"),
    axes="rows, columns",
    module="my_photos.blobs",
)
