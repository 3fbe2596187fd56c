package flow_test

import (
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"weftnet.io/weftnet/internal/flow"
)

// What a flow says beside Hubble's fields is a Struct that any client reads, and the same comes back.
func TestAnExtensionIsAStructThatClientsRead(t *testing.T) {
	end := &flow.Close{
		Ending: "fin", Duration: 1500 * time.Millisecond, Sent: flow.Carried{Packets: 5, Bytes: 1 << 40}, ToldReceived: flow.Carried{Packets: 1, Bytes: 60},
	}
	for _, c := range []struct {
		extra flow.Extra
		json  string
	}{
		{flow.Extra{}, ""},
		{flow.Extra{Network: 7}, `{"network": 7, "schema": "weftnet.flow.v1"}`},
		{
			flow.Extra{Source: flow.Place{NIC: "net1", Attachment: "default/blue"}, Destination: flow.Place{VM: "shop/db"}},
			`{"source": {"nic": "net1", "attachment": "default/blue"}, "destination": {"vm": "shop/db"}, "schema": "weftnet.flow.v1"}`,
		},
		{
			flow.Extra{Close: end},
			`{"close": {"seconds": 1.5, "ending": "fin", "sent": {"packets": 5, "bytes": 1099511627776}, "received": {"packets": 0, "bytes": 0},
			  "told": {"sent": {"packets": 0, "bytes": 0}, "received": {"packets": 1, "bytes": 60}}}, "schema": "weftnet.flow.v1"}`,
		},
		{
			flow.Extra{Progress: &flow.Close{}},
			`{"progress": {"seconds": 0, "sent": {"packets": 0, "bytes": 0}, "received": {"packets": 0, "bytes": 0}}, "schema": "weftnet.flow.v1"}`,
		},
	} {
		out := c.extra.Extension()
		if c.json == "" {
			if out != nil {
				t.Errorf("nothing to say: %v", out)
			}
			continue
		}
		got, want := &structpb.Struct{}, &structpb.Struct{}
		if err := out.UnmarshalTo(got); err != nil {
			t.Errorf("%s: %v", c.json, err)
			continue
		}
		if err := protojson.Unmarshal([]byte(c.json), want); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		back := flow.ExtraOf(&flowpb.Flow{Extensions: out})
		if again := back.Extension(); !proto.Equal(again, out) {
			t.Errorf("read and said again: %v, was %v", again, out)
		}
	}
}
