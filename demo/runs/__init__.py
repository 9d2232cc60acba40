"""The code behind the page: a run yields a stream of frames. Nothing here uses Gradio.

    limits      what one user may ask for
    files       images from and for users, and their folder
    engine      a run as a stream of frames; gpu: the decorator for ZeroGPU
    preview     one pass after every change of a control; animation: the images of a run as a WebP
    recipes     how an image was made; masks: the region of a second style; results: an image with its recipe
    ready       finished results that are part of the page
    stop_flags  how a user stops a run; paused: runs that wait for Continue
    connections who is connected; turns: whose request works next
    uploads     files that arrive; store: the disk space that each address takes

Read limits, files, store, uploads, connections, turns, engine, stop_flags.
"""
