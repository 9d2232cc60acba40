"""Behind the page: a run as a stream of frames. No Gradio.

    limits   what one visitor may ask for
    engine   a run as frames, with its threads; gpu: the same on ZeroGPU
    desk     who may stop which run
    files    pictures and recipes handed out

Read limits, engine, desk.
"""
