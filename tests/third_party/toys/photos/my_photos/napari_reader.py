def get_reader(path):
    paths = path if isinstance(path, list) else [path]
    return read if all(str(p).lower().endswith((".png", ".jpg", ".jpeg")) for p in paths) else None


def read(path):
    import workbench as wb

    paths = path if isinstance(path, list) else [path]
    return [layer for p in paths for layer in wb.to_layers(wb.read(p, kind="photo"))]
