// Package observerv1 is what a user interface asks the relay: a graph of what talks with what, pages of flows, and flows as they come. It
// is made of observer.proto, which says what everything means.
//
// Invariants: fields are only added; what a client may not see is in no field and no count; what is missing is told (Missing).
//
//	client := observerv1.NewObserverClient(conn)
//	graph, err := client.Aggregate(ctx, &observerv1.AggregateRequest{Window: durationpb.New(time.Minute), Level: observerv1.Level_LEVEL_WORKLOAD})
package observerv1
