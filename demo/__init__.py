"""The rooms of the app: `app.py` puts them together.

runs/ (a run as a stream of frames, limits, files; no Gradio) → parts/ (controls, pictures, words) → rooms/
(stylize, compare, inside, idea) → page and api. Read in this order, or from page.py down. Everything about
pictures and methods is nstlib's; here is only showing.
"""

import os

# Two things must happen before Gradio and torch are imported, wherever the app is imported from:
# nothing is reported home, and ZeroGPU (if this is one) is set up before torch looks for CUDA.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from demo.runs import gpu

__all__ = ["gpu"]
