// Package frame keeps what agents answer to GetFlows as it came, so that a relay reads of most flows no more than their time.
//
// # The world it models
//
//	agent -- bytes --> Frame --> bytes, as they were, to a client that may see everything
//	                         --> Message, decoded once for all that look into it
//
// A flow is some hundred bytes in forty fields. To decode and encode it costs ten times what it costs to pass it on.
//
// # Invariants
//
//   - A frame never changes, and its message must not be changed: others read it at the same time.
//   - What cannot be decoded is an error of Message. Only what a frame is, and its time, are known to be well formed.
//
// # Example
//
//	stream, err := frame.Ask(ctx, conn, request)
//	f, err := stream.Next()
//	client.SendMsg(f) // on a server with grpc.ForceServerCodecV2(frame.Codec{})
package frame

import (
	"errors"
	"fmt"
	"sync"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Kind is what a frame is.
type Kind uint8

// Kinds of frames.
const (
	Other Kind = iota
	Flow
	Lost // news of a loss
)

// Frame is an answer.
type Frame struct {
	raw  []byte // nil: it was made here, of message
	at   int64  // ns since 1970
	kind Kind
	flow []byte // in raw

	decode  sync.Once
	message *observerpb.GetFlowsResponse
	err     error
}

// New makes one of a message, which must not change any more.
func New(m *observerpb.GetFlowsResponse) *Frame {
	f := &Frame{message: m, at: m.GetTime().AsTime().UnixNano()}
	switch {
	case m.GetFlow() != nil:
		f.kind = Flow
	case m.GetLostEvents() != nil:
		f.kind = Lost
	}
	return f
}

// Kind is what it is.
func (f *Frame) Kind() Kind { return f.kind }

// Time is when that was.
func (f *Frame) Time() time.Time { return time.Unix(0, f.at).UTC() }

// Size is of how many bytes it is, about.
func (f *Frame) Size() int { return len(f.raw) + overhead }

// overhead is what it takes beside its bytes.
const overhead = 128

// Message is what it says.
func (f *Frame) Message() (*observerpb.GetFlowsResponse, error) {
	f.decode.Do(func() {
		if f.raw == nil {
			return
		}
		m := &observerpb.GetFlowsResponse{}
		if err := proto.Unmarshal(f.raw, m); err != nil {
			f.err = fmt.Errorf("an answer cannot be read: %w", err)
			return
		}
		f.message = m
	})
	return f.message, f.err
}

// Fields of messages, by which they are read without being decoded.
const (
	responseFlow protowire.Number = 1
	responseLost protowire.Number = 3
	responseNode protowire.Number = 1000
	responseTime protowire.Number = 1001
	timeSeconds  protowire.Number = 1
	timeNanos    protowire.Number = 2
	flowUUID     protowire.Number = 34
)

// UUID is that of its flow; empty: it has none, or is none.
func (f *Frame) UUID() string {
	if f.raw == nil {
		return f.message.GetFlow().GetUuid()
	}
	uuid, _ := find(f.flow, flowUUID)
	return string(uuid)
}

// Node is what the agent calls its node.
func (f *Frame) Node() string {
	if f.raw == nil {
		return f.message.GetNodeName()
	}
	node, _ := find(f.raw, responseNode)
	return string(node)
}

// find gives the last value of a field of bytes.
func find(message []byte, want protowire.Number) (value []byte, found bool) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, false
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return nil, false
		}
		if number == want && kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(message)
			found = true
		}
		message = message[n:]
	}
	return value, found
}

var errMalformed = errors.New("an answer is no message of observer.GetFlowsResponse")

// read finds what a frame must know of itself.
func (f *Frame) read() error {
	for rest := f.raw; len(rest) > 0; {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return errMalformed
		}
		rest = rest[n:]
		if n = protowire.ConsumeFieldValue(number, kind, rest); n < 0 {
			return errMalformed
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(rest)
			switch number {
			case responseFlow:
				f.kind, f.flow = Flow, value
			case responseLost:
				f.kind, f.flow = Lost, nil
			case responseTime:
				f.at = timeOf(value)
			}
		}
		rest = rest[n:]
	}
	return nil
}

// timeOf reads a Timestamp; what is malformed is found when it is decoded.
func timeOf(message []byte) int64 {
	var seconds, nanos int64
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			break
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			break
		}
		if kind == protowire.VarintType {
			value, _ := protowire.ConsumeVarint(message)
			switch number {
			case timeSeconds:
				seconds = int64(value)
			case timeNanos:
				nanos = int64(int32(value))
			}
		}
		message = message[n:]
	}
	return time.Unix(seconds, nanos).UnixNano()
}
