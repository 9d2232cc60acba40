"""The components of the page. None of them imports a tab.

    common              the options of events, a slider, the count of the user's changes
    controls            every setting of a run as a control; method_controls: the method and its options
    presets             the presets and encoders on offer here
    picker              named images to choose from
    inputs              the input images, a second style, all choices together; address: settings as a link
    point_clouds        two point clouds, of which a method moves one onto the other
    grid                a grid of images that fills while its runs work
    messages, curves    status and errors in words, and losses as curves
    reproduce           the Python and the command line that make an image again
    card                the preview card of a shared link
    theme               colours and fonts, with the .css files; page.js: code for the whole page

Read controls, method_controls, messages first.
"""
