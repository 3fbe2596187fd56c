package packet

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/bpf/abi"
	derived "weftnet.io/weftnet/internal/derive/policy"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/test/oracle"
	"weftnet.io/weftnet/test/oracle/product"
)

// world makes the pods of these files NICs of this node, which is node a, and puts in force what their policies say. What
// an earlier world had and this one has, too, stays as it is.
func world(b *bench, ts *testscript.TestScript, args []string) {
	o := options(args)
	w := &oracle.World{
		Cluster: "default", Mode: "default", HostPolicy: o["allow-localhost"] == "policy", NodeLabels: o["node-labels"] == "true",
		CIDRNodes: strings.Contains(o["cidr"], "nodes"), CIDRPods: strings.Contains(o["cidr"], "pods"),
	}
	if o["mode"] != "" {
		w.Mode = o["mode"]
	}
	for _, file := range args {
		if strings.Contains(file, "=") {
			continue
		}
		objects, problems := manifest.Read(file, []byte(ts.ReadFile(file)))
		for _, p := range problems {
			ts.Fatalf("%s: %s", p.Position, p.Message)
		}
		for _, m := range objects {
			var raw oracle.Object
			ts.Check(json.Unmarshal(m.JSON, &raw))
			list := map[string]*[]oracle.Object{
				"Namespace": &w.Namespaces, "Pod": &w.Pods, "Node": &w.Nodes, "Service": &w.Services, "EndpointSlice": &w.Slices, "CiliumCIDRGroup": &w.Groups,
			}[m.Kind]
			if list == nil {
				list = &w.Policies
			}
			*list = append(*list, raw)
		}
	}
	ts.Check(b.enter(w))
}

// enter puts a world in force.
func (b *bench) enter(w *oracle.World) error {
	p, err := product.New(w)
	if err != nil {
		return err
	}
	b.world, b.lists = w, map[uint32][]string{}
	for _, raw := range w.Nodes {
		name := raw["metadata"].(oracle.Object)["name"].(string)
		row := table.IPCacheRow{Identity: identity.RemoteNode, Flags: table.IPCacheNode | table.IPCacheCluster}
		if name == "a" {
			row.Identity, row.Flags = identity.Host, row.Flags|table.IPCacheLocal
		}
		at := w.NodeEnd(name, name == "a").Address
		row.Prefix = netip.PrefixFrom(at, at.BitLen())
		if err := b.ipcache.Set(context.Background(), []table.IPCacheRow{row}); err != nil {
			return err
		}
	}
	for _, raw := range w.Pods {
		meta := raw["metadata"].(oracle.Object)
		end := w.Pod(meta["namespace"].(string), meta["name"].(string))
		set, ok := p.Set(end)
		if !ok {
			return fmt.Errorf("pod %s has no policy set", end.Name)
		}
		if _, there := b.devices[end.Name]; !there {
			if err := b.addPod(end, p.Identity(end)); err != nil {
				return err
			}
		}
		for _, e := range set.Entries {
			number := derived.ListNumber(e.Rules)
			b.lists[number] = nil
			for _, o := range e.Rules {
				b.lists[number] = append(b.lists[number], o.String())
			}
		}
		b.entries[end.Name], b.ranges[end.Name] = set.Entries, set.Ranges
		if err := b.enforce(end.Name); err != nil {
			return err
		}
	}
	return nil
}

// addPod makes a NIC whose device has no slash in its name.
func (b *bench) addPod(end oracle.End, id identity.Number) error {
	device := strings.ReplaceAll(end.Name, "/", "-")
	if err := b.addNIC(device, []netip.Addr{end.Address}, id); err != nil {
		return err
	}
	b.devices[end.Name] = b.devices[device]
	delete(b.devices, device)
	return nil
}

// packets sends a packet for each line of a file, `FROM TO PROTOCOL[/PORT] VERDICT [RULE, RULE…]`: the first of a
// connection. FROM and TO are pods or addresses, one of them a pod; VERDICT is allow, deny, or default-deny. The rules are
// those that decided: of a packet that passes, in either direction.
func packets(b *bench, ts *testscript.TestScript, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		b.calls++
		sent, err := b.call(fields[0], fields[1], fields[2], 20000+b.calls)
		ts.Check(err)
		var want []string
		if rest := strings.Join(fields[4:], " "); rest != "" {
			want = strings.Split(rest, ", ")
		}
		slices.Sort(want)
		if sent.verdict != fields[3] || !slices.Equal(sent.rules, want) {
			ts.Fatalf("%s\nhave %s by %q", line, sent.verdict, sent.rules)
		}
	}
}

// outcome is what became of a packet.
type outcome struct {
	verdict string
	rules   []string
}

// call sends the first packet of a connection.
func (b *bench) call(from, to, what string, port int) (outcome, error) {
	program, at, o := "from_pod", from, ""
	if _, isPod := b.devices[from]; !isPod { // it comes in from elsewhere, or is this node's own
		program, at = "to_pod", to
		if b.world.NodeEnd("a", true).Address.String() != from {
			o = "outside"
		}
	}
	device, ok := b.devices[at]
	if !ok {
		return outcome{}, fmt.Errorf("%s: no such pod", at)
	}
	var iif uint32
	if o != "" {
		if _, there := b.devices[o]; !there {
			ifindex, err := b.addDevice(o)
			if err != nil {
				return outcome{}, err
			}
			b.devices[o] = table.NIC{Ifindex: ifindex}
		}
		iif = b.devices[o].Ifindex
	}
	line := line(b.address(from), b.address(to), what, port)
	text, err := b.run(program, device.Ifindex, 0, iif, line)
	if err != nil {
		return outcome{}, fmt.Errorf("%s: %w", line, err)
	}
	return b.outcome(text)
}

// address is that of a pod, or the address that it is already.
func (b *bench) address(place string) netip.Addr {
	if namespace, name, ok := strings.Cut(place, "/"); ok {
		return b.world.Pod(namespace, name).Address
	}
	return netip.MustParseAddr(place)
}

// line writes a packet: tcp/80, udp/53, sctp/80; icmp/8, icmp6/128 are echo requests.
func line(from, to netip.Addr, what string, port int) string {
	protocol, number, _ := strings.Cut(what, "/")
	switch protocol {
	case "icmp", "icmp6":
		return fmt.Sprintf("icmp %s > %s echo %d 1", from, to, port)
	case "tcp":
		return fmt.Sprintf("tcp %s > %s:%s S", netip.AddrPortFrom(from, uint16(port)), bracketed(to), number)
	case "sctp":
		return fmt.Sprintf("sctp %s > %s:%s init", netip.AddrPortFrom(from, uint16(port)), bracketed(to), number)
	}
	return fmt.Sprintf("%s %s > %s:%s len 10", protocol, netip.AddrPortFrom(from, uint16(port)), bracketed(to), number)
}

func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// outcome reads the events that a packet made, and what became of it.
func (b *bench) outcome(verdict uint32) (out outcome, err error) {
	out.verdict = "allow"
	b.events.SetDeadline(time.Unix(1, 0)) // only what is there already
	var passed []string
	for {
		record, err := b.events.Read()
		if err != nil {
			break // past the deadline: nothing more is there
		}
		var e abi.Event
		if _, err := binary.Decode(record.RawSample, binary.NativeEndian, &e); err != nil {
			return out, err
		}
		if e.Type != abi.EventVerdict {
			continue
		}
		switch e.Verdict {
		case abi.VerdictDeny:
			out = outcome{"deny", b.lists[e.Rules]}
		case abi.VerdictDenyImplicit:
			out = outcome{"default-deny", b.lists[e.Rules]}
		default:
			passed = append(passed, b.lists[e.Rules]...)
		}
	}
	if dropped := verdict == 2; dropped != (out.verdict != "allow") {
		return out, fmt.Errorf("the program said %d, and the events say %s", verdict, out.verdict)
	}
	if out.verdict == "allow" {
		out.rules = passed
	}
	out.rules = slices.Compact(slices.Sorted(slices.Values(out.rules)))
	return out, nil
}
