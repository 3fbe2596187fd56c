package packet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/table"
)

type command = func(ts *testscript.TestScript, neg bool, args []string)

// declared are commands that are declared in a file of their own.
var declared = map[string]command{}

func declare(name string, c command) string {
	declared[name] = c
	return name
}

func commands() map[string]command {
	all := map[string]command{
		"config": with(func(b *bench, ts *testscript.TestScript, args []string) { b.configure(ts, options(args)) }),
		"nic": opened(func(b *bench, ts *testscript.TestScript, args []string) {
			o := options(args)
			ts.Check(b.addNICIn(number(cmp.Or(o["network"], "0")), args[0], addrs(args[1]), identity.Number(number(o["identity"]))))
		}),
		"node": opened(func(b *bench, ts *testscript.TestScript, args []string) {
			for _, a := range addrs(args[0]) {
				ts.Check(b.ipcache.Set(context.Background(), []table.IPCacheRow{{
					Prefix: netip.PrefixFrom(a, a.BitLen()), Identity: identity.Host, Flags: table.IPCacheLocal | table.IPCacheNode | table.IPCacheCluster,
				}}))
			}
		}),
		"firewall": opened(firewall),
		"open":     opened(openBefore),
		"device": opened(func(b *bench, ts *testscript.TestScript, args []string) {
			ifindex, err := b.addDevice(args[0])
			ts.Check(err)
			b.devices[args[0]] = table.NIC{Ifindex: ifindex}
		}),
		"wire":    opened(wire),
		"ipcache": opened(putIPCache),
		"policy":  opened(policyEntry),
		"range":   opened(policyRange),
		"enforce": opened(func(b *bench, ts *testscript.TestScript, args []string) { ts.Check(b.enforce(args[0])) }),
		"become":  opened(func(b *bench, ts *testscript.TestScript, args []string) { ts.Check(b.become(args[0], args[1])) }),
		"service": opened(service), "forget": opened(forget),
		"world":   opened(world),
		"packets": opened(packets),
		"send":    opened(send),
		"answer":  opened(answer),
		"error":   opened(icmpError),
		"flood":   opened(flood),
		"sweep":   opened(sweep),
		"refused": opened(refused),
		"reload": opened(func(b *bench, ts *testscript.TestScript, args []string) {
			b.configure(ts, options(args))
			b.changed = true
			ts.Check(b.dp.Reload(b.config))
		}),
		"age":      opened(age),
		"ends":     opened(ended),
		"pass":     opened(pass),
		"refusals": opened(refusals),
		"counters": opened(counters),

		"connections": opened(connections),
		"handshakes":  opened(handshakes),
	}
	maps.Copy(all, declared)
	return all
}

func with(f func(*bench, *testscript.TestScript, []string)) command {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("a packet command is not to be negated")
		}
		f(ts.Value("bench").(*bench), ts, args)
	}
}

func opened(f func(*bench, *testscript.TestScript, []string)) command {
	return with(func(b *bench, ts *testscript.TestScript, args []string) {
		ts.Check(b.open())
		ts.Check(b.hold())
		f(b, ts, args)
	})
}

func (b *bench) configure(ts *testscript.TestScript, o map[string]string) {
	for k, v := range o {
		switch k {
		case "overlay":
			ifindex, err := b.addDevice(v)
			ts.Check(err)
			b.config.OverlayIfindex = ifindex
			b.devices[v] = table.NIC{Ifindex: ifindex}
		case "port":
			b.config.TunnelPort = uint16(number(v))
		case "connections": // rows of the table
			b.config.Entries["connections"] = uint32(number(v))
		case "events": // in a second
			b.config.EventsPerSecond = uint32(number(v))
		case "tcp-open":
			b.tell("lives", config.LivesOf(settings.Lives{TCP: time.Duration(number(v)) * time.Second}))
		case "tunnel":
			b.config.Tunnel = netip.MustParseAddr(v)
		case "ports": // that masquerade may take
			first, last, _ := strings.Cut(v, "-")
			b.config.NATPortMin, b.config.NATPortMax = uint16(number(first)), uint16(number(last))
		case "outside": // addresses of this node, one a family, with which calls of services from outside go on
			if v == "off" { // as if no key asked for it
				c, _ := b.config.Constants["services_here"].(abi.LbConfig)
				c.Outside, c.HostPorts = 0, 0
				b.tell("services_here", c)
				continue
			}
			b.config.NATPortMin, b.config.NATPortMax = 10000, 29999
			c := abi.LbConfig{Outside: 1, HostPorts: 1, NodePortMin: 30000, NodePortMax: 32767, CallKey: maglev.KeyOf(maglev.Seed{})}
			for _, a := range addrs(v) {
				if a.Is4() {
					c.Node4 = abi.From(a)
				} else {
					c.Node6 = abi.From(a)
				}
			}
			b.tell("services_here", c)
		case "geneve": // the device of the overlay for calls by DSR; none: there is to be one, and is not; off: there is none
			if v == "off" {
				b.tell("geneve", abi.GeneveConfig{})
				continue
			}
			c := abi.GeneveConfig{On: 1, Port: attach.GenevePort}
			if v != "none" {
				ifindex, err := b.addDevice(v)
				ts.Check(err)
				c.Ifindex, b.devices[v] = ifindex, table.NIC{Ifindex: ifindex}
			}
			b.tell("geneve", c)
		case "silent": // calls of services without backends are not answered
			b.config.Silent = true
		case "masquerade4":
			b.config.Masquerade4, _ = netip.ParseAddr(v)
		case "masquerade6":
			b.config.Masquerade6, _ = netip.ParseAddr(v)
		default:
			ts.Fatalf("config has no %s", k)
		}
	}
}

// tell gives programs a constant of a feature.
func (b *bench) tell(variable string, value any) {
	all := maps.Clone(b.config.Constants)
	if all == nil {
		all = map[string]any{}
	}
	all[variable] = value
	b.config.Constants = all
}

func putIPCache(b *bench, ts *testscript.TestScript, args []string) {
	o := options(args)
	prefix, err := netip.ParsePrefix(args[0])
	if err != nil {
		a := netip.MustParseAddr(args[0])
		prefix = netip.PrefixFrom(a, a.BitLen())
	}
	row := table.IPCacheRow{Network: number(cmp.Or(o["network"], "0")), Prefix: prefix, Identity: identity.Number(number(cmp.Or(o["identity"], "0")))}
	for _, f := range strings.Split(o["flags"], ",") {
		row.Flags |= map[string]table.IPCacheFlag{"local": table.IPCacheLocal, "node": table.IPCacheNode, "cluster": table.IPCacheCluster, "direct": table.IPCacheDirect, "vtep": table.IPCacheVTEP, "portless": table.IPCachePortless}[f]
	}
	if t := o["tunnel"]; t != "" {
		row.Tunnel = netip.MustParseAddr(t)
	}
	row.Ifindex = uint32(number(cmp.Or(o["ifindex"], "0")))
	if slices.Contains(args, "gone") {
		ts.Check(b.ipcache.Unset(context.Background(), []table.IPCacheRow{row}))
		return
	}
	if m := o["mac"]; m != "" {
		mac, err := net.ParseMAC(m)
		ts.Check(err)
		copy(row.MAC[:], mac)
	}
	ts.Check(b.ipcache.Set(context.Background(), []table.IPCacheRow{row}))
}

var protocols = map[string]uint8{"any": 0, "icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132, "igmp": 2, "ipip": 4, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51, "vrrp": 112}

func policyEntry(b *bench, ts *testscript.TestScript, args []string) {
	e := policy.Entry{Peer: identity.Number(number(args[2])), Verdict: policy.Allow, Precedence: policy.PrecedenceAllow, Match: policy.MatchL3L4}
	e.Direction = map[string]policy.Direction{"ingress": policy.Ingress, "egress": policy.Egress}[args[1]]
	protocol, port, hasPort := strings.Cut(args[3], "/")
	e.Protocol = protocols[protocol]
	if hasPort {
		e.Port, e.PortBits = uint16(number(port)), 16
	}
	switch args[4] {
	case "deny":
		e.Verdict, e.Precedence = policy.Deny, policy.PrecedenceDeny
	case "implicit":
		e.Verdict, e.Precedence, e.Match = policy.DenyImplicit, policy.PrecedenceDefault, policy.MatchNone
	}
	if args[4] == "pass" {
		e.Verdict, e.Precedence = policy.Pass, policy.PrecedenceDefault
	}
	o := options(args)
	e.Tier = map[string]policy.Tier{"admin": policy.Admin, "baseline": policy.Baseline}[o["tier"]]
	e.View = map[string]policy.View{"as-meant": policy.AsMeant, "as-staged": policy.AsStaged}[o["view"]]
	if rank := o["rank"]; rank != "" {
		e.Precedence |= number(rank) << 8
	}
	list := b.entries[args[0]]
	for i := range list {
		if list[i].Compare(e) == 0 {
			list[i] = e
			return
		}
	}
	b.entries[args[0]] = append(list, e)
}

func policyRange(b *bench, ts *testscript.TestScript, args []string) {
	place := map[string]policy.Place{"outside": policy.Outside, "node": policy.Node, "pod": policy.Pod}[args[1]]
	r := policy.Range{Place: place, Prefix: netip.MustParsePrefix(args[2]), Class: identity.Number(number(args[3]))}
	list := slices.DeleteFunc(b.ranges[args[0]], func(o policy.Range) bool { return o.Compare(r) == 0 })
	if len(args) < 5 { // else it is taken away
		list = append(list, r)
	}
	b.ranges[args[0]] = list
}

func service(b *bench, ts *testscript.TestScript, args []string) {
	o := options(args)
	at, protocol, _ := strings.Cut(args[0], "/")
	front := netip.MustParseAddrPort(at)
	row := table.Frontend{Address: front.Addr(), Port: front.Port(), Protocol: protocols[protocol], Name: "service"}
	if s := o["affinity"]; s != "" {
		row.AffinitySeconds = number(s)
	}
	if size := o["maglev"]; size != "" {
		row.Maglev = maglev.Shape{Size: number(size)}
	}
	for _, text := range strings.FieldsFunc(o["sources"], func(r rune) bool { return r == ',' }) {
		prefix, denied := strings.CutPrefix(text, "!")
		row.Sources = append(row.Sources, table.Source{Prefix: netip.MustParsePrefix(prefix), Allowed: !denied})
	}
	for _, a := range args[1:] {
		if strings.Contains(a, "=") {
			continue
		}
		if scope, ok := map[string]table.Scope{"outside": table.ScopeOutside, "here": table.ScopeHere, "behind": table.ScopeBehind}[a]; ok {
			row.Scope = scope
			continue
		}
		if a == "gone" {
			ts.Check(b.lb.Unset(context.Background(), []table.Frontend{row}))
			return
		}
		if a == "direct" || a == "silent" || a == "passes" {
			row.Direct, row.Silent, row.Passes = row.Direct || a == "direct", row.Silent || a == "silent", row.Passes || a == "passes"
			continue
		}
		a, leaves := strings.CutSuffix(a, ",terminating")
		a, far := strings.CutSuffix(a, ",far")
		back := netip.MustParseAddrPort(a)
		row.Backends = append(row.Backends, table.Backend{Address: back.Addr(), Port: back.Port(), Terminating: leaves, Far: far})
	}
	ts.Check(b.lb.Set(context.Background(), []table.Frontend{row}))
}

// forget takes a frontend of ADDR:PORT/PROTO away.
func forget(b *bench, ts *testscript.TestScript, args []string) {
	at, protocol, _ := strings.Cut(args[0], "/")
	front := netip.MustParseAddrPort(at)
	row := table.Frontend{Address: front.Addr(), Port: front.Port(), Protocol: protocols[protocol]}
	ts.Check(b.lb.Unset(context.Background(), []table.Frontend{row}))
}

func send(b *bench, ts *testscript.TestScript, args []string) {
	name, rest, _ := strings.Cut(args[1], ",")
	o := options(strings.Split(rest, ","))
	n, ok := b.devices[name]
	if !ok {
		ts.Fatalf("no device %s", name)
	}
	in := skb{Ifindex: n.Ifindex}
	for name, to := range map[string]*uint32{"mark": &in.Mark, "gso": &in.GSOSize} {
		if o[name] != "" {
			*to = number(o[name])
		}
	}
	if o["iif"] != "" {
		in.IngressIfindex = b.devices[o["iif"]].Ifindex
		if o["iif"] == "lo" {
			in.IngressIfindex = 1
		}
	}
	var tags []uint16
	for tag := range strings.SplitSeq(o["vlan"], "+") {
		if tag != "" {
			tags = append(tags, uint16(number(tag)))
		}
	}
	slices.Reverse(tags)
	text, err := b.sendAs(args[0], in, in.Mark != 0 && o["by"] != "socket", tags, args[2])
	ts.Check(err)
	_, err = ts.Stdout().Write([]byte(text))
	ts.Check(err)
}

var ends = regexp.MustCompile(`(tcp|udp|sctp) (\S+) > (\S+)`)

// answer sends what answers the last packet that was let go: from its target to its source, as they were when it left.
func answer(b *bench, ts *testscript.TestScript, args []string) {
	last := ends.FindStringSubmatch(b.left)
	if last == nil {
		ts.Fatalf("nothing to answer: %q", b.left)
	}
	send(b, ts, append(args[:2:2], fmt.Sprintf("%s %s > %s %s", last[1], last[3], last[2], args[2])))
}

// icmpError sends an ICMP error about that packet, from its target.
func icmpError(b *bench, ts *testscript.TestScript, args []string) {
	last := ends.FindStringSubmatch(b.left)
	if last == nil {
		ts.Fatalf("nothing to complain of: %q", b.left)
	}
	from, to := netip.MustParseAddrPort(last[3]).Addr(), netip.MustParseAddrPort(last[2]).Addr()
	send(b, ts, append(args[:2:2], fmt.Sprintf("icmp %s > %s %s {%s}", from, to, args[2], b.left[strings.Index(b.left, last[0]):])))
}

func addrs(text string) []netip.Addr {
	var list []netip.Addr
	for _, a := range strings.Split(text, ",") {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

func options(args []string) map[string]string {
	o := map[string]string{}
	for _, a := range args {
		if k, v, ok := strings.Cut(a, "="); ok {
			o[k] = v
		}
	}
	return o
}
