package frame

import (
	"context"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Codec is gRPC's own one, which takes and gives frames as well.
type Codec struct{}

// Name implements encoding.CodecV2: to the other end it is the usual one.
func (Codec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	f, is := v.(*Frame)
	switch {
	case !is:
		return encoding.GetCodecV2(proto.Name).Marshal(v)
	case f.raw == nil:
		return encoding.GetCodecV2(proto.Name).Marshal(f.message)
	}
	return mem.BufferSlice{mem.SliceBuffer(f.raw)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, is := v.(*Frame)
	if !is {
		return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
	}
	f.raw = make([]byte, data.Len()) // data is used again
	data.CopyTo(f.raw)
	return f.read()
}

// Stream is the answer of an agent to a request for flows.
type Stream struct{ stream grpc.ClientStream }

// Ask asks an agent.
func Ask(ctx context.Context, conn grpc.ClientConnInterface, r *observerpb.GetFlowsRequest) (Stream, error) {
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{StreamName: "GetFlows", ServerStreams: true}, observerpb.Observer_GetFlows_FullMethodName, grpc.ForceCodecV2(Codec{}))
	if err != nil {
		return Stream{}, err
	}
	if err := s.SendMsg(r); err != nil {
		return Stream{}, err
	}
	return Stream{s}, s.CloseSend()
}

// Next waits for what comes next; io.EOF: that was all.
func (s Stream) Next() (*Frame, error) {
	f := &Frame{}
	if err := s.stream.RecvMsg(f); err != nil {
		return nil, err
	}
	return f, nil
}
