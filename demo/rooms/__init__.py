"""The rooms of the page, one a file: stylize, compare, inside, idea.

room: what every room has. canvas, tools, visit: where Stylize shows a result, what can be done with it, and
how its settings come back. grid_room: a room whose result is a sheet of pictures. Read room, then stylize.
"""
