"""The rooms of the app: `app.py` puts them together.

runs/ (a run as a stream of frames, limits, files; no Gradio) → door/ (who may come in) → parts/ (controls,
pictures, words) → rooms/ (stylize, compare, inside, idea) → page and api. Read in this order, or from
page.py down; serve starts the server. Everything about images and methods is nstlib's; the app only shows it.
"""

import os

# This must happen before Gradio and torch are imported, wherever the app is imported from:
# nothing is reported home, files lie in a folder of our own, and ZeroGPU (if this is one) is set up before
# torch looks for CUDA.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# Gradio also keeps a table of the last 10 000 events, and works it through with pandas after each: not here.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))

from demo.runs import gpu  # isort: skip
import nstlib.threads  # noqa: F401  # isort: skip - before torch
from demo.runs import files  # sets the folder that Gradio keeps its files in

__all__ = ["files", "gpu"]
