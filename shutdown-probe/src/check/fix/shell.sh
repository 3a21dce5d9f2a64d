# The last line of the entry point: the server takes the shell's place, and gets its signals.
exec node server.js
