"""What the commands of all systems share.

| file | has |
|---|---|
| `command_folder` | the group whose commands are what its folder holds, and strangers' |
| `options` | options that every command has; options whose values belong together |
| `device_commands` | commands for one device or account: how it is opened, its options, its errors |
| `commands` | words that become a command for any entity |
| `asking` | asking for secrets |
| `completing` | what shells offer for words that only the network knows |
| `output` | JSON |
| `tables` | tables, names and values, live views |
| `chart`, `plot` | energy by hour, day and month, in a terminal and as a picture |
| `states` | any entity's state in words |
| `following` | readings and whether the device is there, in the right order |
| `broker_login` | where a broker is and who asks, by options and variables |
| `served_gateway` | a gateway that goes by a file |
| `standard_input` | what comes there, without a thread that waits for it |
| `typed_lines` | what somebody types while everything else goes on |
| `hangups` | SIGHUP before anybody can answer it |
| `signals` | running until somebody says stop |
"""
