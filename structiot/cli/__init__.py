"""The program `structiot`: one file or folder a group of commands, loaded when it is called.

A command is a function under `@click.command` or `@click.group`; that it stands in a
module of the folder is all it takes to be in the program and its help. `maxsmart`,
`meross`, `mqtt` and `sim` are folders of the same kind, and `_common` has what all commands share.
"""
