package service

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/explain"
	"weftnet.io/weftnet/internal/explain/service/callee"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// trace follows a packet.
type trace struct {
	Node
	agentv1.ServiceTrace
	r    state.Reader
	from caller
	to   callee.Callee
	err  error // the first of the kernel

	scope  table.Scope // as which of them the caller calls
	direct bool        // backends on other nodes answer the caller themselves
	socket bool        // a process of this node, whose call is led to a backend before there is a packet

	asked map[string]*agentv1.Explanation
}

// Trace says what becomes of the first packet of a call: from is NAMESPACE/NAME of a pod, an address or host, to an address with a
// port.
func (n Node) Trace(from, to, protocol string) (agentv1.ServiceTrace, error) {
	r := n.Now()
	what, err := callee.Parse(to, protocol)
	if err != nil {
		return agentv1.ServiceTrace{}, err
	}
	who, err := n.caller(r, from, what.Address.Addr())
	if err != nil {
		return agentv1.ServiceTrace{}, err
	}
	t := &trace{Node: n, r: r, from: who, to: what, asked: map[string]*agentv1.Explanation{}}
	t.ServiceTrace = agentv1.ServiceTrace{From: who.String(), To: what.String(), Node: n.here(r), Steps: []agentv1.TraceStep{}, Backends: []agentv1.TraceBackend{}}
	if n.Maps == nil {
		t.Notes = append(t.Notes, starting)
	}
	t.follow()
	return t.ServiceTrace, t.err
}

func (t *trace) fault(format string, args ...any) {
	t.Faults = append(t.Faults, fmt.Sprintf(format, args...))
}

func (t *trace) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

func (t *trace) step(name, inTable, inKernel string) {
	if t.Maps == nil {
		inKernel = ""
	}
	t.Steps = append(t.Steps, agentv1.TraceStep{Step: name, Table: inTable, Kernel: inKernel})
}

// end says what becomes of the packet.
func (t *trace) end(outcome agentv1.TraceOutcome, format string, args ...any) {
	t.Outcome, t.Why = outcome, fmt.Sprintf(format, args...)
}

// follow asks what programs ask, in their order: find_path of bpf/from_pod.c, outside_call of bpf/lib/outside.h.
func (t *trace) follow() {
	translates := t.translated()
	address := t.to.Address.Addr()
	if place, _ := t.place(address); translates && isWorkload(place) {
		t.step("frontend", "none is looked up: the address is a pod's", "")
		t.end(agentv1.TracePlain, "%s is the address of a pod, where no service is offered", address)
		t.plain()
		return
	}
	row, held, found := t.lookUp()
	if found && row.Passes && translates && t.passes(row, held) {
		row, held, found = t.behind()
	}
	if found && row.Kind != table.HostPort {
		t.Service = row.Namespace + "/" + row.Name
	}
	refused := !found && t.scope == table.ScopeCluster && !t.socket && t.refuses()
	switch {
	case !translates:
		t.end(agentv1.TraceElsewhere, "this agent does not translate what %s calls: kube-proxy, or another service proxy, does", t.kindOfCaller())
	case found && !row.Passes && !t.admits(row, held):
		t.end(agentv1.TraceRefused, "service %s takes calls of some sources alone, and %s is none of them", t.Service, t.from.address)
		t.Hears = "nothing: the packet is dropped, Denied by LB src range check (177)"
	case found:
		t.choose(row, held)
	case refused:
		t.refuse(false, "%s is a cluster address that has no port %d/%s: nothing but the ports of its service is there", address, t.to.Address.Port(), callee.ProtocolName(t.to.Protocol))
	case t.scope == table.ScopeOutside:
		t.end(agentv1.TracePlain, "this node offers no service at this address and port to who calls from outside: the packet goes on as it came")
	default:
		t.end(agentv1.TracePlain, "no service has this address and port")
		t.unled()
		t.plain()
	}
}

// kindOfCaller is who calls, in words.
func (t *trace) kindOfCaller() string {
	return [...]string{"a pod", "a pod", "a process of a node", "a node", "a machine outside"}[t.from.kind]
}

// translated says where the packet is translated, and whether this agent's programs do it.
func (t *trace) translated() bool {
	switch t.from.kind {
	case aPod:
		if t.atSockets() && !t.Tables.Config(t.r).Sockets.HostOnly {
			t.step("caller", "a pod of this node: its processes call backends from their sockets, what else it sends from_pod translates, before policy sees it", "")
			return true
		}
		t.step("caller", "a pod of this node: from_pod translates its packets, before policy sees them", "")
		return true
	case aFarPod:
		where := "another node"
		if t.from.node != "" {
			where = "node " + t.from.node
		}
		t.step("caller", fmt.Sprintf("a pod of %s: from_pod there translates its packets, before policy sees them", where), "")
		t.note("%s is on %s: what is said here is what this node would do. Affinity, what is local and what the kernel has are its own: ask the agent there", t.from.name, where)
		return true
	case thisNode:
		if t.socket = t.atSockets(); t.socket {
			t.step("caller", "this node: its processes call backends from their sockets, before there is a packet", "")
			return true
		}
		t.step("caller", "this node: what its processes call is translated by kube-proxy, or another service proxy", "")
	case aFarNode:
		by := "by kube-proxy, or another service proxy"
		if t.Tables.Config(t.r).Sockets.On {
			by = "at their sockets, if its agent is configured as this one"
		}
		t.step("caller", fmt.Sprintf("node %s: what its processes call is translated there %s", t.from.node, by), "")
	case aMachine:
		t.scope = table.ScopeOutside
		if c := t.Tables.Config(t.r).Outside; c.Any() {
			t.step("caller", "a machine outside: from_net translates its packets where they enter this node", "")
			return true
		}
		t.step("caller", "a machine outside: what it calls is translated by kube-proxy, or another service proxy", "")
	}
	return false
}

// atSockets tells whether programs at sockets lead calls to backends.
func (t *trace) atSockets() bool { return status.Realised(t.r, t.Tables.Sockets, table.SocketsKey) }

// lookUp finds the frontend that is called: that of the address, else a node port of whatever address a node has, else a hostPort of
// this node. As socket_frontend of bpf/lib/socket.h and lb_frontend of bpf/lib/lb.h.
func (t *trace) lookUp() (row table.Frontend, held Held, found bool) {
	key := t.to.Row()
	key.Scope = t.scope
	itself := t.socket && t.to.Address.Addr().IsLoopback() // a node offers its node ports to itself there, too
	c := t.Tables.Config(t.r).Outside
	if itself && c.HostPorts {
		key.Scope = table.ScopeHere
		if row, held, found = t.ask("hostPort", key); found {
			return row, held, true
		}
		key.Scope = t.scope
	}
	if !itself {
		if row, held, found = t.ask("frontend", key); found {
			return row, held, true
		}
	}
	place, _ := t.placeOf(t.r, t.to.Address.Addr())
	if place.Flags&table.IPCacheNode == 0 && !itself {
		return row, held, false
	}
	if key.Address = netip.IPv4Unspecified(); t.to.Address.Addr().Is6() {
		key.Address = netip.IPv6Unspecified()
	}
	portless := place.Flags&table.IPCachePortless != 0 || itself && !c.At.Has(t.to.Address.Addr(), nil)
	if c.First <= key.Port && key.Port <= c.Last && !portless {
		if row, held, found = t.ask("node port", key); found {
			return row, held, true
		}
	}
	if c.HostPorts && (isThisNode(place) || itself) {
		key.Scope = table.ScopeHere
		return t.ask("hostPort", key)
	}
	return row, held, false
}

// admits tells whether a service takes calls of the client: by the longest prefix that holds it, as lb_admits of bpf/lib/lb.h.
func (t *trace) admits(row table.Frontend, held Held) bool {
	if len(row.Sources) == 0 {
		return true
	}
	may, longest := false, -1
	for _, s := range row.Sources {
		if s.Prefix.Contains(t.from.address) && s.Prefix.Bits() > longest {
			may, longest = s.Allowed, s.Prefix.Bits()
		}
	}
	words := map[bool]string{true: "this client may call it", false: "this client may not call it"}
	var sources []string
	for _, s := range row.Sources {
		sources = append(sources, s.String())
	}
	inTable := words[may] + ": " + strings.Join(sources, ", ")
	if t.Ways == nil || held.ID == 0 || t.err != nil {
		t.step("sources", inTable, "")
		return may
	}
	is, err := t.Ways.Admits(t.from.address, held.ID)
	t.err = err
	t.step("sources", inTable, words[is])
	if placed, _ := t.placed(t.r, row); is != may && placed && err == nil {
		t.fault("%s: %s by map service_sources, and by the table %s", nameOf(row), words[is], words[may])
	}
	return may
}

// refuses tells whether the address is a cluster address, where nothing but the ports of its service is.
func (t *trace) refuses() bool {
	_, _, found := t.ask("cluster address", table.Frontend{Address: t.to.Address.Addr()})
	return found
}

// ask looks a frontend up in the table and in the kernel.
func (t *trace) ask(step string, key table.Frontend) (row table.Frontend, held Held, found bool) {
	row, found = t.Tables.Frontends.One(t.r, t.Tables.Frontends.Key(key))
	inTable := fmt.Sprintf("no %s", nameOf(key))
	if found {
		inTable = fmt.Sprintf("%s, %s of %s/%s", nameOf(row), kindOf(row), row.Namespace, row.Name)
	} else {
		row = key
	}
	if t.Maps == nil || t.err != nil {
		t.step(step, inTable, "")
		return row, held, found
	}
	if found {
		var faults []string
		var note string
		if held, _, faults, note, t.err = t.compare(t.r, row); note != "" {
			t.note("%s", note)
		}
		for _, text := range faults {
			t.fault("%s: %s", nameOf(row), text)
		}
	} else if held, t.err = t.Maps.Frontend(key); held.ID != 0 {
		t.stray(key)
	}
	inKernel := "no row"
	if held.ID != 0 {
		inKernel = fmt.Sprintf("number %d, %s", held.ID, slotsText(held))
	}
	t.step(step, inTable, inKernel)
	return row, held, found
}

// stray tells of a frontend that the kernel has and the table has not.
func (t *trace) stray(key table.Frontend) {
	at := t.Tables.Frontends.Key(key)
	if _, now := t.Tables.Frontends.One(t.Now(), at); now || !t.removed(t.r, at) {
		t.note("%s: the agent is writing it to the kernel at this moment; ask again", nameOf(key))
		return
	}
	t.fault("%s is in map services, and the table does not have it: packets are translated that should not be", nameOf(key))
}

// refuse is the end of a packet that a service does not take. Silent: nor does it say so.
func (t *trace) refuse(silent bool, format string, args ...any) {
	t.end(agentv1.TraceRefused, format, args...)
	switch {
	case t.socket:
		t.Hears = "connection refused, at once, from its socket"
	case silent:
		t.Hears = "nothing: the packet is dropped, Service backend not found (158), since other nodes have backends"
	case !t.Tables.Config(t.r).Reject:
		t.Hears = "nothing: the packet is dropped, Service backend not found (158), and service-no-backend-response is drop"
	default:
		what := "an error of its socket with the next call of it"
		if t.to.Protocol == callee.Protocols["tcp"] && t.scope == table.ScopeOutside {
			what = "connection refused"
		} else if t.to.Protocol == callee.Protocols["tcp"] {
			what = "connection refused, when it repeats its SYN after a second"
		}
		t.Hears = fmt.Sprintf("ICMP port unreachable from %s, which is %s; the packet is dropped, Service backend not found (158)", t.to.Address.Addr(), what)
	}
}

// choose is the choice of a backend: lb_select of bpf/lib/lb.h.
func (t *trace) choose(row table.Frontend, held Held) {
	kept := t.kept(row, held)
	t.direct = row.Direct
	var active []table.Backend
	count := map[agentv1.BackendState]int{}
	for _, b := range row.Backends {
		if count[stateOf(b)]++; b.Takes() {
			active = append(active, b)
		}
	}
	inTable := fmt.Sprintf("%d active, %d terminating", len(active), count[agentv1.BackendTerminating])
	if far := count[agentv1.BackendFar]; far > 0 && row.Redirect != "" {
		inTable += fmt.Sprintf(", %d far: they keep connections from before, new calls are led to pods of this node", far)
	} else if far > 0 {
		inTable += fmt.Sprintf(", %d far: hints say that the others are nearer to this node", far)
	}
	if row.Redirect != "" {
		t.step("redirect", fmt.Sprintf("CiliumLocalRedirectPolicy %s/%s leads calls to pods of this node", row.Namespace, row.Redirect), "")
	}
	t.step("backends", inTable, slotsText(held))
	if len(active) == 0 {
		t.refuse(row.Silent, "service %s has no backend: %s", t.Service, t.missing(row))
		return
	}
	t.end(agentv1.TraceTranslated, "it becomes a packet to one of %d backends, by chance; the connection keeps it", len(active))
	if row.Maglev.Size > 0 {
		kept = t.hashed(row, kept)
	}
	if len(active) == 1 {
		t.end(agentv1.TraceTranslated, "it becomes a packet to the one backend")
	}
	for _, b := range active {
		at := addressOf(b)
		one := agentv1.TraceBackend{Address: at.String(), Chance: 1 / float64(len(active))}
		if kept.IsValid() {
			if one.Chance = 0; at == kept {
				one.Chance = 1
				t.end(agentv1.TraceTranslated, "it becomes a packet to the backend that this client has")
			}
		}
		t.reach(&one, at)
		if row.Protocol == callee.Protocols["sctp"] && row.Port != b.Port {
			one.Note = "SCTP keeps its port, and this one has another: dropped, Unsupported protocol (168)"
		}
		t.Backends = append(t.Backends, one)
	}
}

// hashed tells of a choice that every node makes alike. If the client's address is all that counts, it is known.
func (t *trace) hashed(row table.Frontend, kept netip.AddrPort) netip.AddrPort {
	in := fmt.Sprintf("in a Maglev table of %d elements, which is the same on every node that has these backends", row.Maglev.Size)
	if row.AffinitySeconds == 0 || kept.IsValid() {
		t.step("choice", "by the addresses and ports of the call, "+in, "")
		t.end(agentv1.TraceTranslated, "it becomes a packet to one of %d backends, by its addresses and ports; the connection keeps it", len(members(row)))
		return kept
	}
	t.step("choice", "by the client's address, "+in, "")
	element := maglev.KeyOf(row.Maglev.Seed).Hash(maglev.Call{Client: netip.AddrPortFrom(t.from.address, 0)}, true) % row.Maglev.Size
	m := members(row)[row.Maglev.Table(members(row))[element]]
	return netip.AddrPortFrom(m.Address, m.Port)
}

func slotsText(held Held) string {
	switch n := kernelFrontend(held).Slots; {
	case held.ID == 0 || n == 0:
		return "no slots"
	case n == 1:
		return "slot 0"
	default:
		return fmt.Sprintf("slots 0 to %d", n-1)
	}
}

// kept is the backend that the client has at a service with affinity, if the next packet goes there: lb_affine of bpf/lib/lb.h.
func (t *trace) kept(row table.Frontend, held Held) (at netip.AddrPort) {
	if row.AffinitySeconds == 0 {
		t.step("affinity", "none", affinityText(held))
		return at
	}
	life := time.Duration(row.AffinitySeconds) * time.Second
	inTable := fmt.Sprintf("a client keeps its backend until %s after its last call", Seconds(row.AffinitySeconds))
	if t.Ways == nil || held.ID == 0 || t.err != nil || t.from.kind != aPod && t.scope != table.ScopeOutside {
		t.step("affinity", inTable, affinityText(held))
		return at
	}
	id, idle, err := t.Ways.Kept(t.from.address, held.ID)
	if t.err = err; id == 0 {
		text := "; this client has none yet, and keeps the one that it gets"
		if t.atSockets() {
			text = "; its packets have none yet. What its processes call from their sockets has one of its own, by their network namespace"
		}
		t.step("affinity", inTable, affinityText(held)+text)
		return at
	}
	for _, b := range held.Backends {
		if b.ID == id && b.Takes && idle <= life {
			t.step("affinity", inTable, fmt.Sprintf("this client has %s (backend %d), since its last call %s ago", b.Address, id, idle.Round(time.Second)))
			return b.Address
		}
	}
	why := "takes no new connections"
	if idle > life {
		why = fmt.Sprintf("was called last %s ago", idle.Round(time.Second))
	}
	t.step("affinity", inTable, fmt.Sprintf("this client had backend %d, which %s: it gets any, and keeps that", id, why))
	return at
}

func affinityText(held Held) string {
	switch {
	case held.ID == 0:
		return "no row"
	case held.AffinitySeconds == 0:
		return "none"
	}
	return Seconds(held.AffinitySeconds)
}

// missing says why a service has no backend.
func (t *trace) missing(row table.Frontend) string {
	s, _ := t.Tables.Services.One(t.r, table.ObjectKey(row.Namespace, row.Name))
	all, family, here := 0, 0, 0
	for slice := range t.Tables.EndpointSlices.By(t.r, table.ByService, table.ObjectKey(row.Namespace, row.Name)) {
		for _, e := range slice.Endpoints {
			all++
			if len(e.Addresses) > 0 && e.Addresses[0].Is4() == row.Address.Is4() {
				family++
				if e.Node == t.here(t.r) {
					here++
				}
			}
		}
	}
	switch {
	case all == 0 && len(s.Selector) > 0:
		return "no pod has the labels that it selects"
	case all == 0:
		return "no EndpointSlice of it names an endpoint"
	case family == 0:
		return fmt.Sprintf("none of its %d endpoints has an address of this family", all)
	case s.ExternalLocal && row.Kind != table.ClusterIP && row.Scope == table.ScopeOutside && here == 0:
		return fmt.Sprintf("its externalTrafficPolicy is Local, and none of its %d endpoints is on this node", family)
	case s.ExternalLocal && row.Kind != table.ClusterIP && row.Scope == table.ScopeOutside:
		return fmt.Sprintf("its externalTrafficPolicy is Local, and none of its %d endpoints on this node is ready, or has this port", here)
	case s.InternalLocal && row.Kind == table.ClusterIP && here == 0:
		return fmt.Sprintf("its internalTrafficPolicy is Local, and none of its %d endpoints is on this node", family)
	case s.InternalLocal && row.Kind == table.ClusterIP:
		return fmt.Sprintf("its internalTrafficPolicy is Local, and none of its %d endpoints on this node is ready, or has this port", here)
	}
	return fmt.Sprintf("none of its %d endpoints is ready, or has this port", family)
}

// plain is a packet that goes on as it is.
func (t *trace) plain() {
	one := agentv1.TraceBackend{Address: t.to.Address.String(), Chance: 1}
	t.reach(&one, t.to.Address)
	t.Backends = append(t.Backends, one)
}

// seenAs is who the caller is to policies of who lives at an address: what comes from outside and goes on natively by SNAT is
// this node by then.
func (t *trace) seenAs(at table.IPCacheRow) string {
	if t.scope == table.ScopeOutside && !t.direct && at.Flags&table.IPCacheLocal == 0 && t.Tables.Config(t.r).Routing == settings.Native {
		return "node:" + t.here(t.r)
	}
	return t.from.name
}

// mostAsked bounds how many different ends policies are asked about.
const mostAsked = 32

// reach says how the packet gets to an address, and what policies say of that: of ends that policies do not tell apart once.
func (t *trace) reach(b *agentv1.TraceBackend, at netip.AddrPort) {
	b.Path = t.path(at.Addr())
	row, _ := t.placeOf(t.r, at.Addr())
	key := fmt.Sprint(row.Identity, at.Port(), at.Addr() == t.from.address, t.nodeOf(at.Addr()))
	if isReserved(row.Identity) {
		key = at.String()
	}
	x, known := t.asked[key]
	if !known && len(t.asked) >= mostAsked {
		b.Note = "policies are asked about the first ends only: weft policy explain tells of this one"
		return
	}
	if !known {
		answers, err := explain.Explain(t.r, t.Tables, "", t.seenAs(row), at.String()+"/"+callee.ProtocolName(t.to.Protocol))
		if err == nil && len(answers) > 0 {
			x = &answers[0]
		} else if err != nil {
			b.Note = "policies cannot be asked: " + err.Error()
		}
		t.asked[key] = x
	}
	if b.Policy = x; x != nil && !isReserved(row.Identity) {
		own := *x
		own.To.Name, own.To.Address = t.callerAt(t.r, at.Addr()).name, at.Addr().String()
		b.Policy = &own
	}
}
