// Command client is a client of Hubble's API that prints all that it is told: each field that its version of the API has, the numbers of those
// that it does not have, and at last the bytes that it would pass on.
//
//	client unix:///run/hubble.sock observer.Observer/GetFlows '{"number": "20"}'
//	client unix:///run/hubble.sock peer.Peer/Notify '{}' 3     ends after three messages
//
// It is a module of its own, because the API's messages have the same names in every version, and a program can have one version of a name:
// go.mod has the oldest clients that Weftnet answers, latest.mod what Weftnet itself is built with. All else is the same in both.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	_ "github.com/cilium/cilium/api/v1/observer" // with flow and relay
	_ "github.com/cilium/cilium/api/v1/peer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: client ADDRESS SERVICE/METHOD REQUEST [MESSAGES]")
		os.Exit(2)
	}
	most := 0
	if len(os.Args) > 4 {
		most, _ = strconv.Atoi(os.Args[4])
	}
	if err := run(context.Background(), os.Stdout, os.Args[1], os.Args[2], os.Args[3], most); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

// run asks, and prints what comes: at most so many messages, or all if most is 0.
func run(ctx context.Context, to io.Writer, address, method, text string, most int) error {
	out := bufio.NewWriter(to)
	defer out.Flush()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(method, "/", ".")))
	if err != nil {
		return fmt.Errorf("method %s: %w", method, err)
	}
	m, is := d.(protoreflect.MethodDescriptor)
	if !is {
		return fmt.Errorf("%s is no method", method)
	}
	request, err := message(m.Input())
	if err == nil {
		err = protojson.Unmarshal([]byte(text), request)
	}
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+method)
	if err == nil {
		err = stream.SendMsg(request)
	}
	if err == nil {
		err = stream.CloseSend()
	}
	for n := 0; err == nil; n++ {
		if most > 0 && n == most {
			return nil
		}
		answer, none := message(m.Output())
		if none != nil {
			return none
		}
		if err = stream.RecvMsg(answer); err == nil {
			fmt.Fprintf(out, "%s\n", m.Output().FullName())
			show(out, "", answer.ProtoReflect())
			var raw []byte
			raw, err = proto.Marshal(answer)
			fmt.Fprintf(out, "= %x\n", raw)
		}
		if err == nil {
			err = out.Flush()
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// message is an empty one of those that the API was generated to.
func message(d protoreflect.MessageDescriptor) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil, err
	}
	return t.New().Interface(), nil
}
