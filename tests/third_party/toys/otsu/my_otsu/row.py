from workbench import Backend

ROW = Backend(
    name="otsu",  # what people type
    title="Otsu",
    task="split a volume into dark and bright",
    kind="volume",  # `workbench doctor` lists the kinds there are
    reads=("NIfTI", "DICOM series", "NRRD", "MHA"),  # these three are for people
    gives=("label map", "class volumes [mL]"),
    axes="X, Y, Z",
    module="my_otsu.otsu",
    verbs=("predict", "evaluate"),  # and "train" where it can learn
    paper="doi:10.1109/TSMC.1979.4310076",
)
