"""The web app: `python app.py`, or a Hugging Face Space.

Its address is http://127.0.0.1:7860. --host and --port change it, and so do GRADIO_SERVER_NAME and
GRADIO_SERVER_PORT; other environment variables set the limits for users (demo/runs/limits.py).
"""

import argparse
import os
import signal
import sys


def end(number: int, _: object) -> None:
    """End the process at SIGTERM (exit code 0) or Ctrl-C (130), with its temporary folder removed.

    A normal exit of Python waits for the threads, and a thread that still computes in torch aborts it.
    """
    if files := sys.modules.get("demo.runs.files"):
        getattr(files, "remove_folder", lambda: None)()  # no such function while the module is being imported
    os._exit(0 if number == signal.SIGTERM else 130)


if __name__ == "__main__":  # before the other imports, which take seconds
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    more = "Environment variables set everything else: see docs/reference/environment.md."
    parser = argparse.ArgumentParser(description="Serve the web app.", epilog=more)
    parser.add_argument("--host", help="default: $GRADIO_SERVER_NAME or 127.0.0.1")
    parser.add_argument("--port", type=int, help="default: $GRADIO_SERVER_PORT or 7860")
    for name, value in zip(("NAME", "PORT"), vars(parser.parse_args()).values(), strict=True):
        if value is not None:
            os.environ[f"GRADIO_SERVER_{name}"] = str(value)

from demo.serve import demo, serve  # noqa: E402, F401 - Gradio's tools look for `demo`

if __name__ == "__main__":
    serve()
