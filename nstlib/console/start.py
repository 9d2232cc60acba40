"""The first second of the program `nstlib`, imported before torch: until a run can stop politely, a Ctrl-C
ends it at once and in silence. A Python that imports nstlib as a library keeps its own way."""

import itertools
import os
import signal
import sys
import threading

_words = sys.orig_argv
_is_program = ("-m", "nstlib") in itertools.pairwise(_words) or (
    os.path.basename(sys.argv[0] if sys.argv else "") in ("nstlib", "nstlib.exe")
)
if _is_program and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.SIG_DFL)
