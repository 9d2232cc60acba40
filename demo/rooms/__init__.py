"""The rooms of the page, one a file: stylize, live, compare, inside, idea.

room: what every room has. grid_room: a room whose result is a sheet of pictures. Read room, then stylize.
"""
