"""The guard between the clients and Gradio: it checks everything that reaches the page.

    origins     which page sends a request, and to which host name
    bodies      the fields of a request
    files       the files in the values of a request
    blocks      the page's Blocks, queue and sessions; only this module uses Gradio's private attributes
    middleware  the routes that exist, the limits on requests, the headers of answers

Gradio 6.31 checks a path only if the client marks the value as a file. Any client can call any event, even
one that the API does not list. So blocks.py checks every value of every event. Fair turns, uploads and disk
space are in `demo/runs` (connections, turns, uploads, store). Read the modules in this order.
"""
