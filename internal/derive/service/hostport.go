package service

import (
	"net/netip"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// hostPorts are the frontends of a pod of this node: each of its hostPorts, at all addresses of the node or at the one that it names, to
// the pod's first address of the family. Of two pods that have one, which the scheduler avoids, the lower namespace and name has it.
func (d frontends) hostPorts(r state.Reader, key state.Key) (out []table.Frontend) {
	pod, ok := d.t.Pods.One(r, key)
	if !ok || pod.Finished || pod.HostNetwork || !d.config.Of(r).Outside.HostPorts {
		return nil
	}
	is := map[state.Key]bool{}
	for w := range d.t.Workloads.By(r, table.ByPod, key) {
		if w.Network != 0 || w.UID != pod.UID {
			continue
		}
		for _, h := range pod.HostPorts {
			for _, a := range w.Addresses {
				for _, f := range hostPort(h, a) {
					f.Namespace, f.Name = pod.Namespace, pod.Name
					if k := table.FrontendKey(f); !is[k] {
						is[k], out = true, append(out, f)
					}
				}
			}
		}
	}
	return out
}

// hostPort are the frontends of one hostPort that lead to one address of its pod: none if that is of another family.
func hostPort(h table.PodHostPort, to netip.Addr) []table.Frontend {
	f := table.Frontend{
		Address: netip.IPv4Unspecified(), Port: h.HostPort, Protocol: h.Protocol, Kind: table.HostPort, Scope: table.ScopeHere,
		Backends: []table.Backend{{Address: to, Port: h.Port}},
	}
	if to.Is6() {
		f.Address = netip.IPv6Unspecified()
	}
	switch {
	case h.HostIP.IsValid() && h.HostIP.Is6() != to.Is6():
		return nil
	case !h.HostIP.IsValid() || h.HostIP.IsUnspecified():
		return []table.Frontend{f}
	case h.HostIP.IsLoopback(): // the node's own processes alone call it, at their sockets
		f.Address = h.HostIP
		return []table.Frontend{f}
	}
	inside, outside := f, f
	inside.Address, inside.Scope = h.HostIP, table.ScopeCluster
	outside.Address, outside.Scope = h.HostIP, table.ScopeOutside
	return []table.Frontend{inside, outside}
}
