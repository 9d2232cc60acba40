"""Where requests come in: what is let through, and to what.

    origins  whose page sends a request, and under which name of this host; no Gradio
    bodies   the fields of a request; house: the files in its values
    blocks   the page's Blocks, queue and sessions: all that leans on Gradio's private attributes
    door     what stands before Gradio: the routes that exist, who may ask, headers

Gradio 6.31 checks an uploaded file's path only where the client marks it as a file, and anyone can call its
events, listed or not; blocks closes that for all components. Whose turn it is, how uploads arrive and what is
stored is in `demo/runs` (connections, turns, uploads, store). Read origins, bodies, house, blocks, door.
"""
