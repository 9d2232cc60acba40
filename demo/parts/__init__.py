"""What rooms are furnished with. No part knows a room.

    controls          every setting of a run as a control; method_controls: the method and its options
    presets, encoders what is on offer here; second: another style, and where it goes; address: all in a link
    ideas             what each method takes a style to be, in words
    pictures          the two picture inputs; grid: a sheet of pictures that fills while it is made
    messages, curves  status, errors and losses in words and lines
    reproduce         the Python and the command line that make a picture again
    theme             colours and type, with style.css

Read controls, method_controls, messages; then as needed.
"""
