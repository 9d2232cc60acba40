"""Restores settings: from the history, a saved PNG, a ready result, a tile or the page's address."""

from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from demo.components import address, messages
from demo.components.common import PRIVATE, QUIET, Update
from demo.components.controls import SMALLEST, fit_limits
from demo.components.method_controls import from_method, to_method
from demo.components.picker import named, picker
from demo.runs import ready
from demo.runs.engine import first_size
from demo.runs.recipes import Recipe, Source, examples, identify
from demo.runs.results import Result, open_result
from demo.runs.stop_flags import STOP_FLAGS
from demo.tabs.result_view import caption
from demo.tabs.stylize import TAB, Stylize

MOST_IMAGES = 36  # input images that a session stores
SEARCH = "(...values) => [...values.slice(0, -1), window.location.search]"
COPY = """(query) => {
  const link = location.origin + location.pathname + (query ? "?" + query : "");
  history.replaceState(null, "", link);
  navigator.clipboard?.writeText(link).catch(() => {});
}"""


class History:
    """Connects everything that restores settings with the Stylize tab, and lays out the ready results.

    known: SHA-256 → file, for the input images that the session has used.
    """

    def __init__(self, tab: Stylize) -> None:
        self.tab, self.known = tab, gr.State({})
        self.ready = {name: str(ready.path(name)) for name in ready.PAIRS}
        self.pairs = picker("Finished examples", self.ready, "ready", (400, 300))

    def connect(self, page: gr.Blocks) -> None:
        tab, view, query = self.tab, self.tab.view, gr.Textbox(visible=False)
        images, drop = tab.inputs.images, view.drop
        self.inputs = {self.known, *images, *view.inputs}
        self.outputs = [*{*tab.inputs.all, *tab.inputs.controls.outputs, *tab.outputs, *tab.bar.outputs}]
        self.outputs += [view.strength, tab.inputs.controls.preset, tab.inputs.asks.count, tab.inputs.note]
        view.gallery.select(self.select, self.inputs, self.outputs, **QUIET)
        self.pairs.select(self.open_ready, self.inputs, self.outputs, **QUIET)
        drop.upload(self.upload, {drop, *self.inputs}, self.outputs, **QUIET)
        for image in images:
            image.change(self.store_images, {self.known, *images}, self.known, **QUIET)
        linked = view.link.click(self.link, view.inputs, [query, tab.bar.status], **QUIET)
        linked.then(None, query, js=COPY, **PRIVATE)
        # An event with a set of inputs gets them in the order of their creation: `query` is the last.
        opened = {query, *self.inputs}
        page.load(lambda values: self.open(values[query], values), opened, self.outputs, js=SEARCH, **QUIET)

    def store_images(self, values: dict[Any, Any]) -> dict[str, str]:
        """Returns `known` with the present input images at the end, as the newest."""
        known = dict(values[self.known])
        for path in filter(None, (values[part] for part in self.tab.inputs.images)):
            digest = identify(path).sha256
            known.pop(digest, None)
            known[digest] = path
        return dict(list(known.items())[-MOST_IMAGES:])

    def upload(self, values: dict[Any, Any], request: gr.Request) -> Update:
        path = values[self.tab.view.drop]
        return self.restore_file(path, values, request) if path else {self.tab.bar.status: gr.skip()}

    def select(self, values: dict[Any, Any], event: gr.SelectData, request: gr.Request) -> Update:
        kept, place = values[self.tab.view.history], event.index
        if not isinstance(place, int) or not 0 <= place < len(kept):
            return {self.tab.bar.status: gr.skip()}
        return self.restore_file(kept[place][0], values, request)

    def open_ready(self, values: dict[Any, Any], event: gr.EventData, request: gr.Request) -> Update:
        name = Path(named(event, self.ready)).stem
        return self.restore(ready.open_result(name), values, request, first_size())

    def restore_file(self, path: str, values: dict[Any, Any], request: gr.Request) -> Update:
        """Restores the image and the controls from a PNG and its recipe."""
        try:
            pixels, recipe, library = open_result(path)
        except Exception as error:
            words = messages.explain(error, path)
            if "holds no nstlib recipe" in str(error):
                words = f"{Path(path).name} holds no recipe. Choose a PNG that this page or nstlib saved."
            return {self.tab.bar.status: messages.alert(words)}
        return self.restore(Result(pixels, recipe, library, "", None), values, request)

    def restore(
        self, result: Result, values: dict[Any, Any], request: gr.Request, size: int | None = None
    ) -> Update:
        """Shows a result and sets the controls to its recipe. size: that of the controls, if different."""
        view, bar, recipe = self.tab.view, self.tab.bar, result.recipe
        wanted = recipe if size is None else replace(recipe, settings=recipe.settings.replace(size=size))
        try:
            asked, update, notes = self.controls_for(wanted, values)
        except ValueError as error:
            return {bar.status: messages.alert(messages.explain(error))}
        STOP_FLAGS.replace(request.session_hash, TAB)
        known = recipe.content in (Source(), asked.content)
        content = str(update[self.tab.inputs.content] or "") if known else ""
        finished = recipe.step >= recipe.settings.iterations
        words = messages.note(escape(" ".join(["Here it is again, with its settings.", *notes])), "done")
        return {
            **update,
            view.strength: 1,
            view.animation: gr.update(interactive=False),
            self.tab.curve: gr.update(visible=False),
            **view.show(replace(result, content=content, asked=asked), values | {view.strength: 1}),
            **bar.show(bar.start, words, "Finer" if finished else "Refine"),
        }

    def controls_for(self, recipe: Recipe, values: dict[Any, Any]) -> tuple[Recipe, Update, list[str]]:
        """Returns (what the controls will ask for, their values, notes on differences from the recipe).

        If the app does not have an image of the recipe, the present image stays. Raises ValueError if the
        controls cannot show the recipe.
        """
        inputs, known = self.tab.inputs, self.store_images(values)
        settings, notes = fit_limits(recipe.settings)
        method = to_method(*from_method(str(settings.discrepancy)))
        settings = settings.replace(size=max(settings.size, SMALLEST), method=method)
        absent: list[str] = []
        paths: list[str | None] = []
        sources: list[Source] = []
        for source, part in zip((recipe.content, *recipe.styles), inputs.images, strict=False):
            path = known.get(source.sha256) or examples().get(source.sha256)
            if path is None or not Path(path).is_file():
                path = values[part]
                if source != Source():
                    absent.append(Path(source.name).name)
                source = identify(path) if path else source
            paths.append(str(path) if path else None)
            sources.append(source)
        if absent:
            names = " and ".join(dict.fromkeys(absent))
            notes.append(f"Upload {names} again to go on from here: a PNG holds only the result.")
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
        }
        content, *styles = sources[: 3 if second else 2]
        asked = Recipe(settings, content, tuple(styles), where)
        return asked, update, notes

    def open(self, query: str, values: dict[Any, Any]) -> Update:
        """Returns what a page shows when it is opened: the first result, and the settings of its address. The
        image then follows these settings."""
        view, inputs, size = self.tab.view, self.tab.inputs, first_size()
        recipe, unused = address.read(query, size)
        if not address.parts(query):  # set only the size: the user may already have changed the rest
            asked = replace(view.first.recipe, settings=address.DEFAULTS.replace(size=size), step=0)
            first = replace(view.first, asked=asked)
            return {view.shown: first, inputs.controls.by_name["size"]: size}
        opened: Update = {view.shown: view.first}
        try:
            _, update, notes = self.controls_for(recipe, values)
        except ValueError as error:
            return opened | {self.tab.bar.status: messages.alert(f"This link cannot be used: {error}")}
        update |= {view.strength: recipe.blend, inputs.asks.count: 1}
        words, photo = "The photo", update[inputs.content]  # until its first image is made
        update |= {view.image: gr.update(value=photo, alt_text=words), view.caption: caption(words)}
        if own := address.own_images(query):
            notes.insert(0, f"A link cannot contain its sender's own images: choose your {own}.")
        if unused:
            notes.insert(0, f"This link has parts that cannot be used: {', '.join(unused)}.")
        if notes:
            words = f'<p role="status">{escape(" ".join(notes))}</p>'
            update[inputs.note] = gr.update(value=words, visible=True)
        return opened | update

    def link(self, values: dict[Any, Any]) -> tuple[str, str]:
        """Returns (query, status) for a link to the shown result."""
        view = self.tab.view
        recipe = view.result(values).at(values[view.strength]).recipe
        images = (recipe.content, *recipe.styles)
        own = list(dict.fromkeys(image.name for image in images if image.sha256 not in examples()))
        names, plural = ", ".join(map(escape, own)), "s" * (len(own) > 1)
        words = "The link is in the address bar and in the clipboard."
        words += f" It cannot contain your own image{plural} ({names})." if own else ""
        return address.write(recipe), messages.note(words, "done")
