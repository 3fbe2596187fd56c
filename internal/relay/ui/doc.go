// Package ui answers weftnet.observer.v1 (api/observer/v1) for a whole cluster: what a user interface asks, which Hubble's API has
// not: a graph of what talks with what, pages of flows, and flows from a place that survives a restart.
//
// # The world it models
//
//	Aggregate  agents -> watch -> graph.Store -> Sum -> edges      filters that are about kinds of flows
//	           observer.Observer/GetFlows -> Graph -> edges        filters that are about single flows
//	ListFlows  observer.Observer/GetFlows -> a page and a cursor
//	Subscribe  observer.Observer/GetFlows -> batches, each with a cursor behind it
//
// GetFlows is the relay's own, called here as a client calls it: what a client sees of flows, what its filters mean and which errors they
// have are said there, and here once more of what the store has. The store is filled while it is asked for: the first Aggregate begins to
// follow all agents, from as far back as they keep flows, and when none has come for Idle it ends and all is forgotten.
//
// A cursor is a time and the flows of exactly that time which were given. It says nothing that its client was not shown, so it needs
// no secret, and any relay of the cluster understands it.
//
// # Invariants
//
//   - No count and no text depends on what a client may not see, but for one: that something is missing.
//   - What should be in an answer and is not is told (Missing): nodes that are away, flows that were overwritten before they were read.
//   - A client that reads slowly holds up itself alone; at most Busy clients at a time have a graph made, others wait for their turn. Of those
//     who wait a quarter are one client (package crowd).
//
// # Example
//
//	ui.New(ui.Options{Peers: pool, Flows: relay, Reader: readerOf}).Register(grpcServer)
package ui
