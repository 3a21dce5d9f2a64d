# WEBrick, before server.start: a signal handler may not lock, so the work is a thread's.
trap('TERM') { Thread.new { server.shutdown } }
