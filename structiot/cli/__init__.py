"""The program `structiot`: one file a group of commands, loaded when it is called."""
