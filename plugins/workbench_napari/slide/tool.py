"""The Slides tool: look at a slide, find and correct its tissue, draw, embed its tiles, read areas, save."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from qtpy.QtWidgets import QPushButton, QWidget

from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY, LayerTuple
from workbench.core.objects import Objects
from workbench.core.types import Result, Scores
from workbench.slide import CLASS_AREAS, INDEX, NUCLEI, SLIDE_CLASS, config_of, is_mask, mask_layer, prepare
from workbench_napari.general.restored import read_image
from workbench_napari.general.tool import GeneralTool, _formats
from workbench_napari.shared.case import Saved
from workbench_napari.shared.job import Done, Work
from workbench_napari.shared.layer_choice import opened
from workbench_napari.shared.pages import Part
from workbench_napari.shared.panel_base import button, empty_state
from workbench_napari.shared.plain_text import WrappedLabel
from workbench_napari.shared.unsaved import named
from workbench_napari.shared.worker import report
from workbench_napari.slide.adopting import adopt, strange_picture, why_no_slide
from workbench_napari.slide.annotating import Annotating
from workbench_napari.slide.clusters_page import ClustersPage
from workbench_napari.slide.clusters_panel import ClustersGroup
from workbench_napari.slide.meant import MeantSlide
from workbench_napari.slide.nuclei_page import NucleiPage
from workbench_napari.slide.nuclei_panel import NucleiGroup
from workbench_napari.slide.on_slide import (
    GIVEN,
    about,
    annotations_on,
    is_drawn,
    is_own_mask,
    masks_on,
    record_of,
    require_in_place,
    same_slide,
    slide_image,
    state_now,
)
from workbench_napari.slide.panel import AnnotationGroup, AreaGroup, ScoresTable, turned
from workbench_napari.slide.pixel_size import PixelSize
from workbench_napari.slide.region import Region, run_in
from workbench_napari.slide.saving import Saving, save
from workbench_napari.slide.search_page import SearchPage
from workbench_napari.slide.search_panel import SearchGroup
from workbench_napari.slide.slide_labels import SlideLabelsGroup, SlideLabelsPage
from workbench_napari.slide.stain_page import StainGroup, StainPage
from workbench_napari.slide.tissue_page import TissuePage
from workbench_napari.slide.tissue_panel import TissueGroup
from workbench_napari.slide.view import SlideViews
from workbench_napari.slide.where import Where

_SIDE_BY_SIDE = 4
"""Regions whose index is shown in a column each; more have a row each."""
_SLIDES = "Slides (*.svs *.ndpi *.mrxs *.scn *.vms *.vmu *.bif *.svslide *.tif *.tiff *.dcm *.png *.jpg);;All files (*)"


class SlideTool(GeneralTool):
    """Dock widget for slides: the general tool, with tissue to paint and annotations.

    Parameters
    ----------
    napari_viewer
        The viewer it is docked to (napari passes it by this name).
    """

    PROGRESS_TEXT = "%v of %m (%p %)"  # tiles, or steps of a training
    KIND: ClassVar[str] = "slide"
    SAMPLE: ClassVar[str] = "slide"
    SKIP: ClassVar[tuple[str, ...]] = ("roi",)

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.shown.showing.connect(self._show_areas)
        self.steps.takers.append(self.nuclei.takes_step)

    # --- what it looks like

    def _empty_state(self) -> QWidget:
        self.open_slide_button = QPushButton("Open a slide...")
        self.sample_button = button(
            "Open the sample slide", "The same as File > Open Sample > Workbench; works offline"
        )
        self.not_a_slide = WrappedLabel()
        self.not_a_slide.hide()
        return empty_state(
            "<b>No slide is open yet</b><br><br>Open a whole slide: SVS, NDPI, MRXS, SCN, BIF, DICOM, or a pyramidal "
            "TIFF. Drop it into the window, or use the button, which also opens pictures (PNG, JPEG) as slides:",
            self.open_slide_button,
            self.sample_button,
            self.not_a_slide,
        )

    def _pages(self) -> dict[str, tuple[Part, ...]]:
        own = super()._pages()
        self.open_button_above = button("Open a slide...", "Another slide, or a picture (PNG, JPEG) of a region of one")
        self.input.column.insertWidget(0, self.open_button_above)
        self.area_group, self.annotation_group = AreaGroup(), AnnotationGroup()
        self.where = Where(self.viewer, self.area_group.where, self)
        self.pixel_size = PixelSize(self.viewer, self.input.model, self)
        self.meant = MeantSlide(self.viewer, self.input.layer)
        self._regions: list[tuple[Result, Region]] = []
        self.annotating = Annotating(self.viewer, self.annotation_group, self)
        self.views = SlideViews(self.viewer, self)
        self.nuclei_group, self.search_group = NucleiGroup(), SearchGroup()
        self.clusters_group = ClustersGroup()
        self.areas = ScoresTable("Areas")
        self.result.column.insertWidget(1, self.areas)
        self.stain_group, self.tissue_group = StainGroup(), TissueGroup()
        drawn = (self.area_group, self.annotation_group, self.tissue_group, self.stain_group)
        self.labels_group = SlideLabelsGroup()
        result = (*own["Result"], self.search_group, self.clusters_group, self.labels_group)
        return {"Run": own["Run"], "Regions": drawn, "Nuclei": (self.nuclei_group,), "Result": result}

    def connect_tool(self) -> None:
        self.nuclei = NucleiPage(self, self.nuclei_group)
        self.search = SearchPage(self, self.search_group)
        self.stains = StainPage(self, self.stain_group)
        self.tissue = TissuePage(self, self.tissue_group)
        self.clusters = ClustersPage(self, self.clusters_group)
        self.labels = SlideLabelsPage(self, self.labels_group)
        super().connect_tool()
        self.keys.notes += [
            ("click, Shift+click", "choose a nucleus, one more (with the layer of nuclei chosen)"),
            ("V, L, D, S, B, E", "select, lasso, draw, split, brush, erase nuclei"),
            ("A, Delete, M, N", "accept, reject, merge the chosen nuclei; go to the next that nobody has looked at"),
            ("1 to 9", "class of the chosen nuclei"),
        ]
        self.open_slide_button.clicked.connect(self._browse_slide)
        self.open_button_above.clicked.connect(self._browse_slide)
        self.area_group.find.clicked.connect(self.find_tissue)
        self.annotating.wanted.connect(self.read_annotations)
        self.where.changed.connect(self.follow_choice)
        self.pixel_size.changed.connect(self._refresh_buttons)
        self.journal.restored.connect(self._on_restored)
        for part in (self.annotating, self.views, self.pixel_size):
            part.said.connect(self.say)

    def _browse_slide(self, _checked: bool = False) -> None:
        # Pictures and plain TIFF could be other kinds of data: who opens them here means a slide.
        self.browse_file("Open a slide", _SLIDES, self.KIND)

    # --- layers come and go

    def _on_layers(self, event: Any = None) -> None:
        new = opened(event)
        told = "" if new is None else adopt(self.viewer, new, self.annotating.free_name(new.name))
        super()._on_layers(event)
        if told:
            self.say(told)
        self._agree()
        if self.layer is None and not self.is_busy and event is not None and event.type == "removed":
            self.say("")  # the last line was about a slide that is gone
        self.body.setVisible(self.layer is not None or bool(self.shown.token))
        self.empty.setVisible(self.layer is None)
        strange = strange_picture(self.viewer) if self.layer is None else ""
        self.not_a_slide.setText(strange)
        self.not_a_slide.setVisible(bool(strange))
        self.views.look_around()

    def _on_choice(self, index: int) -> None:
        self.meant.let_go()
        super()._on_choice(index)
        self.where.follow(self.layer)

    def _viewer_events(self) -> list[tuple[Any, Callable[..., Any]]]:
        active = self.viewer.layers.selection.events.active
        return [*super()._viewer_events(), (active, self.annotating.on_active), (active, self._on_active)]

    def _on_active(self, _event: Any = None) -> None:
        """A person chose a layer in napari's list: the slide that it is of is meant by everything here."""
        layer = self.viewer.layers.selection.active
        if layer is not None and not self.shown.is_adding:
            self._mean(layer)
            if told := why_no_slide(layer):
                self.say(told)

    def has_steps(self, layer: Any) -> bool:
        return super().has_steps(layer) or is_drawn(layer)

    def _on_restored(self, layer: Any) -> None:
        if self.is_docked:
            self.pixel_size.take_from(layer)
            self._mean(layer)

    def _mean(self, layer: Any) -> None:
        """Choose the slide that a layer is of, and show a result of that very slide, or none."""
        if record_of(layer).get("kind") != self.KIND:
            return
        self.meant.follow(layer)
        if self.shown.knows(layer):
            self.shown.show_with(layer)
        self._agree()
        self._refresh_buttons()

    def _agree(self) -> None:
        """The result that is shown is never one of another slide than the one that is meant."""
        meant = self.meant.layer
        if meant is None or self.shown.is_adding:
            return
        shown = self.shown.layers() if self.shown.token else []
        if not self.shown.token or (shown and not same_slide(shown[0], meant)):
            self.shown.show_of(meant)

    def _let_go(self) -> None:
        super()._let_go()
        self.views.let_go()
        self.annotating.let_go()
        self.nuclei.let_go()
        self.search.let_go()
        self.clusters.let_go()
        self.pixel_size.let_go()

    def _refresh_buttons(self, event: Any = None) -> None:
        super()._refresh_buttons(event)
        layer = self.layer
        self.pixel_size.follow(layer)
        if layer is not None:
            self.input.about.setText(about(layer))
        self.where.follow(layer)
        self.annotating.follow(layer)
        self.nuclei.refresh()
        self.search.refresh()
        self.tissue.refresh()
        self.stains.refresh()
        self.clusters.refresh()
        self.labels.refresh()
        takes = self.input.model.asks_for("roi")
        self.area_group.where.setEnabled(takes and layer is not None)
        self.area_group.find.setEnabled(layer is not None and not self.is_busy)
        self.save_button.setEnabled(not self.is_busy and (bool(self.shown.token) or bool(self._hand_work())))
        for box in (self.annotation_group.new, self.annotation_group.open):
            box.setEnabled(layer is not None)

    def _asked(self) -> tuple[Any, ...]:
        return ((*self.input.model.asked, id(self.layer), id(self.where.layer)),)

    def _show_areas(self, now: Result) -> None:
        index = now.parts.get(INDEX)
        if isinstance(index, Scores) and len(index.rows) <= _SIDE_BY_SIDE:
            index = turned(index)
        told = (now.parts.get(key) for key in (SLIDE_CLASS, CLASS_AREAS, "areas", "counts"))
        self.areas.show_scores(index or next((part for part in told if part is not None), None))

    @staticmethod
    def _describe(now: Result, made: Result) -> str:
        nuclei = now.parts.get("nuclei")
        if isinstance(nuclei, Objects):
            return f"{len(nuclei):,} nuclei"
        tiles = now.parts.get("tiles")
        count = len(tiles.rows) if isinstance(tiles, Scores) else 0
        settings = now.provenance.settings
        return f"{count:,} tiles of {settings.get('tile')} pixels at {settings.get('target_mpp')} um per pixel" * bool(
            count
        )

    # --- tissue

    def find_tissue(self, _checked: bool = False) -> bool:
        """Find the tissue of the slide in the background, without a network; returns whether it started."""
        layer = self.layer
        if layer is None:
            self.say("Open a slide first.")
            return False
        self.pixel_size.apply()
        record = dict(record_of(layer))
        try:
            values = self.input.model.values()
            known = {k: v for k, v in values.items() if k in ("mpp", "keep_pen")}  # whatever the backend
            config = config_of(known)
        except WorkbenchError as error:
            self.say(report(error))
            return False

        def work(_progress: Any) -> tuple[LayerTuple, tuple[str, ...]]:
            return mask_layer(read_image(record), config)

        done = partial(self._show_mask, layer, record.get(GIVEN))
        return self.start(f"Finding tissue of {layer.name}", work, done)

    def _show_mask(self, layer: Any, mpp: float | None, found: tuple[LayerTuple, tuple[str, ...]]) -> None:
        from napari.layers import Layer

        (data, attributes, kind), notes = found
        if record_of(layer).get(GIVEN) != mpp:
            self._done_text = f"{layer.name} has pixels of another size by now: find its tissue again."
            return
        if mpp is not None:
            attributes["metadata"][KEY][GIVEN] = mpp
        made = self.viewer.add_layer(Layer.create(data, attributes, kind))
        self.where.choose(made)
        self.viewer.layers.selection.active = made
        told = f" ({'; '.join(notes)})" if notes else ""
        self._done_text = f"Tissue of {layer.name} was found{told}. Paint to correct it; the run takes tiles in it."

    # --- annotations

    def read_annotations(self, path: Path) -> None:
        """Open a file of annotations over the slide, in the background."""
        layer = self.layer
        if layer is None:
            return
        record, frame = dict(record_of(layer)), self._frame()

        def work(_progress: Any) -> Any:
            from workbench.slide import open_annotations

            return open_annotations(path, slide_image(record), frame)

        self.start(f"Opening {path.name}", work, partial(self._show_annotations, layer))

    def _show_annotations(self, layer: Any, found: Any) -> None:
        self._done_text = self.annotating.show(layer, found)

    def _frame(self) -> Any:
        frame = self.input.model.form.widgets.get("frame")
        return "file" if frame is None else frame.value

    # --- run and save

    def run(self) -> bool:
        self.pixel_size.apply()
        return super().run()

    def _work(self, layer: Any, backend: str, values: dict[str, Any]) -> Work:
        record, chosen = dict(record_of(layer)), self.where.layer
        if chosen is None or not self.input.model.asks_for("roi"):
            whole = super()._work(layer, backend, values)
            return lambda progress: _ready(whole(progress))
        region = Region(chosen.name, state_now(chosen, layer))

        def work(progress: Any) -> Result:
            with TemporaryDirectory(prefix="workbench-") as folder:
                return _ready(run_in(backend, record, values, region, Path(folder), progress))

        return work

    def shower(self, layer: Any) -> Done:
        """What shows a result that was read of a file, over the slide of a layer."""
        return partial(self._show_opened, layer)

    def _show_opened(self, layer: Any, result: Result) -> Iterator[None]:
        yield from self._show_run(layer, None, None, result)
        nuclei, notes = result.parts.get(NUCLEI), result.provenance.notes
        count = len(nuclei) if isinstance(nuclei, Objects) else 0
        self._done_text = f"{count:,} nuclei{f': {notes[-1]}' if notes else ''}."

    def say_done(self, text: str) -> None:
        """The line that stands there when the job that runs now has ended."""
        self._done_text = text

    def _shower(self, layer: Any) -> Done:
        used = self.where.layer if self.input.model.asks_for("roi") else None
        return partial(self._show_run, layer, used, None if used is None else Region(used.name, state_now(used, layer)))

    def _show_run(self, image_layer: Any, used: Any, region: Region | None, result: Result) -> Iterator[None]:
        """Show a run that took its tiles in the layer `used` as it was then; another slide may be looked at now."""
        elsewhere = self.layer is not None and not same_slide(image_layer, self.layer)
        before = self.viewer.layers.selection.active
        if used is not None and is_own_mask(used):
            used.visible = False  # the tissue of the result lies over it now
        if region is not None:
            self._regions.append((result, region))
        yield from self._show(image_layer, result)
        if elsewhere:
            self.viewer.layers.selection.active = before if before in self.viewer.layers else self.layer
            self._agree()
            self._outlives = True
            which = "it" if image_layer in self.viewer.layers else "a layer of it"
            self._done_text = f"{image_layer.name}: {self._done_text} Choose {which} to see its result."

    def _go_to(self, added: list[Any], stayed: bool) -> None:
        if added and (self.layer is None or same_slide(added[0], self.layer)):
            super()._go_to(added, stayed)

    def covers(self, layer: Any) -> bool:
        return super().covers(layer) or is_own_mask(layer) or is_drawn(layer)

    def take_up(self, layer: Any) -> None:
        self._mean(layer)

    def _hand_work(self) -> list[Any]:
        """Masks that no run made and annotations of the one slide that is saved now."""
        layer = self._saved_slide()
        if layer is None:
            return []
        return [*filter(is_own_mask, masks_on(self.viewer, layer)), *annotations_on(self.viewer, layer)]

    def _saved_slide(self) -> Any:
        """A layer of the slide that is saved: that of the result that is shown, else the one that is meant."""
        shown = self.shown.layers() if self.shown.token else []
        return shown[0] if shown else self.meant.layer

    def save(self) -> bool:
        """Write the result, masks and annotations of one slide as they are shown now, in the background.

        Returns whether it started.
        """
        self.pixel_size.apply()
        self.annotating.take_class()
        hand, layer = self._hand_work(), self._saved_slide()
        if layer is None:
            return super().save()
        folder = self.chosen_folder()
        if folder is None or not (hand or self.shown.token):
            return False
        slide = self.meant.open_slide(layer)
        try:
            states = [state_now(x, slide) for x in hand]
            result, region, drawn = None, None, list(hand)
            if self.shown.token:
                result, made, missing = self.shown.now()
                self.shown.counted_as(result, made, missing)
                drawn += self.shown.layers()
                for own in self.shown.layers():
                    require_in_place(own, slide)
                region = next((r for run, r in self._regions if run is made), None)
        except WorkbenchError as error:
            self.say(report(error))
            return False
        job = Saving(
            dict(record_of(layer)), result, [s for s in states if is_mask(s[1]["metadata"][KEY])],
            [s for s in states if not is_mask(s[1]["metadata"][KEY])], folder,
            _formats(self.KIND).get(self.format.currentText(), "auto"), self._frame(), region,
            tuple(filter(None, [self.tissue.changed_since()])),
        )  # fmt: skip
        name = str(record_of(layer).get("name") or layer.name)
        return self.start_saving(name, partial(save, job), drawn, "your edits are")

    def _on_saved(self, revisions: Any, saved: Saved) -> None:
        super()._on_saved(revisions, saved)
        mine = [layer for reference, *_ in revisions if (layer := reference()) is not None]
        others = [x for x in self.unsaved.layers() if self.covers(x) and not any(same_slide(x, m) for m in mine)]
        if mine and others:
            self._done_text += f". Not saved: {named(others)} of another slide; choose that slide, and save."


def _ready(result: Result) -> Result:
    """A result whose layers are made in a moment: in the thread of the run, what takes long is done."""
    prepare(result)
    return result
