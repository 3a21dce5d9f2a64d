// A gRPC server and its clients. The server's argument names how it treats SIGTERM; each argument of
// the clients is one connection: PORT:CALL,CALL,...
package main

import (
	"fmt"
	"os"
)

func main() {
	switch os.Args[1] {
	case "server":
		serve(os.Args[2])
	case "client":
		connect(os.Args[2], os.Args[3:])
	default:
		panic("neither server nor client: " + os.Args[1])
	}
}

// One line, in one write.
func say(format string, values ...any) {
	os.Stdout.WriteString(fmt.Sprintf(format, values...) + "\n")
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
