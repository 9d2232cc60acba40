"""A static server for this machine, with the headers that isolate a page: python web/serve.py FOLDER"""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


class Handler(SimpleHTTPRequestHandler):
    """Serves files. Its headers isolate a page, so that WebAssembly may use threads."""

    isolated = True
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

    def end_headers(self) -> None:
        for name, value in ISOLATED.items() if self.isolated else ():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *values: object) -> None:
        """Logs nothing."""


class Plain(Handler):
    """Serves files without these headers, like a host that cannot set them."""

    isolated = False


def serve(folder: Path, port: int = 0, handler: type[Handler] = Handler) -> ThreadingHTTPServer:
    """Returns a server for `folder` on this machine. Port 0 chooses any free port."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(handler, directory=str(folder)))


if __name__ == "__main__":
    server = serve(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "dist"), 8000)
    print("http://127.0.0.1:8000")
    server.serve_forever()
