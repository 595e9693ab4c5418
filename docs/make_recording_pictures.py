"""Make the MEG pictures of the docs from the real window: ``python docs/make_recording_pictures.py`` (Linux: Xvfb).

Opens the sample recording, runs the demo weights, annotates, generates and decodes. Nothing is drawn by hand.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

from make_pictures import HERE, SIZE, on_a_display, scroll_to, settle, shoot


def main() -> int:
    """Parse the arguments and make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "pictures", help="folder for the PNG files")
    parser.add_argument("--weights", help="weight file to run instead of the demo")
    arguments = parser.parse_args()
    return on_a_display(parser, lambda home: make(arguments.out, arguments.weights, home))


def make(out: Path, weights: str | None, home: Path) -> None:
    """All pictures, in the order of a session."""
    import napari
    from workbench_napari.launch import open_files

    out.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(title="Workbench")
    viewer.window.resize(*SIZE)
    tool = open_files(viewer, [], tool="recording")
    panel, editor = tool.panel, tool.annotating.editor
    shoot(viewer, out / "meg-empty.png")

    tool.open_sample()
    if weights is not None:
        panel.model.model.weights.choose_file(weights)
    tool.folder.setText("~/workbench")
    tool.panel.model.model.device.setCurrentText("cpu")
    settle(lambda: len(tool.traces.traces) > 0, 30)
    blink = next(m for m in editor.marks if m.label == "blink")
    tool.stack.set_range(blink.onset - 3.0, blink.onset + 7.0)
    tool.stack.set_cursor(blink.onset + blink.duration / 2)
    settle(lambda: panel.channels.topomap.drawn is not None, 30)
    shoot(viewer, out / "meg-recording.png")

    panel.annotations.label.setCurrentText("BAD_artefact")
    tool.annotating.draw(True)
    editor.layer.add_rectangles([[0.0, blink.onset + 3.1], [3.0, blink.onset + 4.4]])
    settle(lambda: any(m.label == "BAD_artefact" for m in editor.marks), 10)
    scroll_to(tool, panel.annotations.open_button)
    shoot(viewer, out / "meg-annotate.png")
    tool.annotating.draw(False)

    assert tool.modelling.run(), tool.status.text()
    finish(tool)
    assert tool.annotating.layers[-1] is not None
    panel.annotations.layer.setCurrentIndex(panel.annotations.layer.count() - 1)
    if len(editor.marks):
        longest = max(range(len(editor.marks)), key=lambda n: editor.marks.marks[n].duration)
        tool.annotating.go_to(longest)
    panel.channels.mapped.setCurrentText("Surprisal")
    settle(lambda: (panel.channels.topomap.drawn or ("",))[0] == "Surprisal", 30)
    scroll_to(tool, panel.channels.topomap)
    shoot(viewer, out / "meg-surprisal.png")
    panel.generation.seconds.setValue(30.0)
    tool.stack.show_window(10.0)
    assert tool.modelling.generate(), tool.status.text()
    finish(tool)
    settle(lambda: False, 1.0)
    scroll_to(tool, panel.generation.comparison)
    shoot(viewer, out / "meg-generate.png")

    tool.folder.setText(str(home / "results"))
    assert tool.decoding.decode(study(home)), tool.status.text()
    finish(tool)
    assert panel.decoding.table.rowCount(), tool.status.text()
    scroll_to(tool, panel.decoding.report_button)
    shoot(viewer, out / "meg-decode.png")
    assert tool.save()
    finish(tool)
    viewer.close()


def finish(tool: Any) -> None:
    """Wait for the job, and say how it ended."""
    settle(lambda: not tool.runner.is_busy, 1800)
    print(tool.status.text(), flush=True)


def study(home: Path) -> Path:
    """A list of the two sample recordings, which are two sessions of one subject."""
    from workbench.core.samples import sample_files

    found = [p for n, p in sample_files().items() if n.startswith("recording_") and p.suffix in (".fif", ".npy")]
    path = home / "sessions.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "group"])
        writer.writerows([p.stem, str(p), "subject 91"] for p in found)
    return path


if __name__ == "__main__":
    sys.exit(main())
