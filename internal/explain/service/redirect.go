package service

import (
	"fmt"
	"slices"

	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/redirect"
)

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
	key := t.to.Row()
	key.Scope = table.ScopeBehind
	return t.ask("behind", key)
}
