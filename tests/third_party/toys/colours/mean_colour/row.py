from workbench import Backend

ROW = Backend(
    name="mean_colour",
    title="Mean colour",
    task="map how dark a slide is",
    kind="slide",
    reads=("SVS", "DICOM", "OME-TIFF"),
    gives=("heat map",),
    axes="C, rows, columns",
    module="mean_colour.method",
)
