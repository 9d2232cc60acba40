"""The tabs of the page, one in each file: stylize, compare, inside, idea.

run_bar starts and stops the runs of a tab. result_view shows a result in Stylize, and history restores
settings there. compare and inside share grid_tab. Read run_bar, then stylize.
"""
