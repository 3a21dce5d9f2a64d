package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// What became of a connection: said once.
type watched struct {
	net.Conn
	port string
	end  *sync.Once
}

func (conn watched) Read(buffer []byte) (int, error) {
	count, err := conn.Conn.Read(buffer)
	if errors.Is(err, io.EOF) {
		conn.end.Do(func() { say("client %s fin", conn.port) })
	} else if err != nil {
		conn.end.Do(func() { say("client %s reset", conn.port) })
	}
	return count, err
}

func (conn watched) Close() error {
	conn.end.Do(func() { say("client %s left", conn.port) })
	return conn.Conn.Close()
}

// What became of each call, as the library saw it on the wire.
type witness struct{ port string }

type callKey struct{}

func (witness) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (witness) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (witness) HandleConn(context.Context, stats.ConnStats)                       {}

func (w witness) HandleRPC(ctx context.Context, event stats.RPCStats) {
	switch event.(type) {
	case *stats.InHeader:
		say("client %s begun %v", w.port, ctx.Value(callKey{}))
	case *stats.InTrailer:
		say("client %s answered %v", w.port, ctx.Value(callKey{}))
	}
}

// Opens the connections and makes the calls; then waits for whatever comes.
func connect(address string, connections []string) {
	for _, connection := range connections {
		port, wanted, _ := strings.Cut(connection, ":")
		client := dial(address, port)
		for number, call := range strings.Split(wanted, ",") {
			ctx := context.WithValue(context.Background(), callKey{}, number)
			say("client %s asked %d", port, number)
			calls := map[string]func(context.Context, *grpc.ClientConn, string, func()){
				"unary": unaryCall, "stream": streamCall, "cancel": streamCall,
			}
			kind, wish, _ := strings.Cut(call, "-")
			withdraw := func() {}
			if kind == "cancel" {
				var cancel func()
				ctx, cancel = context.WithCancel(ctx)
				withdraw = func() {
					say("client %s cancelled %d", port, number)
					cancel()
				}
			}
			calls[kind](ctx, client, wish, withdraw)
		}
	}
	select {}
}

func dial(address string, port string) *grpc.ClientConn {
	number, err := strconv.Atoi(port)
	check(err)
	first := make(chan struct{}, 1)
	first <- struct{}{}
	dialer := func(ctx context.Context, address string) (net.Conn, error) {
		select {
		case <-first:
		default:
			return nil, errors.New("one connection is enough")
		}
		local := net.Dialer{LocalAddr: &net.TCPAddr{Port: number}}
		conn, err := local.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		say("client %s connected", port)
		return watched{conn, port, new(sync.Once)}, nil
	}
	slow := backoff.Config{BaseDelay: time.Hour, MaxDelay: time.Hour}
	client, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(dialer),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: slow, MinConnectTimeout: time.Minute}),
		// A lost call is lost: nobody asks again behind the back of the one who counts.
		grpc.WithDisableRetry(),
		grpc.WithStatsHandler(witness{port}),
	)
	check(err)
	return client
}

func unaryCall(ctx context.Context, client *grpc.ClientConn, wish string, _ func()) {
	call := func() {
		// Whatever the answer is, the witness has seen it.
		_ = client.Invoke(ctx, "/zoo.Zoo/Unary", wrapperspb.String(wish), new(wrapperspb.StringValue))
	}
	if wish == "now" {
		call()
	} else {
		go call()
	}
}

func streamCall(ctx context.Context, client *grpc.ClientConn, wish string, withdraw func()) {
	shape := &grpc.StreamDesc{StreamName: "Stream", ServerStreams: true, ClientStreams: true}
	stream, err := client.NewStream(ctx, shape, "/zoo.Zoo/Stream")
	check(err)
	for _, message := range []string{"now", "now", wish} {
		check(stream.SendMsg(wrapperspb.String(message)))
	}
	for range 2 {
		check(stream.RecvMsg(new(wrapperspb.StringValue)))
	}
	withdraw()
	go func() {
		for stream.RecvMsg(new(wrapperspb.StringValue)) == nil {
		}
	}()
}
