"""What a person does with the Volume tool, for its tests."""

from __future__ import annotations


def run(tool, wait):
    assert tool.segmenting.run()
    wait(lambda: not tool.is_busy, 120)
    assert tool.labels_layer is not None, tool.status.text()
    return tool.labels_layer


def show(tool, view):
    (button,) = [b for b in tool.panel.views.group.buttons() if b.text() == view]
    button.click()


def save(tool, wait):
    assert tool.save()
    wait(lambda: not tool.is_busy, 60)
    return tool.last_folder


def row(tool, name):
    table = tool.keeping.table
    for r in range(table.row_count()):
        if table.text_at(r, 0) == name:
            return float(table.text_at(r, 1).replace(",", "")), int(table.text_at(r, 2).replace(",", ""))
    raise AssertionError(f"no row {name}")
