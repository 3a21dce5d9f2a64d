package main

import (
	"context"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// What a call asks for: "now", "wait", "fail", or "gate=NAME".
func work(ctx context.Context, wish string) error {
	if wish == "fail" {
		return status.Error(codes.NotFound, "as asked")
	}
	gate, gated := strings.CutPrefix(wish, "gate=")
	for wish == "wait" || gated && !exists(filepath.Join(os.Getenv("GATES"), gate)) {
		select {
		case <-ctx.Done():
			say("withdrawn %s", port(ctx))
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func port(ctx context.Context) string {
	client, _ := peer.FromContext(ctx)
	_, port, err := net.SplitHostPort(client.Addr.String())
	check(err)
	return port
}

func unary(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	wish := new(wrapperspb.StringValue)
	if err := decode(wish); err != nil {
		return nil, err
	}
	say("read %s", port(ctx))
	if err := work(ctx, wish.Value); err != nil {
		return nil, err
	}
	return wish, nil
}

// Answers every message; the stream ends with the first that asks for more than "now".
func stream(_ any, stream grpc.ServerStream) error {
	say("read %s", port(stream.Context()))
	for {
		wish := new(wrapperspb.StringValue)
		if err := stream.RecvMsg(wish); err != nil {
			return nil
		}
		if wish.Value != "fail" {
			if err := stream.SendMsg(wish); err != nil {
				return err
			}
		}
		if wish.Value != "now" {
			return work(stream.Context(), wish.Value)
		}
	}
}

var service = grpc.ServiceDesc{
	ServiceName: "zoo.Zoo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}},
	Streams:     []grpc.StreamDesc{{StreamName: "Stream", Handler: stream, ServerStreams: true, ClientStreams: true}},
}

func serve(style string) {
	listener, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("ADDRESS"), os.Getenv("PORT")))
	check(err)
	server := grpc.NewServer()
	server.RegisterService(&service, nil)
	ended := make(chan struct{})
	end := map[string]func(){
		"none": nil,
		// Every connection is closed at once, without a word.
		"stop": func() {
			server.Stop()
			time.Sleep(200 * time.Millisecond)
		},
		// GOAWAY; whatever runs may finish.
		"graceful": server.GracefulStop,
	}
	action, known := end[style]
	if !known {
		panic("unknown style " + style)
	}
	if action != nil {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		go func() {
			<-stop
			action()
			close(ended)
		}()
	}
	say("listening")
	check(server.Serve(listener))
	<-ended
}
