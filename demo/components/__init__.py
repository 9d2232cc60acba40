"""The components of the page. None of them imports a tab.

    common              the options of events, a slider, the count of the user's changes
    controls            every setting of a run as a control; method_controls: the method and its options
    presets             the presets and encoders on offer here
    picker              named images to choose from
    inputs              the input images, a second style, all choices together; address: the same as a link
    point_clouds        two point clouds, and how a method moves one onto the other
    grid                images that fill while their runs work
    messages, curves    status, errors and losses in words and lines
    reproduce           the Python and the command line that make an image again
    card                the preview card of a shared link
    theme               colours and fonts, with the .css files; page.js: what the page does by itself

Read controls, method_controls, messages first.
"""
