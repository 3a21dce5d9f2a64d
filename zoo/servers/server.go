// A server of net/http; the one argument names how it treats SIGTERM.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

func answer(w http.ResponseWriter, r *http.Request) {
	_, peer, _ := net.SplitHostPort(r.RemoteAddr)
	fmt.Printf("read %s\n", peer)
	milliseconds, _ := strconv.Atoi(r.URL.Query().Get("ms"))
	if r.URL.Path == "/stream" {
		fmt.Fprintln(w, "begun")
		w.(http.Flusher).Flush()
		fmt.Printf("parted %s\n", peer)
	}
	if bytes, _ := strconv.Atoi(r.URL.Query().Get("bytes")); bytes > 0 {
		w.Write(make([]byte, bytes))
	}
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	if gate := r.URL.Query().Get("gate"); gate != "" {
		for !exists(filepath.Join(os.Getenv("GATES"), gate)) {
			time.Sleep(5 * time.Millisecond)
		}
	}
	fmt.Fprintln(w, "ok")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func main() {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: http.HandlerFunc(answer), Protocols: protocols}
	listener, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("ADDRESS"), os.Getenv("PORT")))
	if err != nil {
		panic(err)
	}
	stop := make(chan os.Signal, 1)
	finished := make(chan struct{})
	switch os.Args[1] {
	case "none":
	case "shutdown":
		signal.Notify(stop, syscall.SIGTERM)
		go func() {
			<-stop
			// Waits for what is in flight; closes what is idle; no limit of its own.
			if err := server.Shutdown(context.Background()); err != nil {
				panic(err)
			}
			close(finished)
		}()
	default:
		panic("unknown style " + os.Args[1])
	}
	fmt.Println("listening")
	serve := func() error { return server.Serve(listener) }
	if certificate := os.Getenv("CERTIFICATE"); certificate != "" {
		serve = func() error { return server.ServeTLS(listener, certificate, os.Getenv("KEY")) }
	}
	if err := serve(); err != http.ErrServerClosed {
		panic(err)
	}
	fmt.Println("closed")
	<-finished
}
