package service

import (
	"fmt"
	"slices"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/redirect"
)

// redirects say which policies lead a Service to pods of this node, and why some do not.
func (n Node) redirects(r state.Reader, s table.Service, rows []table.Frontend) (notes []string) {
	policies := slices.Collect(redirect.Table.By(r, redirect.ByService, table.ObjectKey(s.Namespace, s.Name)))
	slices.SortFunc(policies, func(a, b redirect.Policy) int {
		if first, _ := redirect.First([]redirect.Policy{a, b}); first.Name == a.Name {
			return -1
		}
		return 1
	})
	for i, p := range policies {
		name := fmt.Sprintf("%s %s/%s", redirect.Kind, p.Namespace, p.Name)
		leads := slices.ContainsFunc(rows, func(f table.Frontend) bool { return f.Redirect == p.Name })
		switch {
		case !n.Tables.Config(r).Redirects:
			notes = append(notes, name+" redirects nothing, since setting enable-local-redirect-policy is not true")
		case leads:
			notes = append(notes, name+" leads new calls to ready pods of this node")
		case i > 0:
			notes = append(notes, fmt.Sprintf("%s redirects nothing here: no pod that it chooses is ready on this node, or %s has its ports", name, policies[0].Name))
		default:
			notes = append(notes, name+" redirects nothing here: no pod that it chooses is ready on this node, or no port of the service fits")
		}
	}
	return notes
}

// passes tells whether a call goes on as if the frontend were not there: lb_passes of bpf/lib/lb.h, socket_passes of bpf/lib/socket.h.
func (t *trace) passes(row table.Frontend, held Held) bool {
	name := fmt.Sprintf("%s %s/%s", redirect.Kind, row.Namespace, row.Redirect)
	switch {
	case !slices.ContainsFunc(row.Backends, table.Backend.Takes):
		t.step("redirect", "no pod that "+name+" chooses is ready on this node: the call goes on as without it", "")
		return true
	case !t.socket && !t.admits(row, held):
		t.step("redirect", "the caller is one of the pods that "+name+" chooses: the call goes on as without it", "")
		return true
	}
	return false
}

// behind is the frontend that is called by what passes a redirect, if there is one.
func (t *trace) behind() (row table.Frontend, held Held, found bool) {
	key := t.to.row()
	key.Scope = table.ScopeBehind
	return t.ask("behind", key)
}
