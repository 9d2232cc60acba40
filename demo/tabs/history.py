"""Settings that are restored: from the history, from a PNG dropped on the page, from the page's address."""

from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from demo.components import address, messages
from demo.components.common import PRIVATE, QUIET, Update
from demo.components.controls import SMALLEST, fit_limits
from demo.components.method_controls import from_method, to_method
from demo.runs.recipes import Recipe, Source, examples, identify
from demo.runs.results import Result, open_result
from demo.runs.stop_flags import STOP_FLAGS
from demo.tabs.stylize import TAB, Stylize

MOST_IMAGES = 36  # of a session
SEARCH = "(...values) => [...values.slice(0, -1), window.location.search]"
COPY = """(query) => {
  const link = location.origin + location.pathname + (query ? "?" + query : "");
  history.replaceState(null, "", link);
  navigator.clipboard?.writeText(link).catch(() => {});
}"""


class History:
    """Connects everything that restores settings with the Stylize tab, and lays out the box for a PNG.

    known holds SHA-256 → file of the input images that a session has used.
    """

    def __init__(self, tab: Stylize, page: gr.Blocks) -> None:
        self.tab = tab
        self.drop = gr.File(
            label="Drop a PNG, or click to choose: restores its settings",
            file_types=[".png"],
            height=110,
            elem_id="drop",
        )
        tab.view.add_snippets()
        view = tab.view
        self.known, self.query = gr.State({}), gr.Textbox(visible=False)
        images = tab.inputs.images
        inputs = {self.known, *images, *view.inputs}
        outputs = [*{*tab.inputs.all, *tab.inputs.controls.outputs, *view.outputs, tab.bar.status}]
        outputs += [view.strength, view.animation, self.drop]
        view.gallery.select(self.select, inputs, outputs, **QUIET)
        self.drop.upload(self.upload, {self.drop, *inputs}, outputs, **QUIET)
        for image in images:
            image.change(self.store_images, {self.known, *images}, self.known, **QUIET)
        view.link.click(self.link, view.inputs, [self.query, tab.bar.status], **QUIET).then(
            None, self.query, js=COPY, **PRIVATE
        )
        # An event with a set of inputs gets them in the order in which they were made: the query is the last.
        page.load(self.open, {self.query, *inputs}, outputs, js=SEARCH, **QUIET)
        tab.connect()

    def store_images(self, values: dict[Any, Any]) -> dict[str, str]:
        """The input images chosen now and before, the newest last."""
        known = dict(values[self.known])
        for path in filter(None, (values[part] for part in self.tab.inputs.images)):
            digest = identify(path).sha256
            known.pop(digest, None)
            known[digest] = path
        return dict(list(known.items())[-MOST_IMAGES:])

    def upload(self, values: dict[Any, Any], request: gr.Request) -> Update:
        path = values[self.drop]
        return self.restore(path, values, request) if path else {self.drop: gr.skip()}

    def select(self, values: dict[Any, Any], event: gr.SelectData, request: gr.Request) -> Update:
        kept, place = values[self.tab.view.history], event.index
        if not isinstance(place, int) or not 0 <= place < len(kept):
            return {self.drop: gr.skip()}
        return self.restore(kept[place][0], values, request)

    def restore(self, path: str, values: dict[Any, Any], request: gr.Request) -> Update:
        """The controls and the image as the recipe of a result has them."""
        view, status = self.tab.view, self.tab.bar.status
        if STOP_FLAGS.is_running(request.session_hash, TAB):
            return {status: messages.alert("Stop the run first, then restore this result."), self.drop: None}
        try:
            pixels, recipe, library = open_result(path)
            asked, update, notes = self.controls_for(recipe, values)
        except Exception as error:
            words = messages.explain(error, path)
            if "holds no nstlib recipe" in str(error):
                words = f"{Path(path).name} holds no recipe. Choose a PNG that this page or nstlib saved."
            return {status: messages.alert(words), self.drop: None}
        known = recipe.content in (Source(), asked.content)
        content = str(update[self.tab.inputs.content] or "") if known else ""
        result = Result(pixels, recipe, library, content, asked.request)
        return {
            **update,
            view.strength: 1,
            view.animation: gr.update(interactive=False),
            **view.show(result, values | {view.strength: 1}),
            status: messages.note(escape(" ".join(["Settings restored.", *notes])), "done"),
            self.drop: None,
        }

    def controls_for(self, recipe: Recipe, values: dict[Any, Any]) -> tuple[Recipe, Update, list[str]]:
        """(what the controls will ask for, their values, notes on what is different from the recipe).

        An image that is not here leaves the present one. Raises ValueError for what the controls cannot show.
        """
        inputs, known = self.tab.inputs, self.store_images(values)
        settings, notes = fit_limits(recipe.settings)
        method = to_method(*from_method(str(settings.discrepancy)))
        settings = settings.replace(size=max(settings.size, SMALLEST), method=method)
        paths: list[str | None] = []
        sources: list[Source] = []
        for source, part in zip((recipe.content, *recipe.styles), inputs.images, strict=False):
            path = known.get(source.sha256) or examples().get(source.sha256)
            if path is None or not Path(path).is_file():
                path = values[part]
                if source != Source():
                    notes.append(f"Its image {Path(source.name).name} is not here: choose it again.")
                source = identify(path) if path else source
            paths.append(str(path) if path else None)
            sources.append(source)
        second = paths[2] if len(paths) > 2 else None
        where = recipe.where if second else ""
        shown = inputs.second.show(second, settings.style_weights, where)
        share = shown[inputs.second.share]
        mixed = second and not where
        settings = settings.replace(style_weights=(round(1 - share, 3), share) if mixed else ())
        update = {
            **inputs.controls.show(settings),
            **shown,
            inputs.content: paths[0],
            inputs.style: paths[1],
            inputs.controls.detail: recipe.detail,
        }
        content, *styles = sources[: 3 if second else 2]
        asked = replace(recipe, settings=settings, content=content, styles=tuple(styles), where=where)
        return asked, update, notes

    def open(self, values: dict[Any, Any]) -> Update:
        """A page was opened: its session shows the first result. The controls are set as the page's address
        has them, and the image follows them."""
        view, status = self.tab.view, self.tab.bar.status
        recipe, unused = address.read(values[self.query])
        opened: Update = {view.shown: view.first}
        if recipe == Recipe(address.DEFAULTS) and not unused:
            return opened
        try:
            _, update, notes = self.controls_for(recipe, values)
        except ValueError as error:
            return opened | {status: messages.alert(f"This link cannot be used: {error}")}
        update[view.strength] = recipe.blend
        if unused:
            notes.insert(0, f"This link has parts that cannot be used: {', '.join(unused)}.")
        if notes:
            update[status] = messages.note(escape(" ".join(notes)))
        return opened | update

    def link(self, values: dict[Any, Any]) -> tuple[str, str]:
        """(query, status) of a link that asks for the result shown."""
        view = self.tab.view
        recipe = view.result(values).at(values[view.strength]).recipe
        own = [image.name for image in (recipe.content, *recipe.styles) if image.sha256 not in examples()]
        words = "The link is in the address bar and in the clipboard."
        if own:
            words += f" It cannot contain your own image ({', '.join(map(escape, own))})."
        return address.write(recipe), messages.note(words, "done")
