// Package program is weft-relay as it is started: its command line, its file, and what it listens on.
//
//	config.yaml, flags -> Config -> agents (package peers), rights of clients (package review), package relay, on :4245
//
// Invariant: without hubble-relay-anonymous no client is answered before the API server has said who it is.
//
//	program.Command(version).ExecuteContext(ctx)
package program
