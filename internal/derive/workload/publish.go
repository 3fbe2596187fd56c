package workload

import (
	"cmp"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// newClaims computes IdentityClaims: label sets of workloads that have no number yet.
func newClaims(t *table.Tables) state.AnyDerivation {
	claimKey := func(l identity.Labels) state.Key { return t.IdentityClaims.Key(table.IdentityClaim{Labels: l}) }
	return &state.Derivation[table.IdentityClaim]{
		Name:  "identity-claims",
		Out:   t.IdentityClaims,
		KeyOf: func(c table.IdentityClaim) state.Key { return claimKey(c.Labels) },
		Inputs: []state.Input{state.On(t.Workloads, func(_ state.Reader, w table.Workload) []state.Key {
			if claims := w.Claims(); claims.Len() > 0 {
				return []state.Key{claimKey(claims)}
			}
			return nil
		})},
		Compute: func(r state.Reader, key state.Key) []table.IdentityClaim {
			for w := range t.Workloads.By(r, table.ByLabels, key) {
				return []table.IdentityClaim{{Labels: w.Claims()}}
			}
			return nil
		},
	}
}

// newPublished computes Published: an endpoint for each local pod with an identity.
func newPublished(t *table.Tables) state.AnyDerivation {
	p := published{t}
	return &state.Derivation[table.PublishedEndpoint]{
		Name:  "published-endpoints",
		Out:   t.Published,
		KeyOf: func(e table.PublishedEndpoint) state.Key { return table.ObjectKey(e.Namespace, e.Name) },
		Inputs: []state.Input{
			state.On(t.Workloads, func(_ state.Reader, w table.Workload) []state.Key {
				return []state.Key{table.ObjectKey(w.Namespace, w.Pod)}
			}),
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key {
				return []state.Key{table.ObjectKey(a.Namespace, a.Pod)}
			}),
			state.On(t.Pods, func(_ state.Reader, p table.Pod) []state.Key { return []state.Key{t.Pods.Key(p)} }),
			state.On(t.Nodes, func(r state.Reader, n table.Node) (keys []state.Key) {
				if n.Local {
					for w := range t.Workloads.All(r) {
						keys = append(keys, table.ObjectKey(w.Namespace, w.Pod))
					}
				}
				return keys
			}),
		},
		Compute: p.compute,
	}
}

type published struct{ t *table.Tables }

func (p published) compute(r state.Reader, key state.Key) []table.PublishedEndpoint {
	node, ok := p.node(r)
	if !ok {
		return nil
	}
	pod, there := p.t.Pods.One(r, key)
	if !there {
		return nil // an object whose owner is gone would go, too
	}
	var nics []table.Workload
	container, latest := "", uint32(0)
	for w := range p.t.Workloads.By(r, table.ByPod, key) {
		a, attached := p.t.Attachments.One(r, p.t.Workloads.Key(w))
		if !attached || w.Identity == 0 || w.Pod == "" || w.UID != pod.UID || w.Network != 0 {
			continue
		}
		nics = append(nics, w)
		if a.Incarnation >= latest {
			container, latest = w.ContainerID, a.Incarnation
		}
	}
	nics = slices.DeleteFunc(nics, func(w table.Workload) bool { return w.ContainerID != container })
	if len(nics) == 0 {
		return nil
	}
	slices.SortFunc(nics, func(a, b table.Workload) int { return cmp.Compare(a.Interface, b.Interface) })
	first := nics[0]
	e := table.PublishedEndpoint{
		Namespace: first.Namespace, Name: first.Pod, PodUID: first.UID, Identity: first.Identity, Labels: first.Labels,
		Node: node, NamedPorts: first.NamedPorts,
	}
	for _, w := range nics {
		e.Addresses = append(e.Addresses, w.Addresses...)
	}
	return []table.PublishedEndpoint{e}
}

// node is the address by which other nodes know this one.
func (p published) node(r state.Reader) (netip.Addr, bool) {
	n, _ := p.t.LocalNode(r)
	return n.Underlay(), len(n.Addresses) > 0
}
