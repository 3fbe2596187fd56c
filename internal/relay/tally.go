package relay

import (
	"context"
	"errors"
	"io"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// count is the status of an agent as a client sees it who may not see everything: the flows that it may see, and how many came of late.
func (v *view) count(ctx context.Context, c observerpb.ObserverClient, of *observerpb.ServerStatusResponse) (*observerpb.ServerStatusResponse, error) {
	out := &observerpb.ServerStatusResponse{MaxFlows: of.GetMaxFlows(), UptimeNs: of.GetUptimeNs()}
	recent := 0
	err := v.stored(ctx, c, &observerpb.GetFlowsRequest{}, func(f *flowpb.Flow) (more bool) {
		out.NumFlows++
		if time.Since(f.GetTime().AsTime()) < time.Minute {
			recent++
		}
		return true
	})
	out.SeenFlows = out.GetNumFlows() // how many there were before these is not known
	out.FlowsRate = float64(recent) / time.Minute.Seconds()
	return out, err
}

// lives tells whether an agent has a flow of a pod of its own node that the client may see.
func (v *view) lives(ctx context.Context, c observerpb.ObserverClient) (here bool, err error) {
	r, err := c.GetNamespaces(ctx, &observerpb.GetNamespacesRequest{})
	if err != nil {
		return false, err
	}
	var pods []string
	for _, n := range r.GetNamespaces() {
		may, err := v.reader.May(ctx, n.GetNamespace())
		if err != nil {
			return false, err
		}
		if may {
			pods = append(pods, n.GetNamespace()+"/")
		}
	}
	if len(pods) == 0 {
		return false, nil
	}
	request := &observerpb.GetFlowsRequest{
		Whitelist: []*flowpb.FlowFilter{{SourcePod: pods}, {DestinationPod: pods}},
		FieldMask: &fieldmaskpb.FieldMask{Paths: []string{"source", "destination"}},
	}
	err = v.stored(ctx, c, request, func(f *flowpb.Flow) (more bool) {
		for _, end := range []*flowpb.Endpoint{f.GetSource(), f.GetDestination()} {
			here = here || end.GetID() != 0 // a foreign end has none
		}
		return !here
	})
	return here, err
}

// stored calls each with what may be seen of the flows that an agent has, until it wants no more.
func (v *view) stored(ctx context.Context, c observerpb.ObserverClient, r *observerpb.GetFlowsRequest, each func(*flowpb.Flow) (more bool)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.GetFlows(ctx, r)
	if err != nil {
		return err
	}
	for {
		one, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		f, err := v.flow(ctx, one.GetFlow())
		if err != nil {
			return err
		}
		if f != nil && !each(f) {
			return nil
		}
	}
}
