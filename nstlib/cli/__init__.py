"""The commands of the command line, `nstlib.__main__`.

options    the options of each command
commands   what each command does; `apply` has a module of its own, apply
repeat     the recipe of an image that is repeated, and the differences from it
progress   a run with a progress bar, stopped by Ctrl-C, its last image saved
errors     error messages and exit codes

Read options, commands, progress, repeat.
"""
