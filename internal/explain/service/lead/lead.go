// Package lead says whether CiliumLocalRedirectPolicies lead calls to pods of this node, and if not what keeps them from that.
//
//	for _, note := range lead.OfService(r, tables, service, frontends) {
//		fmt.Println(note) // CiliumLocalRedirectPolicy kube-system/dns leads new calls to ready pods of this node
//	}
package lead

import (
	"fmt"
	"slices"

	"weftnet.io/weftnet/internal/explain/service/callee"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/redirect"
)

const (
	leads      = " leads new calls to ready pods of this node"
	notEnabled = " redirects nothing, since setting enable-local-redirect-policy is not true"
)

func name(p redirect.Policy) string {
	return fmt.Sprintf("%s %s/%s", redirect.Kind, p.Namespace, p.Name)
}

// OfService says it of each policy that names a Service, which has these frontends.
func OfService(r state.Reader, t *table.Tables, s table.Service, rows []table.Frontend) (notes []string) {
	policies := slices.Collect(redirect.Table.By(r, redirect.ByService, table.ObjectKey(s.Namespace, s.Name)))
	slices.SortFunc(policies, func(a, b redirect.Policy) int {
		if first, _ := redirect.First([]redirect.Policy{a, b}); first.Name == a.Name {
			return -1
		}
		return 1
	})
	for i, p := range policies {
		switch led := slices.ContainsFunc(rows, func(f table.Frontend) bool { return f.Redirect == p.Name }); {
		case !t.Config(r).Redirects:
			notes = append(notes, name(p)+notEnabled)
		case len(s.ClusterIPs) == 0:
			notes = append(notes, name(p)+" redirects nothing: the service has no cluster address")
		case led:
			notes = append(notes, name(p)+leads)
		case i > 0:
			notes = append(notes, fmt.Sprintf("%s redirects nothing here: no pod that it chooses is ready on this node, or %s has its ports", name(p), policies[0].Name))
		default:
			notes = append(notes, name(p)+" redirects nothing here: no pod that it chooses is ready on this node, or no port of the service fits")
		}
	}
	return notes
}

// OfAddress says it of a policy that names an address.
func OfAddress(r state.Reader, t *table.Tables, p redirect.Policy) string {
	rows := slices.Collect(t.Frontends.By(r, table.ByService, table.ObjectKey(p.Namespace, p.Name+redirect.Suffix)))
	switch c := t.Config(r); {
	case len(p.Rejects) > 0:
		return name(p) + " redirects nothing: it is invalid, as an event of it says"
	case !c.Redirects:
		return name(p) + notEnabled
	case !c.MayRedirect(p.Address):
		return fmt.Sprintf("%s redirects nothing, since setting lrp-address-matcher-cidrs does not have %s", name(p), p.Address)
	case len(rows) == 0:
		return name(p) + " redirects nothing here: a service, or a policy that is older or the first by name, has its address and ports, or no port of redirectBackend fits"
	case slices.ContainsFunc(rows, func(f table.Frontend) bool { return slices.ContainsFunc(f.Backends, table.Backend.Takes) }):
		return name(p) + leads
	}
	return name(p) + " redirects nothing here: no pod that it chooses is ready on this node, and calls go on as they are"
}

// Names tells whether a policy names an address and port; protocol 0 is any.
func Names(p redirect.Policy, to callee.Callee) bool {
	return p.Address == to.Address.Addr() && slices.ContainsFunc(p.Ports, func(f redirect.Port) bool {
		return f.Port == to.Address.Port() && (to.Protocol == 0 || f.Protocol == to.Protocol)
	})
}
