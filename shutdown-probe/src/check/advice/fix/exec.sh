# The last line of the entry point:
exec {command}
