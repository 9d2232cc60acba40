"""The rooms of the app: `app.py` puts them together.

limits → engine (a run as a stream of frames, no Gradio) → controls, curves, words → the rooms:
stylize, compare, inside, idea. Everything about pictures and methods is nstlib's; here is only showing.
"""
