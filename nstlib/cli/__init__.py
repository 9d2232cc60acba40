"""The commands of the command line, `nstlib.__main__`.

options    the options of each command
commands   the commands; the command `apply` is in the module apply
repeat     reads the recipe of an image, and lists how a repeated image differs
progress   shows a run's progress, stops it at Ctrl-C, and saves its last image
errors     error messages and exit codes

Read options, commands, progress and repeat, in this order.
"""
