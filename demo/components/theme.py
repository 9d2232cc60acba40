"""The look of the app: warm paper, ink and vermilion, light and dark. All fonts are the system's."""

from pathlib import Path

import gradio as gr

CSS = [Path(__file__).with_name(name) for name in ("style.css", "sheets.css", "stylize.css")]
ON_LOAD = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
SANS = ["ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Noto Sans", "DejaVu Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"]

INK = gr.themes.Color(
    "#faf7f1", "#f3eee4", "#e6dfd1", "#d3c9b8", "#a79d8d", "#7c7366",
    "#5d554b", "#463f37", "#302b25", "#201c18", "#15120f", name="ink",
)  # fmt: skip
SEAL = gr.themes.Color(
    "#fdf3ef", "#fbe3da", "#f6c5b4", "#ee9f85", "#e27454", "#cf5232",
    "#b03f22", "#8f311a", "#722917", "#5c2315", "#33110a", name="seal",
)  # fmt: skip


# Gradio's name of a colour: (its value in the light theme, in the dark theme)
COLOURS = {
    "body_background_fill": ("*neutral_50", "*neutral_950"),
    "body_text_color": ("*neutral_900", "*neutral_100"),
    "body_text_color_subdued": ("*neutral_600", "*neutral_400"),
    "block_background_fill": ("#fffdf9", "*neutral_900"),
    "block_border_color": ("*neutral_200", "*neutral_800"),
    "block_label_text_color": ("*neutral_700", "*neutral_200"),
    "block_label_background_fill": ("#fffdf9", "*neutral_900"),
    "block_title_text_color": ("*neutral_800", "*neutral_100"),
    "input_background_fill": ("#ffffff", "*neutral_950"),
    "input_border_color": ("*neutral_300", "*neutral_700"),
    "button_primary_background_fill": ("*primary_600", "*primary_600"),
    "button_primary_background_fill_hover": ("*primary_700", "*primary_500"),
    "button_secondary_background_fill": ("*neutral_100", "*neutral_800"),
    "button_secondary_background_fill_hover": ("*neutral_200", "*neutral_700"),
    "button_cancel_background_fill": ("*neutral_900", "*neutral_100"),
    "button_cancel_background_fill_hover": ("*neutral_800", "#ffffff"),
    "button_cancel_text_color": ("#ffffff", "*neutral_900"),
    "slider_color": ("*primary_600", "*primary_500"),
    "checkbox_label_background_fill_selected": ("*neutral_900", "*neutral_100"),
    "checkbox_label_text_color_selected": ("#ffffff", "*neutral_900"),
    "link_text_color": ("*primary_700", "*primary_400"),
}


def theme() -> gr.themes.Base:
    """The theme for `launch`."""
    base = gr.themes.Base(
        primary_hue=SEAL,
        secondary_hue=SEAL,
        neutral_hue=INK,
        font=SANS,
        font_mono=MONO,
        radius_size=gr.themes.sizes.radius_sm,
        text_size=gr.themes.sizes.text_md,
    )
    light = {name: colours[0] for name, colours in COLOURS.items()}
    dark = {f"{name}_dark": colours[1] for name, colours in COLOURS.items()}
    more = {"block_title_text_weight": "600", "input_border_width": "1px"}
    return base.set(border_color_accent="*primary_600", **light, **dark, **more)
