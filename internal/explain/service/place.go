package service

import (
	"cmp"
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// Sources of a workload that calls itself through a service: config_loopback of bpf/lib/config.h.
const loopback4, loopback6 = "169.254.42.1", "fd57:4546:54::1"

// placeOf is who lives at an address and how to get there, as table ipcache has it: the row of the address, else that of the longest
// prefix.
func (n Node) placeOf(r state.Reader, a netip.Addr) (table.IPCacheRow, bool) {
	for bits := a.BitLen(); bits >= 0; bits-- {
		prefix, _ := a.Prefix(bits)
		if row, ok := n.Tables.IPCache.One(r, state.Join(uint32(0), prefix)); ok {
			return row, true
		}
	}
	return table.IPCacheRow{}, false
}

// isWorkload is ipcache_is_workload, isThisNode ipcache_is_this_node of bpf/lib/ipcache.h.
func isWorkload(row table.IPCacheRow) bool {
	return row.Flags&table.IPCacheNode == 0 && row.Flags&table.IPCacheCluster != 0 && !row.Identity.IsReserved() && row.Identity != 0
}

func isThisNode(row table.IPCacheRow) bool {
	const both = table.IPCacheLocal | table.IPCacheNode
	return row.Flags&both == both
}

// placeText says of an address what programs read of it.
func placeText(row table.IPCacheRow, found bool) string {
	if !found {
		return "no row"
	}
	text := fmt.Sprintf("identity %d", row.Identity)
	if flags := row.Flags.String(); flags != "" {
		text += ", " + flags
	}
	if row.Ifindex != 0 {
		text += fmt.Sprintf(", device %d", row.Ifindex)
	}
	if row.Tunnel.IsValid() {
		text += ", tunnel to " + row.Tunnel.String()
	}
	return text
}

// place is who lives at an address, and says if the kernel knows another way.
func (t *trace) place(a netip.Addr) (table.IPCacheRow, bool) {
	want, wanted := t.placeOf(t.r, a)
	if t.Ways == nil || t.err != nil {
		return want, wanted
	}
	have, found, err := t.Ways.Place(a)
	if err != nil {
		t.err = err
		return want, wanted
	}
	is, ought := placeText(have, found), placeText(want, wanted)
	if is == ought {
		return want, wanted
	}
	key := t.Tables.IPCache.Key(want)
	now := t.Now()
	later, still := t.placeOf(now, a)
	switch s, _ := status.Statuses.One(t.r, status.KeyOf(t.Tables.IPCache, key)); {
	case wanted && s.Err != "":
		t.fault("address %s: the agent cannot write it: %s", a, s.Err)
	case wanted && !status.Realised(t.r, t.Tables.IPCache, key), placeText(later, still) != ought, !t.settledIPCache():
		t.note("address %s: the agent is writing it to the kernel at this moment; ask again", a)
	default:
		t.fault("address %s: the kernel has %s, the table %s", a, is, ought)
	}
	return want, wanted
}

// settledIPCache tells whether all rows of the table have been tried: else an address may have in the kernel what was taken from the
// table a moment ago.
func (t *trace) settledIPCache() bool {
	whole, _ := status.Statuses.One(t.r, status.KeyOf(t.Tables.IPCache, ""))
	return whole.Rev >= t.Tables.IPCache.LastRevision(t.r)
}

// path says how a packet gets to an address, as path_choose of bpf/lib/path.h.
func (t *trace) path(to netip.Addr) (way string) {
	row, found := t.place(to)
	if t.scope == table.ScopeOutside && row.Flags&table.IPCacheLocal == 0 {
		with := ", with this node's address and a port of its own"
		if t.direct {
			with = ", with the client's address: that node answers it (DSR)"
		}
		defer func() { way += with }()
	}
	node := func(name string) string { return cmp.Or(name, "a node that is not known") }
	switch {
	case to == t.from.address && t.from.kind == aPod:
		own := loopback4
		if to.Is6() {
			own = loopback6
		}
		return "back into the pod itself, from " + own
	case isThisNode(row):
		return "up to this node's own stack"
	case row.Ifindex != 0 && row.Flags&table.IPCacheLocal != 0 && t.socket:
		return "into the pod by the host's stack, on this node"
	case row.Ifindex != 0 && row.Flags&table.IPCacheLocal != 0:
		return "straight into the pod, on this node"
	case row.Flags&table.IPCacheLocal != 0:
		return "nowhere: it is an address of this node's pod prefix that no pod has (151)"
	case row.Flags&table.IPCacheVTEP != 0 && row.Tunnel.IsValid():
		return "through the tunnel to the VTEP " + row.Tunnel.String()
	case row.Tunnel.IsValid() && row.Flags&table.IPCacheDirect == 0:
		return fmt.Sprintf("through the tunnel to %s, node %s", row.Tunnel, node(t.nodeAt(t.r, row.Tunnel)))
	case found && row.Flags&table.IPCacheCluster != 0:
		return "by the node's routes, to node " + node(t.nodeOf(to))
	}
	if c := t.Tables.Config(t.r); t.scope == table.ScopeCluster && !t.socket && (to.Is4() && c.MasqueradeIPv4 || to.Is6() && c.MasqueradeIPv6) {
		return "out of the cluster by the node's routes, masqueraded"
	}
	return "out of the cluster by the node's routes"
}

// nodeOf is the node that an address lives on, or is of.
func (t *trace) nodeOf(a netip.Addr) string {
	for e := range t.Tables.Endpoints.By(t.r, table.ByAddress, state.Join(a)) {
		return t.nodeAt(t.r, e.Node)
	}
	return t.nodeAt(t.r, a)
}

// isReserved tells whether policies may tell addresses with an identity apart.
func isReserved(i identity.Number) bool { return i == 0 || i.IsReserved() }
