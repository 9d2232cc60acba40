"""What rooms are furnished with. No part knows a room.

    controls          every setting of a run as a control; method_controls: the method and its options
    presets, encoders what is on offer here; second: another style, and where it goes; address: all in a link
    ideas             what each method takes a style to be, in words; clouds: as points that move
    pictures          the two picture inputs
    grid, sheet       pictures in rows and columns that fill while they are made; the same as one picture
    messages, curves  status, errors and losses in words and lines
    reproduce         the Python and the command line that make a picture again
    theme             colours and type, with the .css files; page.js: what the page does by itself

Read controls, method_controls, messages; then as needed.
"""
