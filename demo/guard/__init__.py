"""The guard between the clients and Gradio: it checks everything that reaches the page.

    origins     which page sends a request, and under which name of this host
    bodies      the fields of a request
    files       the files in the values of a request
    blocks      the page's Blocks, its queue and its sessions: all uses of Gradio's private attributes
    middleware  the routes that exist, the limits on requests, the headers of answers

Gradio 6.31 checks the path of an uploaded file only where the client marks it as a file, and anyone can call
its events, listed or not. So blocks.py checks every value of every event. Fair turns, uploads and disk space
are in `demo/runs` (connections, turns, uploads, store). Read origins, bodies, files, blocks, middleware.
"""
