"""The rooms of the app: `app.py` puts them together.

runs/ (a run as a stream of frames, limits, files; no Gradio) → guard/ (what is let in) → parts/ (controls,
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
# Its workers for files listen on ports of their own, where nothing stands before them.
os.environ["GRADIO_NUM_WORKERS"] = "0"

# Gradio asks its own server whether it is up, which a proxy of the environment cannot reach.
if any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in os.environ):
    hosts = [os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY", "GRADIO_SERVER_NAME")]
    hosts = [host.strip(" []") for part in (*hosts, "127.0.0.1", "localhost") for host in part.split(",")]
    for name in ("no_proxy", "NO_PROXY"):  # where they differ, some programs read the one, some the other
        os.environ[name] = "*" if "*" in hosts else ",".join(dict.fromkeys(filter(None, hosts)))

from demo.runs import gpu  # isort: skip
import nstlib.threads  # noqa: F401  # isort: skip - before torch
from demo.runs import files  # sets the folder that Gradio keeps its files in

__all__ = ["files", "gpu"]
