package graph

import (
	"cmp"
	"slices"
	"strings"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/timestamppb"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/flow"
)

// Show gives what a reader sees of a flow, and wants of it; nil: nothing. An error ends the sum.
type Show func(*flowpb.Flow) (*flowpb.Flow, error)

// Sum adds up what the store has from a time on, from the beginning of its step. leftOut counts flows of which the store had too many kinds.
func (s *Store) Sum(since time.Time, level observerv1.Level, show Show) (g *Graph, leftOut uint64, err error) {
	g = NewGraph(level)
	list, leftOut := s.since(stepOf(since))
	for _, c := range list { // show may take its time: flows are added meanwhile
		if err := g.show(c.flow, c.extra, c.counts, show); err != nil {
			return nil, 0, err
		}
	}
	return g, leftOut, nil
}

// summed is a class and what there was of it.
type summed struct {
	*class
	counts
}

func (s *Store) since(step int64) (list []summed, leftOut uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list = make([]summed, 0, len(s.classes))
	for _, c := range s.classes {
		var n counts
		for i := len(c.cells) - 1; i >= 0 && c.cells[i].step >= step; i-- {
			n.add(c.cells[i].counts)
		}
		if n.flows > 0 {
			list = append(list, summed{c, n})
		}
	}
	for at, n := range s.left {
		if at >= step {
			leftOut += n
		}
	}
	return list, leftOut
}

// Graph is a sum.
type Graph struct {
	level    observerv1.Level
	vertices []vertex
	numbers  map[vertex]int32 // in vertices
	ends     map[end]places
	pairs    map[pair]*edge // of pods, where the level is higher: one connection counts once among these
}

// end is one of flows. Of a store those that are alike are one message.
type end struct {
	endpoint *flowpb.Endpoint
	vm       string
	network  uint32
}

// places are the numbers of an end's vertices: as exactly as it is known, and at the graph's level.
type places struct{ exact, level int32 }

// pair is two ends of flows.
type pair struct{ source, destination places }

// seat is where a flow was seen: at its source's own node, at its destination's, elsewhere, or the reader does not see where.
type seat int

const seats = 3

// edge is what flowed.
type edge struct {
	verdicts tally[flowpb.Verdict]
	drops    tally[flowpb.DropReason]
	seen     [seats]counts
}

// tally counts few kinds of something.
type tally[K cmp.Ordered] []counted[K]

type counted[K cmp.Ordered] struct {
	of K
	n  uint64
}

func (t *tally[K]) add(of K, n uint64) {
	at, found := slices.BinarySearchFunc(*t, of, func(c counted[K], of K) int { return cmp.Compare(c.of, of) })
	if !found {
		*t = slices.Insert(*t, at, counted[K]{of: of})
	}
	(*t)[at].n += n
}

// NewGraph makes a graph without edges.
func NewGraph(level observerv1.Level) *Graph {
	if level == observerv1.Level_LEVEL_UNSPECIFIED {
		level = observerv1.Level_LEVEL_WORKLOAD
	}
	return &Graph{level: level, numbers: map[vertex]int32{}, ends: map[end]places{}, pairs: map[pair]*edge{}}
}

// Add adds a flow.
func (g *Graph) Add(f *flowpb.Flow) {
	x := extraOf(f)
	g.add(f, x, countsOf(f, x))
}

// show adds what is shown of flows.
func (g *Graph) show(f *flowpb.Flow, x extra, n counts, show Show) error {
	shown := f
	if show != nil {
		var err error
		if shown, err = show(f); shown == nil || err != nil {
			return err
		}
		if shown.GetExtensions() != f.GetExtensions() { // not all of it may be seen
			x = extraOf(shown)
		}
	}
	g.add(shown, x, n)
	return nil
}

// place finds the vertices of an end. Where ends are no store's, each is another message: not all are remembered.
func (g *Graph) place(e end) places {
	if known, ok := g.ends[e]; ok {
		return known
	}
	number := func(v vertex) int32 {
		n, known := g.numbers[v]
		if !known {
			n = int32(len(g.vertices))
			g.vertices, g.numbers[v] = append(g.vertices, v), n
		}
		return n
	}
	p := places{number(vertexOf(e.endpoint, e.vm, e.network, observerv1.Level_LEVEL_POD)), number(vertexOf(e.endpoint, e.vm, e.network, g.level))}
	if len(g.ends) < remembered {
		g.ends[e] = p
	}
	return p
}

const remembered = 20_000

func (g *Graph) add(f *flowpb.Flow, x extra, n counts) {
	p := pair{g.place(end{f.GetSource(), x.Source.VM, x.Network}), g.place(end{f.GetDestination(), x.Destination.VM, x.Network})}
	at := seat(2)
	switch {
	case f.GetSource().GetID() != 0:
		at = 0
	case f.GetDestination().GetID() != 0:
		at = 1
	}
	if f.GetIsReply().GetValue() { // the edge is that of the connection
		p = pair{p.destination, p.source}
	}
	e := g.pairs[p]
	if e == nil {
		e = &edge{}
		g.pairs[p] = e
	}
	e.verdicts.add(f.GetVerdict(), n.flows)
	if f.GetDropReasonDesc() != 0 {
		e.drops.add(f.GetDropReasonDesc(), n.flows)
	}
	e.seen[at].add(n)
}

// total is an edge as clients see it.
type total struct {
	edge
	counts
}

// Response is the graph as clients are given it, with at most so many edges.
func (g *Graph) Response(most int) *observerv1.AggregateResponse {
	sum := map[[2]int32]*total{}
	for p, e := range g.pairs {
		ends := [2]int32{p.source.level, p.destination.level}
		t := sum[ends]
		if t == nil {
			t = &total{}
			sum[ends] = t
		}
		for _, c := range e.verdicts {
			t.verdicts.add(c.of, c.n)
		}
		for _, c := range e.drops {
			t.drops.add(c.of, c.n)
		}
		t.counts.add(e.total())
	}
	out := &observerv1.AggregateResponse{}
	ids := make([]string, len(g.vertices))
	id := func(v int32) string {
		if ids[v] == "" {
			ids[v] = g.vertices[v].id()
		}
		return ids[v]
	}
	for ends, t := range sum {
		out.Flows += t.flows
		e := &observerv1.Edge{
			Source: id(ends[0]), Destination: id(ends[1]), Connections: t.connections, Sent: carried(t.sent), Received: carried(t.received),
			LastSeen: timestamppb.New(time.Unix(0, t.last)),
		}
		for _, c := range t.verdicts {
			e.Verdicts = append(e.Verdicts, &observerv1.VerdictCount{Verdict: c.of, Flows: c.n})
		}
		for _, c := range t.drops {
			e.Drops = append(e.Drops, &observerv1.DropCount{Reason: c.of, Flows: c.n})
		}
		out.Edges = append(out.Edges, e)
	}
	limit(out, most)
	slices.SortFunc(out.Edges, byID)
	used := map[string]bool{}
	for _, e := range out.GetEdges() {
		used[e.GetSource()], used[e.GetDestination()] = true, true
	}
	for v, id := range ids {
		if used[id] {
			out.Vertices = append(out.Vertices, g.vertices[v].message(id))
		}
	}
	slices.SortFunc(out.Vertices, func(a, b *observerv1.Vertex) int { return strings.Compare(a.GetId(), b.GetId()) })
	return out
}

func byID(a, b *observerv1.Edge) int {
	return cmp.Or(strings.Compare(a.GetSource(), b.GetSource()), strings.Compare(a.GetDestination(), b.GetDestination()))
}

// limit leaves out the edges of the fewest flows.
func limit(r *observerv1.AggregateResponse, most int) {
	if len(r.GetEdges()) <= most {
		return
	}
	flows := map[*observerv1.Edge]uint64{}
	for _, e := range r.GetEdges() {
		for _, v := range e.GetVerdicts() {
			flows[e] += v.GetFlows()
		}
	}
	slices.SortFunc(r.Edges, func(a, b *observerv1.Edge) int { return cmp.Or(cmp.Compare(flows[b], flows[a]), byID(a, b)) })
	r.EdgesLeftOut = uint64(len(r.GetEdges()) - most)
	r.Edges = r.Edges[:most]
}

// total is all that was seen, and of connections what was seen where most was: the other end tells of the same ones.
func (e *edge) total() (sum counts) {
	for _, n := range e.seen {
		sum.flows += n.flows
		sum.last = max(sum.last, n.last)
		sum.connections = max(sum.connections, n.connections)
		for _, way := range [][2]*flow.Carried{{&sum.sent, &n.sent}, {&sum.received, &n.received}} {
			way[0].Packets, way[0].Bytes = max(way[0].Packets, way[1].Packets), max(way[0].Bytes, way[1].Bytes)
		}
	}
	return sum
}

func carried(c flow.Carried) *observerv1.Carried {
	return &observerv1.Carried{Packets: c.Packets, Bytes: c.Bytes}
}
