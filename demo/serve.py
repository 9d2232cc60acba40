"""Builds the page and serves it; `app.py` calls `serve`."""

import os
import sys
import threading

from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from demo import page
from demo.components import theme
from demo.components.card import Card
from demo.guard.middleware import Guard
from demo.runs import engine
from demo.runs.limits import LIMITS, STATIC
from nstlib.synthesis.allocator import keep_memory

SESSIONS = 64  # for which Gradio stores values: 0.2 MB each, 0.9 MB with a live image; the default is 10 000

# oneDNN stores a compiled convolution for every image size, up to 1024 by default. They take 80 MB on a host
# with many users, and 45 MB with a limit of 200. Even a limit of 100 makes no run slower.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "200")

demo = page.build()
demo.queue(max_size=LIMITS.queue, default_concurrency_limit=1, api_open=False)


def has_desktop() -> bool:
    """Whether this machine can open a browser for the user."""
    elsewhere = ("CI", "GRADIO_SERVER_NAME", "SSH_CONNECTION")
    if LIMITS.public or any(name in os.environ for name in elsewhere):
        return False
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in screens)


def serve() -> None:
    """Serve the app until a signal ends the process (see app.py)."""
    engine.set_threads()
    keep_memory()
    threading.Thread(target=engine.warm_up, daemon=True).start()
    around = [Middleware(Guard, blocks=demo), Middleware(Card, title=page.NAME)]
    pages = Mount("/browser", StaticFiles(directory=STATIC, html=True, check_dir=False))
    demo.launch(
        theme=theme.theme(),
        css_paths=theme.CSS,
        inbrowser=has_desktop(),
        show_error=True,
        max_file_size=LIMITS.upload,
        enable_monitoring=False,
        state_session_capacity=SESSIONS,
        app_kwargs={"middleware": around, "routes": [pages], "docs_url": None, "redoc_url": None},
        ssr_mode=False,
        run_history=False,
        footer_links=["api"],
    )
