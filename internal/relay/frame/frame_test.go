package frame

import (
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"google.golang.org/protobuf/types/known/timestamppb"
	"weftnet.io/weftnet/internal/tenancy/tenancytest"
)

func TestAFrameKnowsOfItselfWhatItsMessageSays(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		for _, i := range tenancytest.Draw(r) {
			m := &observerpb.GetFlowsResponse{Time: timestamppb.New(i.At), NodeName: "default/" + i.Node}
			if i.Lost != nil {
				m.ResponseTypes = &observerpb.GetFlowsResponse_LostEvents{LostEvents: i.Lost}
			} else {
				m.ResponseTypes = &observerpb.GetFlowsResponse_Flow{Flow: i.Flow}
			}
			bytes, err := proto.Marshal(m)
			if err != nil {
				r.Fatal(err)
			}
			came := &Frame{}
			if err := (Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(bytes)}, came); err != nil {
				r.Fatal(err)
			}
			for _, f := range []*Frame{came, New(m)} {
				said, err := f.Message()
				if err != nil || !proto.Equal(said, m) {
					r.Fatalf("have %v, %v, want %v", said, err, m)
				}
				if !f.Time().Equal(i.At) || f.Node() != m.GetNodeName() || f.UUID() != i.Flow.GetUuid() || (f.Kind() == Lost) != (i.Lost != nil) || (f.Kind() == Flow) != (i.Flow != nil) {
					r.Fatalf("%v: kind %d at %v of %q with UUID %q", m, f.Kind(), f.Time(), f.Node(), f.UUID())
				}
				sent, err := (Codec{}).Marshal(f)
				if err != nil || f == came && string(sent.Materialize()) != string(bytes) {
					r.Fatalf("%x, %v are sent of %x", sent.Materialize(), err, bytes)
				}
			}
		}
	})
}

func FuzzAFrameIsRefusedOrItsMessageDecidesWhatItSays(f *testing.F) {
	whole, err := proto.Marshal(&observerpb.GetFlowsResponse{
		Time: timestamppb.New(timestamppb.Now().AsTime()), NodeName: "n", ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: &flowpb.Flow{Uuid: "u"}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte{})
	f.Add([]byte{0x0a, 0x02, 0x00})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := &observerpb.GetFlowsResponse{}
		valid := proto.Unmarshal(raw, m) == nil
		one := &Frame{}
		if err := (Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(raw)}, one); err != nil {
			if valid {
				t.Fatalf("%x is refused: %v", raw, err)
			}
			return
		}
		said, err := one.Message()
		if (err == nil) != valid {
			t.Fatalf("%x: have %v", raw, err)
		}
		_, _, _ = one.UUID(), one.Node(), one.Time()
		if valid && !proto.Equal(said, m) {
			t.Fatalf("have %v, want %v", said, m)
		}
	})
}
