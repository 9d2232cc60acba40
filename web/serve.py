"""A static server for this machine, with the headers that isolate the page: python web/serve.py FOLDER"""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


class Handler(SimpleHTTPRequestHandler):
    """Serves files; a page is isolated, so that WebAssembly may use threads there."""

    isolated = True
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

    def end_headers(self) -> None:
        for name, value in ISOLATED.items() if self.isolated else ():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *values: object) -> None:
        """Writes no line for each file."""


class Plain(Handler):
    """The same without these headers, as a host that cannot set them."""

    isolated = False


def serve(folder: Path, port: int = 0, handler: type[Handler] = Handler) -> ThreadingHTTPServer:
    """A server for `folder` on this machine; port 0: any free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(handler, directory=str(folder)))


if __name__ == "__main__":
    server = serve(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "dist"), 8000)
    print("http://127.0.0.1:8000")
    server.serve_forever()
