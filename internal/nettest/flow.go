package nettest

import (
	"context"
	"fmt"
	"strings"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/flow"
)

// Flow waits for a flow that the filter takes, past ones since a time included, and returns its line as `weft observe`
// prints it with the names of policies.
func (n *Node) Flow(ctx context.Context, f *flowpb.FlowFilter, since time.Time) (string, error) {
	conn, err := grpc.NewClient("unix://"+n.Hubble(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := observerpb.NewObserverClient(conn).GetFlows(ctx, &observerpb.GetFlowsRequest{
		Follow: true, Since: timestamppb.New(since), Whitelist: []*flowpb.FlowFilter{f},
	})
	if err != nil {
		return "", fmt.Errorf("ask node %s for flows: %w", n.Name, err)
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return "", fmt.Errorf("wait for a flow on node %s: %w", n.Name, err)
		}
		if r.GetFlow() == nil {
			continue
		}
		var text strings.Builder
		if err := flow.NewPrinter(&text, flow.PrinterOptions{Output: flow.Compact, PolicyNames: true, IPTranslation: true, TimeFormat: "-"}).Print(r); err != nil {
			return "", err
		}
		return strings.TrimPrefix(text.String(), "-: "), nil
	}
}
