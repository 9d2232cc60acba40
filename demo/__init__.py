"""The rooms of the app: `app.py` puts them together.

limits → engine (a run as a stream of frames, no Gradio) → controls, curves, words → the rooms:
stylize, compare, inside, idea. Everything about pictures and methods is nstlib's; here is only showing.
"""

import os

# Two things must happen before Gradio and torch are imported, wherever the app is imported from:
# nothing is reported home, and ZeroGPU (if this is one) is set up before torch looks for CUDA.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from demo import gpu

__all__ = ["gpu"]
