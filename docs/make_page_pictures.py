"""Make the picture of the ECG tool in docs/napari.md from the real window: ``python docs/make_page_pictures.py``.

Opens the sample page, reads it, shows its grid and lead II with calipers; on Linux it needs Xvfb.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from make_pictures import HERE, on_a_display, settle
from make_slide_pictures import shoot_small


def main() -> int:
    """Parse the arguments, and start again under Xvfb where there is no display."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "pictures", help="folder for the PNG files")
    arguments = parser.parse_args()
    return on_a_display(parser, lambda home: make(arguments.out))


def make(out: Path) -> None:
    """One page, read and ready to be corrected."""
    import napari
    from workbench_napari.shared.opening import PLUGIN

    out.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(title="Workbench")
    viewer.window.resize(1400, 950)
    _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, "ECG tool", tabify=False)
    tool.folder.setText("~/workbench")
    viewer.open_sample("napari-workbench", "page")
    settle(lambda: tool.layer is not None, 60)
    tool.run()
    settle(lambda: not tool.runner.is_busy and tool.leads.leads is not None, 120)
    settle(lambda: False, 1.0)
    tool.bring_into_sight(tool.correct_group)
    tool.scale_group.grid.click()
    tool.leads.choice.setCurrentText("II strip")
    tool.leads.calipers_button.click()
    tool.leads.calipers.setRegion((2.5, 3.33))
    tool.go_to("II strip", 2.5)
    settle(lambda: False, 1.0)
    shoot_small(viewer, out / "ecg-tool.png")
    viewer.close()


if __name__ == "__main__":
    sys.exit(main())
