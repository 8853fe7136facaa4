"""Bags of ROS: MCAP, SQLite (.db3) and ROS 1, whole or cut short, one file or many, packed or not.

`paths` finds them, `reader` gives their messages, `types` decodes these, `pictures` makes pictures of some,
`clock` puts all on one time line and `attempts` cuts a bag into attempts at a task.
"""
