"""How the app looks: warm paper, ink and vermilion, light and dark; system fonts, so nothing is fetched."""

from pathlib import Path

import gradio as gr

CSS = [Path(__file__).with_name(name) for name in ("style.css", "sheets.css", "stylize.css")]
ON_LOAD = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
SANS = [
    "ui-sans-serif",
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "DejaVu Sans",
    "sans-serif",
]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"]

INK = gr.themes.Color(
    "#faf7f1", "#f3eee4", "#e6dfd1", "#d3c9b8", "#a79d8d", "#7c7366",
    "#5d554b", "#463f37", "#302b25", "#201c18", "#15120f", name="ink",
)  # fmt: skip
SEAL = gr.themes.Color(
    "#fdf3ef", "#fbe3da", "#f6c5b4", "#ee9f85", "#e27454", "#cf5232",
    "#b03f22", "#8f311a", "#722917", "#5c2315", "#33110a", name="seal",
)  # fmt: skip


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
    return base.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_background_fill="#fffdf9",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_label_background_fill="#fffdf9",
        block_label_background_fill_dark="*neutral_900",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        block_title_text_weight="600",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        block_shadow="none",
        input_border_width="1px",
        input_background_fill="#ffffff",
        input_background_fill_dark="*neutral_950",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        border_color_accent="*primary_600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="*neutral_100",
        button_secondary_background_fill_hover="*neutral_200",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_cancel_background_fill="*neutral_900",
        button_cancel_background_fill_hover="*neutral_800",
        button_cancel_text_color="#ffffff",
        button_cancel_background_fill_dark="*neutral_100",
        button_cancel_background_fill_hover_dark="#ffffff",
        button_cancel_text_color_dark="*neutral_900",
        slider_color="*primary_600",
        slider_color_dark="*primary_500",
        checkbox_label_background_fill_selected="*neutral_900",
        checkbox_label_text_color_selected="#ffffff",
        checkbox_label_background_fill_selected_dark="*neutral_100",
        checkbox_label_text_color_selected_dark="*neutral_900",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_400",
    )
