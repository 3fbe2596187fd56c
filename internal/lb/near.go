package lb

import "slices"

// Place is where calls are made.
type Place struct {
	Node string
	Zone string // label topology.kubernetes.io/zone of the node; "": none
}

// Hints are the nodes, and the zones, whose calls an endpoint is meant for.
type Hints struct {
	ForNodes []string
	ForZones []string
}

// Zones are those that hints name, if there are hints.
func (h *Hints) Zones() []string {
	if h == nil {
		return nil
	}
	return h.ForZones
}

// nearest tells which of the ready endpoints of a port are to get the connections that are made here, as kube-proxy 1.36 chooses by the
// hints that the writers of EndpointSlices put there (for spec.trafficDistribution, or the annotation
// service.kubernetes.io/topology-mode: kube-proxy looks at neither). Each kind of hint counts only if every one of them has one, and
// one of them is meant for here: hints that are half written, or name other places alone, must not leave callers without backends.
func nearest(ready []candidate, here Place) func(*Endpoint) bool {
	for _, kind := range []struct {
		hints func(*Endpoint) []string
		here  string
	}{
		{func(e *Endpoint) []string { return e.ForNodes }, here.Node},
		{func(e *Endpoint) []string { return e.ForZones }, here.Zone},
	} {
		meant := func(e *Endpoint) bool { return kind.here != "" && slices.Contains(kind.hints(e), kind.here) }
		silent := slices.ContainsFunc(ready, func(c candidate) bool { return len(kind.hints(c.Endpoint)) == 0 })
		if !silent && slices.ContainsFunc(ready, func(c candidate) bool { return meant(c.Endpoint) }) {
			return meant
		}
	}
	return everywhere
}

func everywhere(*Endpoint) bool { return true }
