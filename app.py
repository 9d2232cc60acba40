"""See four notions of style form before your eyes: `python app.py`, or a Hugging Face Space.

The address is http://127.0.0.1:7860, or what GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say; the limits
for visitors are environment variables too (demo/limits.py).
"""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from demo import gpu  # noqa: E402, F401  # ZeroGPU must be set up before torch looks for CUDA
import sys  # noqa: E402
import threading  # noqa: E402

from demo import engine, page, theme  # noqa: E402
from demo.limits import LIMITS  # noqa: E402

demo = page.build()
demo.queue(max_size=LIMITS.queue, default_concurrency_limit=1)


def has_desktop() -> bool:
    """Whether opening a browser would reach somebody."""
    if (
        LIMITS.public
        or "CI" in os.environ
        or "GRADIO_SERVER_NAME" in os.environ
        or "SSH_CONNECTION" in os.environ
    ):
        return False
    return sys.platform in ("win32", "darwin") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def main() -> None:
    """Serves the app until it is interrupted."""
    engine.set_threads()
    threading.Thread(target=engine.warm_up, daemon=True).start()
    demo.launch(
        theme=theme.theme(),
        css_paths=theme.CSS,
        inbrowser=has_desktop(),
        show_error=True,
        max_file_size=LIMITS.upload,
        ssr_mode=False,
        run_history=False,
        footer_links=["api", "settings"],
    )


if __name__ == "__main__":
    main()
