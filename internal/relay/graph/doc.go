// Package graph sums flows of a cluster as edges between vertices: what talks with what, how much, and with which verdicts.
//
// # The world it models
//
//	flows of all agents -> Store: classes x steps of time -> Sum: those of a window, as one reader sees them -> Graph of a level
//
// A class is flows that differ in nothing but what single connections are: time, addresses, ports, and what they carried. So a thousand
// connections of one pod to another are a few classes with counts, and what a reader may see of a flow, and most filters, are asked once of a
// class. A step is 15 s of the flows' own time. A graph of a window is the sum of its steps, however many flows there were.
//
// Two agents see one connection between their nodes, and both tell of its end. What it carried counts once: ends are summed by where
// they were seen, and of these sums the largest counts.
//
// # Invariants
//
//   - A graph is what one gets by showing, filtering and adding up each flow by itself (graph_test.go has that as its oracle), as far as Keeps
//     says that a filter may be asked of classes.
//   - What is kept is bounded: classes, and cells of classes and steps. Where there are more the oldest steps go, and Since says so; what
//     one step has too many of is counted (LeftOut).
//   - Ids of vertices depend on nothing but what a vertex is.
//   - It reads no clock, and starts nothing: the caller says what time it is.
//
// # Example
//
//	s := graph.New(graph.Limits{})
//	s.Add(flow, now)
//	g, err := s.Sum(graph.Query{Since: now.Add(-time.Minute), Level: observerv1.Level_LEVEL_WORKLOAD})
package graph
