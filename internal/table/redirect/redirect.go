// Package redirect has the table of CiliumLocalRedirectPolicies.
//
// # The world it models
//
// A policy leads what is sent to an address, or to the cluster addresses of a Service of its namespace, to pods of its namespace, on
// each node to those of that node:
//
//	kube-system/dns       Service kube-system/kube-dns  53/17 -> 53, 53/6 -> 53  pods k8s-app=node-local-dns
//	shop/metadata         169.254.169.254               80/6 -> 8181             pods app=proxy
//
// # Invariants
//
//   - A row says what its object says, well formed or not: one that is not has Rejects, and leads nothing anywhere.
//   - Names of ports are in lower case.
//
// # Example
//
//	for p := range redirect.Table.By(r, redirect.ByService, table.ObjectKey("kube-system", "kube-dns")) {
//		to, ok := p.To(redirect.Port{Name: "dns", Protocol: 17, Port: 53})
//	}
package redirect

import (
	"cmp"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/column"
)

// Kind is the kind of objects that make rows.
const Kind = "CiliumLocalRedirectPolicy"

// Suffix is behind the name of a policy in frontends that are of no Service, as upstream has it: no Service can be named so.
const Suffix = ":local-redirect"

// Policy is a CiliumLocalRedirectPolicy.
type Policy struct {
	Namespace string
	Name      string
	Created   int64             // seconds since 1970: of several for one frontend the oldest has it
	Service   string            // name of the Service that is called; empty: an address is
	Address   netip.Addr        // that address
	Ports     []Port            // that are called; of a Service none: all that it has
	Backends  []Port            // of the pods
	Selector  identity.Selector // of the pods
	Skips     bool              // what these pods send themselves is not led anywhere
	Rejects   []gap.Gap         // why nothing of it is in force
}

// Port is a port with its protocol. It may have a name.
type Port = table.NamedPort

func (Policy) Header() []string {
	return []string{"Namespace", "Name", "Service", "Address", "Ports", "Pods", "Backends", "Skips", "Rejected"}
}

func (p Policy) Row() []string {
	address := "-"
	if p.Address.IsValid() {
		address = p.Address.String()
	}
	skips := map[bool]string{true: "true", false: "false"}[p.Skips]
	return []string{p.Namespace, p.Name, cmp.Or(p.Service, "-"), address, column.List(p.Ports), p.Selector.String(), column.List(p.Backends), skips, cmp.Or(gap.Text(p.Rejects), "-")}
}

// Indexes of Table.
const (
	ByService  = "service"  // ObjectKey of the Service that is called
	ByFrontend = "frontend" // FrontendKey of what is called
)

// FrontendKey is the key of an address and port that policies lead elsewhere.
func FrontendKey(a netip.Addr, port uint16, protocol uint8) state.Key {
	return state.Join(a, port, protocol)
}

// Frontends are the addresses and ports that it names itself, and leads somewhere.
func (p Policy) Frontends() (keys []state.Key) {
	if !p.Address.IsValid() || len(p.Rejects) > 0 {
		return nil
	}
	for _, port := range p.Ports {
		if _, leads := p.To(port); leads {
			keys = append(keys, FrontendKey(p.Address, port.Port, port.Protocol))
		}
	}
	return keys
}

// Table has the policies.
var Table = table.Declare("redirects", func(p Policy) state.Key { return table.ObjectKey(p.Namespace, p.Name) },
	state.Index[Policy]{Name: ByService, Keys: func(p Policy) []state.Key {
		if p.Service == "" || len(p.Rejects) > 0 {
			return nil
		}
		return []state.Key{table.ObjectKey(p.Namespace, p.Service)}
	}},
	state.Index[Policy]{Name: ByFrontend, Keys: Policy.Frontends})

// To is the port of the pods to which a port of the frontend leads, of a Service also by the name that the Service gives it; false:
// none.
func (p Policy) To(called Port) (to Port, ok bool) {
	name := called.Name
	if len(p.Ports) > 0 {
		at := slices.IndexFunc(p.Ports, func(f Port) bool { return f.Port == called.Port && f.Protocol == called.Protocol })
		if at < 0 {
			return to, false
		}
		name = cmp.Or(p.Ports[at].Name, name)
	}
	if len(p.Backends) == 1 {
		return p.Backends[0], p.Backends[0].Protocol == called.Protocol
	}
	for _, b := range p.Backends {
		if b.Name == name && b.Protocol == called.Protocol {
			return b, true
		}
	}
	return to, false
}

// First is the policy that has a frontend for which there are several: the oldest, of these the first by name.
func First(list []Policy) (Policy, bool) {
	if len(list) == 0 {
		return Policy{}, false
	}
	return slices.MinFunc(list, func(a, b Policy) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	}), true
}
