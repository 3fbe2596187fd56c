package flow

import (
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// Schema names what a flow's extension says, and in which form: docs/compatibility.md, section Hubble. Fields are only added.
const Schema = "weftnet.flow.v1"

// Extra is what a flow says that Hubble's message has no field for.
type Extra struct {
	Network             uint32 // id of the network that it was seen in; 0: the pod network
	Overlay             string // name of the OverlayNetwork of that number; empty: it is none
	Source, Destination Place
	Close               *Close // of the end of a connection; else nil
	Progress            *Close // the same of one that goes on
}

// Place is what is known of an end of a flow beside its endpoint. Empty: nothing.
type Place struct {
	NIC        string // name inside the pod, of a NIC that is not the first
	Attachment string // namespace/name of the NetworkAttachmentDefinition that it is of
	VM         string // namespace/name of the virtual machine that runs in the pod
}

// Extension is its form in Hubble's flow.extensions; nil if there is nothing to say. It is of a type that each client knows, since a
// client that does not know the type of an extension cannot print the flow as JSON, and CEL expressions reach into it on relays that know
// nothing of it (docs/design/0018-what-hubble-has-no-field-for.md).
func (e Extra) Extension() *anypb.Any {
	var fields object
	if e.Network != 0 {
		fields = fields.number("network", float64(e.Network))
	}
	if e.Overlay != "" {
		fields = fields.text("overlay", e.Overlay)
	}
	fields = fields.optional("source", e.Source.object())
	fields = fields.optional("destination", e.Destination.object())
	if e.Close != nil {
		fields = fields.object("close", e.Close.object())
	}
	if e.Progress != nil {
		fields = fields.object("progress", e.Progress.object())
	}
	if len(fields) == 0 {
		return nil
	}
	return &anypb.Any{TypeUrl: structType, Value: fields.text("schema", Schema)}
}

func (p Place) object() (o object) {
	for _, f := range [...][2]string{{"nic", p.NIC}, {"attachment", p.Attachment}, {"vm", p.VM}} {
		if f[1] != "" {
			o = o.text(f[0], f[1])
		}
	}
	return o
}

func (c Close) object() object {
	o := make(object, 0, 256) // all that it has
	o = o.number("seconds", c.Duration.Seconds()).object("sent", c.Sent.object()).object("received", c.Received.object())
	if c.Ending != "" {
		o = o.text("ending", c.Ending)
	}
	if c.ToldSent != (Carried{}) || c.ToldReceived != (Carried{}) {
		o = o.object("told", object{}.object("sent", c.ToldSent.object()).object("received", c.ToldReceived.object()))
	}
	return o
}

func (c Carried) object() object {
	return make(object, 0, 64).number("packets", float64(c.Packets)).number("bytes", float64(c.Bytes))
}

// ExtraOf reads what a flow says beside Hubble's fields. What is of another schema says nothing.
func ExtraOf(f *flowpb.Flow) (e Extra) {
	s := &structpb.Struct{}
	if f.GetExtensions() == nil || f.GetExtensions().UnmarshalTo(s) != nil || s.GetFields()["schema"].GetStringValue() != Schema {
		return e
	}
	place := func(name string) Place {
		of := s.GetFields()[name].GetStructValue().GetFields()
		return Place{NIC: of["nic"].GetStringValue(), Attachment: of["attachment"].GetStringValue(), VM: of["vm"].GetStringValue()}
	}
	e = Extra{Network: uint32(s.GetFields()["network"].GetNumberValue()), Source: place("source"), Destination: place("destination")}
	e.Overlay = s.GetFields()["overlay"].GetStringValue()
	e.Close, e.Progress = closeOf(s.GetFields()["close"]), closeOf(s.GetFields()["progress"])
	return e
}

func closeOf(v *structpb.Value) *Close {
	c := v.GetStructValue().GetFields()
	if c == nil {
		return nil
	}
	carried := func(of map[string]*structpb.Value, name string) Carried {
		one := of[name].GetStructValue().GetFields()
		return Carried{Packets: uint64(one["packets"].GetNumberValue()), Bytes: uint64(one["bytes"].GetNumberValue())}
	}
	told := c["told"].GetStructValue().GetFields()
	return &Close{
		Ending: c["ending"].GetStringValue(), Duration: time.Duration(c["seconds"].GetNumberValue() * float64(time.Second)),
		Sent: carried(c, "sent"), Received: carried(c, "received"), ToldSent: carried(told, "sent"), ToldReceived: carried(told, "received"),
	}
}
