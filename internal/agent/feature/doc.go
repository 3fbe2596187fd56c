// Package feature lists what a node does (All), each feature in a file of its own: its tables, derivations, what an
// attachment needs of it, and its loops. The agent runs the list and knows none of them.
//
// # The world it models
//
// A feature's loops start in one of two phases. Those of Early need no program: sources of facts, sinks that make devices and
// routes. Those of Maps write the datapath's maps, or read them, and start when the node's programs are loaded. In both
// phases a loop waits for its facts by itself, so the order of the list decides nothing but the order in which people read it
// and the order of an attachment's needs.
//
// # A new feature
//
// Write its tables (package table, a file each), its derivation (internal/derive), its sink (internal/sink), and a file
// here that names them; add it to All, and its tables to table.Tables. Nothing else has to know of it.
//
// # Example
//
//	var routes = Feature{
//		Name: "routes", Does: "leads packets of pods to their devices",
//		Fills:       func(t *table.Tables) []state.AnyTable { return []state.AnyTable{t.Routes} },
//		Derivations: func(n *Node) []state.AnyDerivation { return []state.AnyDerivation{link.Routes(n.Tables)} },
//		Early: func(n *Node) ([]Runner, error) {
//			return []Runner{keep(n, &reconcile.Loop[table.Route]{Table: n.Tables.Routes, Sink: sink})}, nil
//		},
//	}
package feature
