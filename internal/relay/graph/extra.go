package graph

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"weftnet.io/weftnet/internal/flow"
)

// extra is what a flow says beside Hubble's fields: a Struct (docs/compatibility.md, section Hubble).
type extra struct {
	beside
	ended counts // if it is the end of a connection, that and what it carried
}

// beside is what is not of single connections.
type beside struct {
	Network             uint32
	Source, Destination place
}

// place is what is known of an end beside its endpoint.
type place struct{ NIC, Attachment, VM string }

func extraOf(f *flowpb.Flow) (x extra) {
	if f.GetExtensions() == nil {
		return x
	}
	var said structpb.Struct
	if f.GetExtensions().UnmarshalTo(&said) != nil {
		return x // none of ours
	}
	fields := said.GetFields()
	of := func(end string) place {
		v := fields[end].GetStructValue().GetFields()
		return place{v["nic"].GetStringValue(), v["attachment"].GetStringValue(), v["vm"].GetStringValue()}
	}
	x.beside = beside{uint32(fields["network"].GetNumberValue()), of("source"), of("destination")}
	c := fields["close"].GetStructValue().GetFields()
	if c == nil {
		return x
	}
	carried := func(name string) flow.Carried {
		v := c[name].GetStructValue().GetFields()
		return flow.Carried{Packets: uint64(v["packets"].GetNumberValue()), Bytes: uint64(v["bytes"].GetNumberValue())}
	}
	x.ended = counts{connections: 1, sent: carried("sent"), received: carried("received")}
	return x
}

// message is its form in a flow; nil: it says nothing.
func (x beside) message() *anypb.Any {
	if x == (beside{}) {
		return nil
	}
	fields := map[string]any{"schema": schema, "network": float64(x.Network)}
	for name, p := range map[string]place{"source": x.Source, "destination": x.Destination} {
		fields[name] = map[string]any{"nic": p.NIC, "attachment": p.Attachment, "vm": p.VM}
	}
	s, err := structpb.NewStruct(fields)
	if err != nil {
		return nil // of what is no value, which these are
	}
	out, err := anypb.New(s)
	if err != nil {
		return nil // of a message that cannot be serialised, which this can
	}
	return out
}

const schema = "weftnet.flow.v1"
