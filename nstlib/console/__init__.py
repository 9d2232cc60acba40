"""What the command line's commands share; the commands themselves are in `__main__`.

options    one option per field of `Settings`, and the settings that were chosen
repeat     the recipe of an image that is repeated, and what differs from it
files      outputs that may not be inputs
progress   a run with a progress bar, stopped by Ctrl-C, its last image saved
passes     one forward pass: onepass, train, apply
mistakes   one line and an exit code for whatever goes wrong
start      Ctrl-C while torch is still being imported
doctor     versions, device, dtype, weights

Read options, repeat, progress, mistakes.
"""
