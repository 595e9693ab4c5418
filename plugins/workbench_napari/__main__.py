"""``python -m workbench_napari FILE...``: open files with the right tool docked."""

import sys

from workbench_napari.launch import launch

if __name__ == "__main__":
    launch(sys.argv[1:])
