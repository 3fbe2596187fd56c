package packet

import (
	"cmp"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/explain"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/packet"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/test/oracle/raw"
)

var (
	explainSeed   = flag.Int("explain.seed", 1, "of the first world; the next ones follow")
	explainWorlds = flag.Int("explain.worlds", 200, "how many worlds the kernel and explain are asked about")
	explainCalls  = flag.Int("explain.calls", 300, "calls drawn in each of them, most of which can be made")
)

// TestTheKernelDoesWhatExplainSays makes clusters at random, puts them into the kernel as an agent would, and asks the agent's
// explain about calls in them, of each of which one packet is sent: the kernel's verdicts on it are the same, by the same rules.
// For more, go test ./test/script/packet -run Explain -explain.worlds 2000 -explain.seed 41 -timeout 1h.
func TestTheKernelDoesWhatExplainSays(t *testing.T) {
	told := sayAlike(t, false)
	for _, what := range []string{
		"allow", "deny", "deny-implicit", "audit", "staged", "itself", "by way of", "tcp", "udp", "sctp", "icmp", "ip", "pod to pod", "pod to far pod",
		"pod to node", "pod to this node", "pod to world", "pod to service", "pod to node port", "far pod to pod", "far pod to this node", "node to pod",
		"node to this node", "node to node port", "world to pod", "world to this node", "world to node port", "this node to pod", "this node to far pod",
		"this node to node", "this node to world",
	} {
		if told[what] == 0 && *explainWorlds >= 200 {
			t.Errorf("no case was about %s", what)
		}
	}
}

// TestTheKernelDoesWhatExplainSaysWithoutKubeProxy does the same where programs translate what the outside calls.
func TestTheKernelDoesWhatExplainSaysWithoutKubeProxy(t *testing.T) {
	told := sayAlike(t, true)
	for _, what := range []string{
		"allow", "deny", "deny-implicit", "led on", "led to another node", "at its node", "pod to node port", "pod to service", "world to node port", "world to service",
		"world to this node", "far pod to node port", "no backend",
	} {
		if told[what] == 0 && *explainWorlds >= 200 {
			t.Errorf("no case was about %s", what)
		}
	}
}

// sayAlike plays the worlds, and says what they were about.
func sayAlike(t *testing.T, replaces bool) tally {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: runs programs in the kernel")
	}
	b, err := newBench()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	b.config.Silent = true
	for name, n := range map[string]uint32{"connections": 65536, "translations": 65536, "policies": 65536} {
		b.config.Entries[name] = n
	}
	if replaces {
		b.tell("services_here", abi.LbConfig{
			Outside: 1, HostPorts: 1, NodePortMin: 30000, NodePortMax: 32767,
			Node4: abi.From(netip.MustParseAddr("172.18.0.1")), Node6: abi.From(netip.MustParseAddr("fd00:18::1")),
		})
	}
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	s := &stage{bench: b, replaces: replaces}
	if s.wire, err = b.addDevice("wire"); err != nil {
		t.Fatal(err)
	}
	told := tally{}
	for i := range *explainWorlds {
		seed := *explainSeed + i
		w := rapid.Custom(cluster).Example(seed)
		if replaces && seed%2 == 0 {
			raw.Sub(w.Services[len(w.Services)-1], "spec")["externalTrafficPolicy"] = "Local"
		}
		if err := s.play(w); err != nil {
			t.Fatalf("world %d: %v", seed, err)
		}
		random := rand.New(rand.NewPCG(uint64(seed), 0))
		for at := range *explainCalls {
			c, ok := s.draw(random, 20000+at)
			if !ok {
				continue
			}
			if err := s.compare(c, told); err != nil {
				t.Fatalf("-explain.seed %d -explain.worlds 1: %v: %v\n%s", seed, c, err, s.text())
			}
		}
	}
	t.Logf("%v", told)
	return told
}

// tally counts cases by what they were about.
type tally map[string]int

// call is one question, and the packet that answers it.
type call struct {
	from, to       end
	six            bool
	what           string // of the question: 80, 53/udp, icmp/13, gre
	source, target string // of the question
	line           string // the packet
}

func (c call) String() string {
	return fmt.Sprintf("weft policy explain --from %s --to %s (%s to %s): %s", c.source, c.target, c.from.kind, c.to.kind, c.line)
}

var asked = []string{
	"1", "8", "80", "81", "85", "91", "443", "1024", "4240", "8080", "8085", "30090", "65535", "53/udp", "80/udp", "85/udp", "8/udp", "80/sctp", "1024/sctp",
	"icmp", "icmp", "icmp/13", "icmp/15", "icmp/17", "icmp/40", "icmpv6/128", "icmpv6/144", "icmpv6/200", "gre", "esp",
}

// draw makes a call between ends of which one at least is here. False: there is no such packet.
func (s *stage) draw(random *rand.Rand, source int) (c call, ok bool) {
	c = call{six: random.IntN(2) == 0}
	for _, p := range []*end{&c.from, &c.to} {
		list := s.ends[s.kinds[random.IntN(len(s.kinds))]]
		*p = list[random.IntN(len(list))]
	}
	from, to := c.from.address(c.six), c.to.address(c.six)
	here := func(p end) bool { return p.kind == "pod" || p.kind == "this node" }
	offered := c.to.offered != ""
	if c.what = asked[random.IntN(len(asked))]; offered {
		c.what = c.to.offered
	}
	switch {
	case !from.IsValid() || !to.IsValid() || c.from.offered != "" || from == to:
		return c, false
	case !here(c.from) && !here(c.to) && !(c.to.kind == "node port" && s.isHere(to)) && !(s.replaces && c.from.kind == "world" && c.to.kind == "service"):
		return c, false
	case !s.replaces && offered && c.from.kind != "pod" && c.to.kind == "service":
		return c, false // kube-proxy's
	case !s.replaces && c.from.kind != "pod" && s.isOffered(to, c.what): // an external address that is a node's, too
		return c, false
	case offered && (c.from.kind == "this node" || c.from.kind == "far pod" && !s.isOfNode(to, c.what)): // translated where it is sent
		return c, false
	case s.replaces && c.from.kind != "pod" && c.from.kind != "world" && (offered || s.isOffered(to, c.what)) && !s.isOfNode(to, c.what): // the same
		return c, false
	}
	c.source, c.target = c.ask(random)
	name, protocol, _ := strings.Cut(c.what, "/")
	switch {
	case name == "icmp" && protocol == "":
		c.line = fmt.Sprintf("icmp %s > %s echo %d 1", from, to, source)
	case name == "icmp" && c.six, name == "icmpv6" && !c.six:
		return c, false
	case protocol == "128":
		c.line = fmt.Sprintf("icmp %s > %s echo %d 1", from, to, source)
	case name == "icmp", name == "icmpv6":
		c.line = fmt.Sprintf("icmp %s > %s type %s code 0 rest 0", from, to, protocol)
	case name == "gre" || name == "esp":
		c.line = fmt.Sprintf("ip %s > %s proto %d len 10", from, to, map[string]int{"gre": 47, "esp": 50}[name])
	default:
		if protocol == "" {
			protocol = "tcp"
		}
		c.line = line(from, to, protocol+"/"+name, source)
	}
	return c, s.isNew(c)
}

// isOffered tells whether a service has this port at an address of its own: kube-proxy translates it for all but pods.
func (s *stage) isOffered(a netip.Addr, what string) bool {
	number, protocol, _ := strings.Cut(what, "/")
	return slices.ContainsFunc(s.frontends, func(f table.Frontend) bool {
		return f.Address == a && fmt.Sprint(f.Port) == number && protocolNames[f.Protocol] == cmp.Or(protocol, "tcp")
	})
}

// isOfNode tells whether a port is a node port that the node alone knows what it offers at, where programs translate what comes to it.
func (s *stage) isOfNode(a netip.Addr, what string) bool {
	return s.replaces && slices.ContainsFunc(s.frontends, func(f table.Frontend) bool {
		return f.ByNode && f.Address.Is6() == a.Is6() && what == fmt.Sprintf("%d/%s", f.Port, protocolNames[f.Protocol])
	}) && !s.isOffered(a, what)
}

// isCluster tells whether an address is a service's cluster address.
func (s *stage) isCluster(a netip.Addr) bool {
	return slices.ContainsFunc(s.frontends, func(f table.Frontend) bool { return f.Address == a && f.Kind == table.ClusterIP })
}

// isHere tells whether an address is this node's.
func (s *stage) isHere(a netip.Addr) bool {
	return slices.ContainsFunc(s.ends["this node"], func(p end) bool { return p.four == a || p.six == a })
}

// isNew tells whether a packet opens a connection: those that have no port of their sender share a row.
func (s *stage) isNew(c call) bool {
	if !strings.Contains(c.line, " type ") && !strings.Contains(c.line, " proto ") {
		return true
	}
	ends := []string{c.from.address(c.six).String(), c.to.address(c.six).String()}
	slices.Sort(ends)
	key := fmt.Sprint(ends, strings.Fields(c.line)[0], strings.Contains(c.line, "proto 47"))
	was := s.used[key]
	s.used[key] = true
	return !was
}

// ask is how a person names both ends. One of them at least is an address, which says in which family they speak.
func (c *call) ask(random *rand.Rand) (source, target string) {
	source, target = c.from.address(c.six).String(), "["+c.to.address(c.six).String()+"]"
	switch n := random.IntN(3); {
	case n == 0 && c.from.name != "":
		source = c.from.name
	case n == 1 && c.to.name != "":
		target = c.to.name
	}
	return source, target + ":" + c.what
}

// heard is what the kernel said of a packet.
type heard struct {
	verdicts map[abi.Direction]abi.Event
	dropped  string // why, if it was
	to       netip.Addr
	port     uint16 // there, if its protocol has ports
}

// send runs the packet through the program that meets it first.
func (s *stage) send(c call) (h heard, err error) {
	program, device, iif := "from_net", s.wire, s.wire
	switch {
	case c.from.kind == "pod":
		program, device, iif = "from_pod", s.devices[c.from.name].Ifindex, 0
	case c.from.kind == "this node" && c.to.kind == "pod":
		program, device, iif = "to_pod", s.devices[c.to.name].Ifindex, 0
	case c.from.kind == "this node":
		program, iif = "to_net", 0
	}
	frame, err := packet.Parse(c.line)
	if err != nil {
		return h, err
	}
	options := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: skb{Ifindex: device, IngressIfindex: iif}, ContextOut: &skb{}}
	var verdict uint32
	err = s.do(func() error {
		verdict, err = s.dp.Program(program).Run(options)
		return err
	})
	if err != nil {
		return h, err
	}
	from, to := 30, 34 // of the destination in IPv4, without options
	if c.six {
		from, to = 38, 54
	}
	h.to, _ = netip.AddrFromSlice(options.DataOut[from:to])
	if len(options.DataOut) >= to+4 {
		h.port = binary.BigEndian.Uint16(options.DataOut[to+2:])
	}
	if err := s.listen(&h); err != nil {
		return h, err
	}
	if (verdict == 2) != (h.dropped != "") {
		err = fmt.Errorf("%s said %d, and the events say %q", program, verdict, h.dropped)
	}
	return h, err
}

func (s *stage) listen(h *heard) error {
	h.verdicts = map[abi.Direction]abi.Event{}
	s.events.SetDeadline(time.Unix(1, 0)) // only what is there already
	for {
		record, err := s.events.Read()
		if err != nil {
			return nil //nolint:nilerr // past the deadline: nothing more is there
		}
		var e abi.Event
		if _, err := binary.Decode(record.RawSample, binary.NativeEndian, &e); err != nil {
			return err
		}
		switch e.Type {
		case abi.EventVerdict:
			h.verdicts[e.Direction] = e
			if e.Verdict == abi.VerdictDeny || e.Verdict == abi.VerdictDenyImplicit {
				h.dropped = "policy"
			}
		case abi.EventDrop:
			h.dropped = flow.DropText(uint32(e.Reason))
		}
	}
}

// compare asks explain, sends the packet, and says where the two differ.
func (s *stage) compare(c call, told tally) error {
	answers, err := explain.Explain(s.snapshot, s.p.Tables, "", c.source, c.target)
	have, failed := s.send(c)
	if failed != nil {
		return failed
	}
	if s.replaces && strings.HasPrefix(c.line, "sctp") && have.dropped == flow.DropText(uint32(abi.DropNatProtocol)) {
		told["sctp stays"]++ // it has no checksum that could be changed in part, so it is led on to no other node
		return nil
	}
	if s.replaces && c.from.kind == "world" && s.isCluster(c.to.address(c.six)) {
		if err != nil && have.dropped == "" && len(have.verdicts) == 0 {
			return nil // it is left to the stack
		}
		return fmt.Errorf("a cluster address is offered to the outside: explain: %w, %v; the kernel: %+v", err, answers, have)
	}
	if err != nil {
		translated := (s.replaces || c.from.kind == "pod") && !strings.HasPrefix(c.what, "200") && // else kube-proxy finds none, or the node that is called
			(!s.isOfNode(c.to.address(c.six), c.what) || s.isHere(c.to.address(c.six)))
		if strings.Contains(err.Error(), "no backend") && (!translated || have.dropped == flow.DropText(uint32(abi.DropNoBackend))) {
			told["no backend"]++
			return nil
		}
		return fmt.Errorf("explain: %w; the kernel: %+v", err, have)
	}
	at := func(x agentv1.Explanation) string { return cmp.Or(x.To.Address, x.To.Name) }
	answer := answers[0]
	served := func(x agentv1.Explanation) bool { return strings.HasSuffix(x.Port, fmt.Sprint("/", have.port)) }
	for _, alike := range []func(agentv1.Explanation) bool{ // who serves, else one who is the same to policies
		func(x agentv1.Explanation) bool { return served(x) && at(x) == have.to.String() },
		func(x agentv1.Explanation) bool {
			return served(x) && x.To.Identity == s.identityAt(have.to) && x.From.Name != x.To.Name
		},
	} {
		if i := slices.IndexFunc(answers, alike); i >= 0 {
			answer = answers[i]
			break
		}
	}
	if len(answer.Notes) > 0 && strings.HasPrefix(answer.Notes[0], "the call must enter the cluster at node") && have.dropped == flow.DropText(uint32(abi.DropNoBackend)) {
		told["must enter elsewhere"]++
		return nil
	}
	if err := s.same(c, answer, have, told); err != nil {
		return fmt.Errorf("%w (%d answers)", err, len(answers))
	}
	return nil
}

// identityAt is the identity that has an address.
func (s *stage) identityAt(a netip.Addr) uint32 {
	for _, h := range s.ipcache {
		if h.Prefix.IsSingleIP() && h.Prefix.Addr() == a {
			return uint32(h.Identity)
		}
	}
	return 0
}

// same holds each side that is judged on this node against what explain says of it.
func (s *stage) same(c call, x agentv1.Explanation, have heard, told tally) error {
	sides := map[abi.Direction]*agentv1.PolicySide{}
	if c.from.kind == "pod" || c.from.kind == "this node" {
		sides[abi.DirectionEgress] = &x.Egress
	}
	reached := s.reaches(have.to)
	switch {
	case x.Via != nil && s.replaces && s.isHere(c.to.address(c.six)):
		told["led on"]++
		if told["led to another node"]++; reached {
			told["led to another node"]--
			sides[abi.DirectionIngress] = &x.Ingress
		}
	case x.Via != nil && s.replaces:
		told["at its node"]++
	case x.Via != nil && s.isHere(c.to.address(c.six)):
		sides[abi.DirectionIngress] = &x.Via.Ingress
		told["by way of"]++
	case x.Via == nil && reached:
		sides[abi.DirectionIngress] = &x.Ingress
	}
	told["calls"]++
	told[c.from.kind+" to "+c.to.kind]++
	told[strings.Fields(c.line)[0]]++
	if x.From.Name == x.To.Name {
		told["itself"]++
	}
	denied := ""
	for _, d := range []abi.Direction{abi.DirectionEgress, abi.DirectionIngress} {
		side := sides[d]
		e, spoke := have.verdicts[d]
		switch {
		case side == nil && spoke:
			return fmt.Errorf("the kernel judged %s as %s, which is no matter of this node: %+v", d, e.Verdict, x)
		case side == nil || denied != "":
			continue
		}
		if err := s.sameSide(*side, e, spoke, told); err != nil {
			return fmt.Errorf("%s, to %s: %w: %+v", d, have.to, err, x)
		}
		if strings.HasPrefix(side.Verdict, "deny") {
			denied = side.Verdict
		}
	}
	if (denied != "") != (have.dropped != "") {
		return fmt.Errorf("explain: %q, and the packet was dropped for %q: %+v", denied, have.dropped, x)
	}
	return nil
}

// reaches tells whether the packet's last judge is here: of a pod here, or this node itself.
func (s *stage) reaches(at netip.Addr) bool {
	return s.isHere(at) || slices.ContainsFunc(s.ends["pod"], func(p end) bool { return p.four == at || p.six == at })
}

// sameSide compares verdicts, the rules that decide, and what staged policies would do.
func (s *stage) sameSide(side agentv1.PolicySide, e abi.Event, spoke bool, told tally) error {
	verdict := "allow"
	if spoke {
		verdict = policy.Verdict(e.Verdict).String()
	}
	told[side.Verdict]++
	if verdict != side.Verdict {
		return fmt.Errorf("the kernel says %s by %v", verdict, s.lists[e.Rules])
	}
	if !spoke {
		if len(side.Rules) > 0 {
			return fmt.Errorf("the kernel was not asked")
		}
		return nil
	}
	rules := s.lists[e.Rules]
	unnamed := len(rules) == 0 && verdict == "allow" // this node reaches its own workloads, whatever rules say
	for _, rule := range rules {
		if !slices.Contains(side.Rules, rule) {
			return fmt.Errorf("the kernel names %s", rule)
		}
	}
	if len(rules) == 0 && len(side.Rules) > 0 && !unnamed {
		return fmt.Errorf("the kernel names no rule")
	}
	if staged := policy.Verdict(e.Staged); staged != policy.VerdictNone {
		told["staged"]++
		if side.Staged == nil || side.Staged.Verdict != staged.String() {
			return fmt.Errorf("with what is staged the kernel says %s", staged)
		}
	}
	return nil
}

// forget closes all connections, so that the next packets open theirs.
func (s *stage) forget() error {
	for _, m := range []string{"connections", "translations"} {
		if err := expire(s.bench, m); err != nil {
			return err
		}
	}
	_, _, err := s.dp.Sweep()
	return err
}

// text shows a world.
func (s *stage) text() string {
	var out strings.Builder
	for _, list := range [][]map[string]any{s.w.Policies, s.w.Namespaces, s.w.Pods, s.w.Nodes, s.w.Services, s.w.Slices, s.w.Groups} {
		for _, o := range list {
			fmt.Fprintf(&out, "%v\n", o)
		}
	}
	for setting := range s.p.Settings.All(s.snapshot) {
		fmt.Fprintf(&out, "%s=%s ", setting.Name, setting.Value)
	}
	return out.String()
}
