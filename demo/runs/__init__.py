"""Behind the page: a run as a stream of frames. No Gradio.

    limits   what one visitor may ask for
    files    pictures that come in and go out, and the folder they lie in
    engine   a run as frames, with its threads; gpu: the same on ZeroGPU
    painter  one pass, for every change; film: an animation of a run
    recipes  what made a picture, written and read; masks: where a second style goes; results: both together
    desk     who may stop which run; connections: who is connected; turns: whose request works next
    uploads  files on their way in; store: the disk space that each address takes

Read limits, files, store, uploads, connections, turns, engine, desk.
"""
