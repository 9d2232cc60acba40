"""The app; `app.py` starts it.

runs/ (a run as a stream of frames; no Gradio) → guard/ (what protects the app from its clients) → components/
(controls, images, words) → tabs/ (stylize, compare, inside, idea) → page and api → serve. Read them in this
order, or from page.py down. nstlib does everything about images and methods; the app only shows it.
"""

import os

# This must happen before Gradio and torch are imported, wherever the app is imported from: Gradio sends no
# statistics, files lie in a folder of this process, and ZeroGPU is set up before torch uses CUDA.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# Gradio also keeps a table of the last 10 000 events and evaluates it with pandas after each one.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
# Gradio's workers for files listen on ports of their own, which the guard does not protect.
os.environ["GRADIO_NUM_WORKERS"] = "0"

# Gradio asks its own server whether it is up. A proxy that the environment names cannot reach it.
if any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in os.environ):
    hosts = [os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY", "GRADIO_SERVER_NAME")]
    hosts = [host.strip(" []") for part in (*hosts, "127.0.0.1", "localhost") for host in part.split(",")]
    for name in ("no_proxy", "NO_PROXY"):  # some programs read one of them, some the other
        os.environ[name] = "*" if "*" in hosts else ",".join(dict.fromkeys(filter(None, hosts)))

from demo.runs import gpu  # isort: skip
import nstlib.threads  # noqa: F401  # isort: skip - before torch
from demo.runs import files  # sets the folder that Gradio keeps its files in

__all__ = ["files", "gpu"]
