"""The Gradio app; `app.py` starts it.

Read its parts in this order: runs/ (a run as a stream of frames, without Gradio), guard/ (protects the app
from its clients), components/ (controls, images, words), tabs/ (stylize, compare, inside, idea), page, api,
serve. nstlib computes all images; the app only shows them.
"""

import os

# This module runs before Gradio and torch are imported. It turns off Gradio's statistics, sets the folder of
# Gradio's files, and prepares ZeroGPU before torch uses CUDA.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# By default, Gradio keeps a table of the last 10 000 events and evaluates it with pandas after every event.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
# Gradio can serve files from worker processes on further ports. The guard does not protect these ports.
os.environ["GRADIO_NUM_WORKERS"] = "0"

# Gradio sends a request to its own server to check it. A proxy from the environment cannot reach the server.
if any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in os.environ):
    hosts = [os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY", "GRADIO_SERVER_NAME")]
    hosts = [host.strip(" []") for part in (*hosts, "127.0.0.1", "localhost") for host in part.split(",")]
    for name in ("no_proxy", "NO_PROXY"):  # some programs read the first name, others the second
        os.environ[name] = "*" if "*" in hosts else ",".join(dict.fromkeys(filter(None, hosts)))

from demo.runs import gpu  # isort: skip
import nstlib.threads  # noqa: F401  # isort: skip - before torch
from demo.runs import files  # sets the folder that Gradio keeps its files in

__all__ = ["files", "gpu"]
