package relay

import (
	"context"
	"strings"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/tenancy"
)

// view is what a client sees of the answers of agents. It comes before whatever the client asks for: filters, field masks, and how many
// flows are meant are applied to what the client may see, or they would tell of what it may not.
type view struct {
	reader tenancy.Reader
	all    bool            // it had the right to see everything when it asked
	nodes  map[string]bool // of which it was sent a flow: it may know their names
}

func viewOf(ctx context.Context) (*view, error) {
	r, err := readerOf(ctx)
	if err != nil {
		return nil, err
	}
	all, err := r.All(ctx)
	if err != nil {
		return nil, err
	}
	return &view{reader: r, all: all, nodes: map[string]bool{}}, nil
}

// refused is an error of the view: the request ends with it.
type refused struct{ error }

// holds tells whether the reader may still see what it was let in for, before anything more is shown. An error says why not.
func (v *view) holds(ctx context.Context) error {
	all, err := v.reader.All(ctx)
	switch {
	case err != nil:
		return refused{err}
	case v.all && !all:
		return refused{status.Error(codes.PermissionDenied, "your right to see all flows has ended: ask again for those that you may see")}
	}
	return nil
}

// show gives what one that may not see everything sees of what an agent answered; nil: nothing.
func (v *view) show(ctx context.Context, r *observerpb.GetFlowsResponse) (*observerpb.GetFlowsResponse, error) {
	out := &observerpb.GetFlowsResponse{Time: r.GetTime(), NodeName: r.GetNodeName()}
	if lost := r.GetLostEvents(); lost != nil {
		// That something was lost must be known. How much is what all tenants of the node did.
		out.ResponseTypes = &observerpb.GetFlowsResponse_LostEvents{LostEvents: &flowpb.LostEvent{Source: lost.GetSource(), NumEventsLost: 1}}
		return out, nil
	}
	f, err := v.flow(ctx, r.GetFlow())
	if f == nil || err != nil {
		return nil, err
	}
	if f.GetNodeName() == "" {
		out.NodeName = ""
	}
	out.ResponseTypes = &observerpb.GetFlowsResponse_Flow{Flow: f}
	return out, nil
}

// sends is before something goes to the client: the names of nodes that it sees there are known to it, others are taken out.
func (v *view) sends(r *observerpb.GetFlowsResponse) {
	switch node := strings.TrimPrefix(r.GetNodeName(), usualCluster+"/"); { // as relays call it
	case node == "":
	case r.GetFlow() != nil:
		v.nodes[node] = true
	case !v.knows(node):
		r.NodeName = ""
	}
}

// flow gives what may be seen of a flow; nil: nothing.
func (v *view) flow(ctx context.Context, f *flowpb.Flow) (*flowpb.Flow, error) {
	if f == nil {
		return nil, nil
	}
	shown, err := tenancy.ShowTo(ctx, f, v.reader.May)
	if err != nil {
		return nil, refused{err}
	}
	return shown, nil
}

func (v *view) knows(node string) bool { return v.all || v.nodes[node] }

// other stands for the nodes whose names a client does not know.
const other = "another node"

// names are those that may be told. A client hears of other nodes, too, since their flows are missing, but not which they are.
func (v *view) names(nodes []string) (out []string) {
	unknown := false
	for _, n := range nodes {
		if v.knows(n) {
			out = append(out, n)
		} else {
			unknown = true
		}
	}
	if unknown {
		out = append(out, other)
	}
	return out
}

// asks is the request for agents: the client's if it may see everything, else all that they have of the time.
func (v *view) asks(ctx context.Context, r *observerpb.GetFlowsRequest, q query.Query) (*observerpb.GetFlowsRequest, error) {
	if v.all {
		return r, nil
	}
	list, err := v.ends(ctx, r.GetWhitelist())
	if err != nil {
		return nil, err
	}
	out := &observerpb.GetFlowsRequest{Since: r.GetSince(), Until: r.GetUntil(), Follow: r.GetFollow(), Whitelist: list}
	if out.GetFollow() && out.GetSince() == nil && q.Number > 0 {
		out.Since = timestamppb.New(time.Unix(0, 0)) // without a time an agent gives nothing of the past
	}
	return out, nil
}

// ends is as much of a client's filters as agents may apply before it is known what the client may see: namespaces of ends, since these
// are shown of each flow of which anything is. Of another tenant's, agents are asked for everything: how many flows they go through, and for
// how long, would tell how many it has. Nil: nothing.
func (v *view) ends(ctx context.Context, filters []*flowpb.FlowFilter) (out []*flowpb.FlowFilter, err error) {
	for _, f := range filters {
		one := &flowpb.FlowFilter{}
		if one.SourcePod, err = v.own(ctx, namespacesOf(f.GetSourcePod())); err != nil {
			return nil, err
		}
		if one.DestinationPod, err = v.own(ctx, namespacesOf(f.GetDestinationPod())); err != nil {
			return nil, err
		}
		if one.SourcePod == nil && one.DestinationPod == nil {
			return nil, nil // this one may be for any flow
		}
		out = append(out, one)
	}
	return out, nil
}

// own gives namespaces as they are, if the client may see them all; else nil. About many it is not asked, which would take longer than it saves.
func (v *view) own(ctx context.Context, pods []string) ([]string, error) {
	if len(pods) > 20 {
		return nil, nil
	}
	for _, pod := range pods {
		if may, err := v.reader.May(ctx, strings.TrimSuffix(pod, "/")); err != nil || !may {
			return nil, err
		}
	}
	return pods, nil
}

// namespacesOf makes [NAMESPACE/]PREFIX of pods NAMESPACE/, which is all of its pods; nil if a value is for any namespace.
func namespacesOf(pods []string) (out []string) {
	for _, pod := range pods {
		namespace, _, found := strings.Cut(pod, "/")
		switch {
		case !found:
			namespace = usualNamespace
		case namespace == "":
			return nil
		}
		out = append(out, namespace+"/")
	}
	return out
}

const (
	usualNamespace = "default" // of a pod in a filter which says none
	usualCluster   = "default" // that nodes are named without
)
