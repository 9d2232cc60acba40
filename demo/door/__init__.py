"""Where a visitor's requests come in: what is let through, and to what.

    visitors   who listens, and how many runs a visitor has waiting; no Gradio
    house      the page as Gradio's Blocks, which takes files only from its own folder
    bodies     what a request may bring: sizes, times, fields
    door       what stands before the house: the routes that exist, who may ask, headers

Gradio 6.31 checks an uploaded file's path only where the client marks it as a file, and its events can be
called by anyone, listed or not; the house closes that once for all components, whatever their events do.
Read visitors, house, bodies, door.
"""
