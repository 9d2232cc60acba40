"""Settings that come back: from a result of this visit, from a PNG dropped on the page, from the address."""

from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

import nstlib
from demo.parts import address, messages
from demo.parts.controls import LARGEST_STROKES
from demo.parts.encoders import EMBEDDED, present
from demo.parts.method_controls import spell, unspell
from demo.rooms import tools
from demo.rooms.room import QUIET, Update
from demo.rooms.stylize import Room, follows
from demo.runs.desk import DESK
from demo.runs.limits import LIMITS
from demo.runs.recipes import Named, Recipe, examples, named
from demo.runs.results import Result, opened

REMEMBERED = 36  # pictures of a visit
SEARCH = "(...values) => [...values.slice(0, -1), window.location.search]"
COPY = """(query) => {
  const link = location.origin + location.pathname + (query ? "?" + query : "");
  history.replaceState(null, "", link);
  navigator.clipboard?.writeText(link).catch(() => {});
}"""


@dataclass(frozen=True)
class Visit:
    """known: SHA-256 → file of the pictures a visitor has used. drop: where a PNG is dropped."""

    room: Room
    known: gr.State
    drop: gr.File
    query: gr.Textbox

    @property
    def inputs(self) -> set[Any]:
        return {self.known, *self.pictures, *self.room.canvas.inputs}

    @property
    def pictures(self) -> list[gr.Image]:
        return [self.room.content, self.room.style, self.room.second.picture]

    @property
    def outputs(self) -> list[Any]:
        room = self.room
        return list({*room.inputs, room.controls.method.gamma_slider, *room.canvas.outputs} | self._also)

    @property
    def _also(self) -> set[Any]:
        return {self.room.status, self.room.canvas.strength, self.room.canvas.film, self.drop}

    def remember(self, values: dict[Any, Any]) -> dict[str, str]:
        """The pictures now chosen and those before, the newest last."""
        known = dict(values[self.known])
        for path in filter(None, (values[part] for part in self.pictures)):
            digest = named(path).sha256
            known.pop(digest, None)
            known[digest] = path
        return dict(list(known.items())[-REMEMBERED:])

    def dropped(self, values: dict[Any, Any], request: gr.Request) -> Update:
        path = values[self.drop]
        return self.restored(path, values, request) if path else {self.drop: gr.skip()}

    def selected(self, values: dict[Any, Any], event: gr.SelectData, request: gr.Request) -> Update:
        kept, place = values[self.room.canvas.visit], event.index
        if not isinstance(place, int) or not 0 <= place < len(kept):
            return {self.drop: gr.skip()}
        return self.restored(kept[place][0], values, request)

    def restored(self, path: str, values: dict[Any, Any], request: gr.Request) -> Update:
        """The controls and the picture as a result's recipe has them."""
        room = self.room
        if DESK.running(request.session_hash, "stylize"):
            busy = "A run is going on: stop it, then take this result up."
            return {room.status: messages.alert(busy), self.drop: None}
        try:
            pixels, recipe, library = opened(path)
            settings, notes = allowed(recipe.settings)
            asked, update, missing = self.asked(replace(recipe, settings=settings), values)
        except Exception as error:
            words = messages.explain(error, path)
            if "holds no nstlib recipe" in str(error):
                words = f"{Path(path).name} holds no recipe: only PNG files saved by this page or nstlib do."
            return {room.status: messages.alert(words), self.drop: None}
        content = "" if missing else str(update.get(room.content) or values[room.content])
        result = Result(pixels, recipe, library, content, asked.wish)
        words = ["Settings restored.", *missing, *notes]
        return {
            **update,
            room.canvas.strength: 1,
            room.canvas.film: gr.update(interactive=False),
            **room.canvas.present(result, values | {room.canvas.strength: 1}),
            room.status: messages.note(escape(" ".join(words)), "done"),
            self.drop: None,
        }

    def asked(self, recipe: Recipe, values: dict[Any, Any]) -> tuple[Recipe, Update, list[str]]:
        """(what the controls will ask for, their values, what is missing): a picture that is not here leaves
        the present one. Raises ValueError for what the controls cannot show."""
        room, known, missing = self.room, self.remember(values), []

        def found(picture: Named, part: gr.Image) -> tuple[Named, str | None]:
            path = known.get(picture.sha256) or examples().get(picture.sha256)
            if path is not None and Path(path).is_file():
                return picture, str(path)
            if picture != Named():
                missing.append(f"Its picture {Path(picture.name).name} is not here: choose it again.")
            return (named(values[part]) if values[part] else picture), values[part]

        wanted = (recipe.content, *recipe.styles)
        pairs = [found(picture, part) for picture, part in zip(wanted, self.pictures, strict=False)]
        (content, path), *styles = pairs
        second = styles[1][1] if len(styles) > 1 else None
        settings = recipe.settings
        settings = settings.replace(method=spell(*unspell(str(settings.discrepancy))))
        where = recipe.where if second else ""
        shown = room.second.show(second, settings.style_weights, where)
        weights = (round(1 - shown[room.second.share], 3), shown[room.second.share])
        settings = settings.replace(style_weights=weights if second and not where else ())
        update = {
            **room.controls.show(settings),
            **shown,
            room.content: path,
            room.style: styles[0][1],
            room.controls.detail: recipe.detail,
        }
        names = tuple(name for name, _ in styles[: 2 if second else 1])
        return replace(recipe, settings=settings, content=content, styles=names, where=where), update, missing

    def arrived(self, values: dict[Any, Any]) -> Update:
        """A page was opened: its session shows the first result. The controls are set as the page's address
        has them; the image follows them."""
        recipe, notes = address.read(values[self.query])
        opened: Update = {self.room.canvas.shown: self.room.canvas.first}
        if recipe == Recipe(address.DEFAULTS) and not notes:
            return opened
        try:
            settings, more = allowed(recipe.settings)
            _, update, _ = self.asked(replace(recipe, settings=settings), values)
        except ValueError as error:
            return opened | {self.room.status: messages.alert(f"This link cannot be used: {error}")}
        update[self.room.canvas.strength] = recipe.blend
        if notes or more:
            left_out = [f"Left out of this link: {', '.join(notes)}."] if notes else []
            update[self.room.status] = messages.note(escape(" ".join([*left_out, *more])))
        return opened | update

    def link(self, values: dict[Any, Any]) -> tuple[str, str]:
        """(query, status) of a link that asks for the result shown."""
        canvas = self.room.canvas
        result: Result | None = values[canvas.shown]
        if result is None:
            return "", messages.alert("There is no result yet.")
        recipe = result.at(values[canvas.strength]).recipe
        own = [p.name for p in (recipe.content, *recipe.styles) if p.sha256 not in examples()]
        words = "The link is in the address bar, and copied."
        if own:
            words += f" It cannot bring your own picture along ({', '.join(map(escape, own))})."
        return address.write(recipe), messages.note(words, "done")


def allowed(settings: nstlib.Settings) -> tuple[nstlib.Settings, list[str]]:
    """The settings as this place can run them, and what had to change."""
    notes = []
    if settings.size > LIMITS.size:
        notes.append(f"Size {LIMITS.size} px, the most here, instead of {settings.size}.")
    if settings.iterations > LIMITS.steps:
        notes.append(f"{LIMITS.steps} steps, the most here, instead of {settings.iterations}.")
    if settings.style_scale > LARGEST_STROKES:
        notes.append(f"Strokes × {LARGEST_STROKES:g}, the most here, instead of {settings.style_scale:g}.")
        settings = settings.replace(style_scale=LARGEST_STROKES)
    size, steps = min(settings.size, LIMITS.size), min(settings.iterations, LIMITS.steps)
    settings = settings.replace(size=max(size, 64), iterations=steps)
    if settings.encoder not in LIMITS.encoders or not present(settings.encoder):
        notes.append(f"The embedded encoder instead of {settings.encoder}, which is not here.")
        settings = settings.replace(encoder=EMBEDDED)
    return settings, notes


def build(room: Room, page: gr.Blocks) -> None:
    """Lays the box of snippets out and connects it all: what arrives, what is kept, what is dropped."""
    canvas = room.canvas
    drop = gr.File(
        label="Drop a result PNG: its settings come back",
        file_types=[".png"],
        height=110,
        elem_id="drop",
    )
    tools.box(room.tools)
    visit = Visit(room, gr.State({}), drop, gr.Textbox(visible=False))
    quiet: dict[str, Any] = QUIET | {"inputs": visit.inputs}
    canvas.strip.select(visit.selected, outputs=visit.outputs, **quiet)
    drop.upload(visit.dropped, outputs=visit.outputs, **(quiet | {"inputs": {drop, *visit.inputs}}))
    seen: dict[str, Any] = QUIET | {"inputs": {visit.known, *visit.pictures}}
    for picture in visit.pictures:
        picture.change(visit.remember, outputs=visit.known, **seen)
    room.tools.link.click(visit.link, canvas.inputs, [visit.query, room.status], **QUIET).then(
        None, visit.query, js=COPY, api_visibility="private"
    )
    # an event that takes a set of components gets them in the order they were made: the query is the last
    page.load(visit.arrived, {visit.query, *visit.inputs}, visit.outputs, js=SEARCH, **QUIET)
    follows(room)
