"""The components of the page. None of them knows a tab.

    common              the options of events, and a slider
    controls            every setting of a run as a control; method_controls: the method and its options
    presets, encoders   what is on offer here; second_style: a second style and its region
    inputs              the input images; address: all settings in a link
    ideas, clouds       what each method takes a style to be: in words; as points that move
    grid, sheet         images that fill while their runs work; the same as one image to keep
    messages, curves    status, errors and losses in words and lines
    reproduce           the Python and the command line that make an image again
    theme               colours and fonts, with the .css files; page.js: what the page does by itself

Read controls, method_controls, messages first.
"""
