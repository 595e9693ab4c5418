"""The row of the Otsu backend; imports nothing heavy."""

from workbench import Backend

ROW = Backend(
    name="otsu",
    title="Otsu",
    task="split a volume into dark and bright",
    kind="volume",
    reads=("NIfTI", "DICOM series", "NRRD", "MHA"),
    gives=("label map", "class volumes [mL]"),
    axes="X, Y, Z",
    module="workbench_toys.otsu",
    paper="doi:10.1109/TSMC.1979.4310076",
)
