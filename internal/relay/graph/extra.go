package graph

import (
	"cmp"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/anypb"

	"weftnet.io/weftnet/internal/flow"
)

// extra is what a flow says beside Hubble's fields.
type extra struct {
	beside
	ended counts // whether it is the end of a connection, and what that carried which was not told before
}

// beside is what is not of single connections.
type beside struct {
	Network             uint32
	Source, Destination flow.Place
}

func extraOf(f *flowpb.Flow) (x extra) {
	said := flow.ExtraOf(f)
	x.beside = beside{said.Network, said.Source, said.Destination}
	if c := cmp.Or(said.Close, said.Progress); c != nil {
		x.ended.sent, x.ended.received = c.News()
	}
	if said.Close != nil {
		x.ended.connections = 1
	}
	return x
}

// message is its form in a flow; nil: it says nothing.
func (x beside) message() *anypb.Any {
	return flow.Extra{Network: x.Network, Source: x.Source, Destination: x.Destination}.Extension()
}
