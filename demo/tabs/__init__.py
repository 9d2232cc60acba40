"""The tabs of the page, one in each file: stylize, compare, inside, idea.

run_bar starts and stops the runs of a tab. result_view shows a result in Stylize, and history restores
settings there. grid_tab is what compare and inside share. Read run_bar, then stylize.
"""
