package service

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/explain/service/callee"
	"weftnet.io/weftnet/internal/explain/service/lead"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/redirect"
)

// address reads ADDRESS:PORT; without /PROTOCOL behind it, it is of any. False: it is none.
func address(of string) (c callee.Callee, is bool) {
	c, err := callee.Parse(of, "")
	if !strings.Contains(of, "/") {
		c.Protocol = 0
	}
	return c, err == nil
}

// owner names what has an address and port, and what else has it for another protocol.
func (n Node) owner(r state.Reader, to callee.Callee) (owner string, others []string, err error) {
	at := []netip.Addr{to.Address.Addr()}
	if place, _ := n.placeOf(r, at[0]); place.Flags&table.IPCacheNode != 0 {
		at = append(at, map[bool]netip.Addr{true: netip.IPv4Unspecified(), false: netip.IPv6Unspecified()}[at[0].Is4()])
	}
	add := func(name, what string) {
		switch {
		case owner == "":
			owner = name
		case owner != name:
			others = append(others, what)
		}
	}
	for _, a := range at {
		for row := range n.Tables.Frontends.Prefix(r, state.Join(a)) {
			if row.Port != to.Address.Port() || to.Protocol != 0 && row.Protocol != to.Protocol {
				continue
			}
			name := row.Namespace + "/" + row.Name
			if row.Kind == table.HostPort {
				return "", nil, fmt.Errorf("%s is a hostPort of pod %s, and no service; weft service list --port %d has it", nameOf(row), name, row.Port)
			}
			add(name, fmt.Sprintf("%s is of %s", nameOf(row), name))
		}
	}
	for p := range redirect.Table.All(r) {
		if lead.Names(p, to) {
			name := p.Namespace + "/" + p.Name + redirect.Suffix
			add(name, fmt.Sprintf("%s %s/%s names it, too", redirect.Kind, p.Namespace, p.Name))
		}
	}
	if owner == "" {
		return "", nil, fmt.Errorf("nothing is translated at %s; weft service list --ip %s has what is at this address", to.Address, to.Address.Addr())
	}
	return owner, slices.Compact(others), nil
}

// policyOf is the policy that frontends of this name are of.
func policyOf(r state.Reader, of string) (redirect.Policy, bool) {
	whole, is := strings.CutSuffix(of, redirect.Suffix)
	namespace, name, _ := strings.Cut(whole, "/")
	p, there := redirect.Table.One(r, table.ObjectKey(namespace, name))
	return p, is && there
}

// showPolicy gives a policy that leads calls of an address of its own to pods, with its frontends.
func (n Node) showPolicy(r state.Reader, p redirect.Policy, also []string) (agentv1.ServiceDetail, error) {
	d := agentv1.ServiceDetail{
		Namespace: p.Namespace, Name: p.Name + redirect.Suffix, Policy: p.Name, Ports: []agentv1.ServicePort{}, Frontends: []agentv1.FrontendDetail{}, Notes: also,
	}
	if p.Address.IsValid() {
		d.ExternalIPs = texts([]netip.Addr{p.Address})
	}
	for _, port := range p.Ports {
		d.Ports = append(d.Ports, agentv1.ServicePort{Name: port.Name, Protocol: callee.ProtocolName(port.Protocol), Port: port.Port})
	}
	if n.Maps == nil {
		d.Notes = append(d.Notes, starting)
	}
	for row := range n.Tables.Frontends.By(r, table.ByService, table.ObjectKey(d.Namespace, d.Name)) {
		if err := n.add(r, &d, row); err != nil {
			return d, err
		}
	}
	d.Notes = append(d.Notes, lead.OfAddress(r, n.Tables, p))
	return d, nil
}

// unled says of an address at which no frontend is which policies name it.
func (t *trace) unled() {
	if slices.ContainsFunc(t.Steps, func(s agentv1.TraceStep) bool { return s.Step == "redirect" }) {
		return // it has passed one, as that step says
	}
	for p := range redirect.Table.All(t.r) {
		if lead.Names(p, t.to) {
			t.note("%s", lead.OfAddress(t.r, t.Tables, p))
		}
	}
}
