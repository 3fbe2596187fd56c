// Package relay answers Hubble's clients for a whole cluster: what weft-relay does (package program).
//
// # The world it models
//
//	agents (:4244, mutual TLS) <- peers.Pool <- relay -> clients (:4245): observer.Observer, grpc.health.v1.Health
//
// Each request asks all agents, as a client would, and merges what they say; those that follow read one stream of each agent (package
// tap), and flows go to clients that may see everything as they came (package frame). GetFlows is one order by time (package merge): exact for
// what is stored, and for what comes as far as no node is later than Window. first, last, since and until are asked of every agent,
// and of what they give the first or last are taken. Which nodes take part, which are away and which come back is told to the client
// as it happens (NodeStatusEvent); after a node was away it is asked for what it still has since.
//
// # Invariants
//
//   - A client is shown what its token may see (package tenancy), and what it asks for is looked for in that alone: filters, field masks,
//     numbers of flows and counts say nothing of the rest. Without Interceptors nothing is answered.
//   - A client that reads slowly holds up no other one. What is here for it is bounded; then it is told what it lost.
//   - A node that is away, slow or wrong costs its own flows, and that is told; the request goes on.
//   - A request that makes no sense is InvalidArgument with its field, without any agent being asked.
//
// # Example
//
//	pool := peers.New(…)
//	server := relay.NewServer(pool, relay.Options{Version: version, Gate: reviews})
//	server.Register(grpc.NewServer(server.Interceptors()...))
package relay
