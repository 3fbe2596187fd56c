package service

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/explain/service/callee"
	"weftnet.io/weftnet/internal/explain/service/filter"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// List gives the frontends that a filter lets through, by service. What is refused at a cluster address is not among them.
func (n Node) List(f filter.Filter) agentv1.ServiceList {
	r := n.Now()
	list := agentv1.ServiceList{Frontends: []agentv1.Frontend{}}
	for row := range n.Tables.Frontends.All(r) {
		if isRefusal(row) {
			continue
		}
		list.Total++
		if f.Lets(row) {
			list.Frontends = append(list.Frontends, n.frontendOf(r, row))
		}
	}
	slices.SortStableFunc(list.Frontends, func(a, b agentv1.Frontend) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), order(a.Kind)-order(b.Kind), cmp.Compare(a.Port, b.Port))
	})
	return list
}

// order is that in which people look for addresses.
func order(k agentv1.FrontendKind) int {
	return slices.Index([]agentv1.FrontendKind{
		agentv1.KindClusterIP, agentv1.KindExternalIP, agentv1.KindLoadBalancer, agentv1.KindNodePort, agentv1.KindHostPort, agentv1.KindLocalRedirect,
	}, k)
}

// isRefusal tells whether a row stands for whatever else is sent to a cluster address.
func isRefusal(f table.Frontend) bool { return f.Port == 0 && f.Protocol == 0 }

func (n Node) frontendOf(r state.Reader, row table.Frontend) agentv1.Frontend {
	f := agentv1.Frontend{
		Namespace: row.Namespace, Name: row.Name, Address: row.Address.String(), Port: row.Port, Protocol: callee.ProtocolName(row.Protocol), Kind: kindOf(row),
		Callers: row.Scope.String(), AffinitySeconds: row.AffinitySeconds, Redirect: row.Redirect, Backends: []agentv1.Backend{},
	}
	if row.Maglev.Size > 0 {
		f.Algorithm, f.TableSize = "maglev", row.Maglev.Size
	}
	switch {
	case row.Scope != table.ScopeOutside || row.Kind == table.HostPort:
	case row.Direct:
		f.Mode = "dsr"
	default:
		f.Mode = "snat"
	}
	for _, s := range row.Sources {
		f.Sources = append(f.Sources, s.String())
	}
	for _, b := range row.Backends {
		f.Backends = append(f.Backends, agentv1.Backend{Address: b.Address.String(), Port: b.Port, State: stateOf(b)})
	}
	f.InPlace, f.Error = n.placed(r, row)
	return f
}

// placed tells whether the agent has written a row as it is, and if not what keeps it from that, if anything does.
func (n Node) placed(r state.Reader, row table.Frontend) (bool, string) {
	key := n.Tables.Frontends.Key(row)
	if status.Realised(r, n.Tables.Frontends, key) {
		return true, ""
	}
	s, _ := status.Statuses.One(r, status.KeyOf(n.Tables.Frontends, key))
	return false, s.Err
}

func kindOf(f table.Frontend) agentv1.FrontendKind { return agentv1.FrontendKind(f.Kind) }

func stateOf(b table.Backend) agentv1.BackendState {
	if b.Terminating {
		return agentv1.BackendTerminating
	}
	if b.Far {
		return agentv1.BackendFar
	}
	return agentv1.BackendActive
}

// nameOf is how people write a frontend: 10.96.0.10:80/tcp. Where others serve who calls from outside, that is said.
func nameOf(f table.Frontend) string {
	if isRefusal(f) {
		return f.Address.String() + ", whatever is no port of its service"
	}
	text := netip.AddrPortFrom(f.Address, f.Port).String() + "/" + callee.ProtocolName(f.Protocol)
	switch f.Scope {
	case table.ScopeOutside:
		text += " from outside"
	case table.ScopeHere:
		text += " at this node"
	case table.ScopeBehind:
		text += " behind its redirect"
	}
	return text
}

// Seconds is a duration as people write it: 3h, 1m30s.
func Seconds(n uint32) string {
	text := (time.Duration(n) * time.Second).String() // 3h0m0s
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
