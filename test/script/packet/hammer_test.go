package packet

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	kubeyaml "sigs.k8s.io/yaml"

	"weftnet.io/weftnet/internal/datapath"
	derived "weftnet.io/weftnet/internal/derive/policy"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/test/oracle"
)

var seed = flag.Uint64("hammer.seed", 0, "of the hammer's packets; 0: another each time")

// hammered are the pods, and two policies for db that come to the same in different ways: by prefixes, names and ranges of
// ports, by what is denied and by what nothing allows.
var hammered = map[string]string{
	"pods": `
- {kind: Namespace, metadata: {name: shop, labels: {team: blue}}}
- {kind: Namespace, metadata: {name: blog, labels: {team: red}}}
- {kind: Node, metadata: {name: a}, status: {addresses: [{address: 172.18.0.1}]}}
- {kind: Pod, metadata: {namespace: shop, name: db, labels: {app: db}}, status: {podIP: 10.0.1.6}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}}
- {kind: Pod, metadata: {namespace: shop, name: web, labels: {app: web}}, status: {podIP: 10.0.1.5}, spec: {containers: [{name: c}]}}
- {kind: Pod, metadata: {namespace: shop, name: api, labels: {app: api}}, status: {podIP: 10.0.1.7}, spec: {containers: [{name: c}]}}
- {kind: Pod, metadata: {namespace: blog, name: web, labels: {app: web}}, status: {podIP: 10.0.1.8}, spec: {containers: [{name: c}]}}
`,
	"A": `
- kind: CiliumNetworkPolicy
  metadata: {namespace: shop, name: a}
  spec:
    endpointSelector: {matchLabels: {app: db}}
    ingress:
    - {fromEndpoints: [{matchLabels: {app: web}}], toPorts: [{ports: [{port: http, protocol: TCP}, {port: "53", protocol: UDP}]}]}
    - {fromCIDR: [8.8.0.0/16, 192.0.2.0/24], toPorts: [{ports: [{port: "1024", endPort: 2047, protocol: TCP}]}]}
    ingressDeny:
    - {fromEndpoints: [{matchLabels: {app: api}}]}
    - {fromCIDRSet: [{cidr: 9.0.0.0/8}]}
`,
	"B": `
- kind: CiliumClusterwideNetworkPolicy
  metadata: {name: b}
  spec:
    endpointSelector: {matchLabels: {app: db}}
    ingress:
    - {toPorts: [{ports: [{port: "70", endPort: 90, protocol: TCP}, {port: "53"}]}], fromEndpoints: [{matchExpressions: [{key: app, operator: In, values: [web, none]}]}]}
    - {fromCIDRSet: [{cidr: 0.0.0.0/0, except: [9.0.0.0/8, 7.0.0.0/8]}], toPorts: [{ports: [{port: "0", protocol: TCP}]}]}
    ingressDeny:
    - {fromEndpoints: [{matchLabels: {"k8s:io.cilium.k8s.namespace.labels.team": red}}]}
    - {fromCIDR: [7.0.0.0/8]}
`,
}

func hammeredWorld(t *testing.T, which string) *oracle.World {
	w := &oracle.World{Cluster: "default", Mode: "default"}
	for _, text := range []string{hammered["pods"], hammered[which]} {
		var list []oracle.Object
		if err := kubeyaml.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		for _, o := range list {
			to := map[any]*[]oracle.Object{"Namespace": &w.Namespaces, "Pod": &w.Pods, "Node": &w.Nodes}[o["kind"]]
			if to == nil {
				to = &w.Policies
			}
			*to = append(*to, o)
		}
	}
	return w
}

// probe is a packet that is sent again and again, from many ports, and what each of the policies says of it.
type probe struct {
	from, to, what string
	ends           [2]netip.Addr
	program        string
	ifindex, iif   uint32
	allowed        bool
	by             [2][]string
}

// probes has every packet of which both policies say the same.
func (b *bench) probes(t *testing.T, worlds [2]*oracle.World) (out []probe) {
	b.devices["outside"] = table.NIC{}
	ifindex, err := b.addDevice("outside")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"shop/web", "shop/api", "blog/web", "8.8.8.8", "192.0.2.1", "9.1.1.1", "7.1.1.1", "5.5.5.5"} {
		for _, what := range []string{"tcp/80", "tcp/81", "udp/53", "tcp/1500", "tcp/3000"} {
			p := probe{from: from, to: "shop/db", what: what, program: "from_pod", ifindex: b.devices[from].Ifindex}
			p.ends = [2]netip.Addr{b.address(from), b.address(p.to)}
			peer := oracle.Reserved("world-ipv4", from)
			if namespace, name, isPod := strings.Cut(from, "/"); isPod {
				peer = worlds[0].Pod(namespace, name)
			} else {
				p.program, p.ifindex, p.iif = "to_pod", b.devices[p.to].Ifindex, ifindex
			}
			protocol, number, _ := strings.Cut(what, "/")
			packet := oracle.Packet{Ingress: true, Peer: peer, Protocol: strings.ToUpper(protocol)}
			_, _ = fmt.Sscan(number, &packet.Port)
			var verdicts [2]bool
			for i, w := range worlds {
				packet.Subject = w.Pod("shop", "db")
				answer := w.Judge(packet)
				verdicts[i], p.by[i] = answer.Verdict == "allow", answer.By
			}
			if p.allowed = verdicts[0]; verdicts[0] == verdicts[1] {
				out = append(out, p)
			}
		}
	}
	return out
}

// hammer sends packets without pause until told to stop. No packet may meet anything but one of the two policies.
func (b *bench) hammer(t *testing.T, random *rand.Rand, probes []probe, stop *atomic.Bool) (sent, judged int, met [2]int) {
	for !stop.Load() {
		p := probes[random.IntN(len(probes))]
		line := line(p.ends[0], p.ends[1], p.what, 20000+random.IntN(100))
		verdict, err := b.run(p.program, p.ifindex, 0, p.iif, line)
		if err != nil {
			t.Error(err)
			return sent, judged, met
		}
		have, err := b.outcome(verdict)
		if err != nil || (have.verdict == "allow") != p.allowed {
			t.Errorf("%s: have %+v (%v); A: %v, B: %v, allowed by both: %v", line, have, err, p.by[0], p.by[1], p.allowed)
			return sent, judged, met
		}
		sent++
		if len(have.rules) == 0 && p.allowed {
			continue // open already, and no change since
		}
		judged++
		known := false
		for i := range met {
			if slices.Equal(have.rules, p.by[i]) {
				met[i]++
				known = true
			}
		}
		if !known {
			t.Errorf("%s: %+v is neither A's %v nor B's %v", line, have, p.by[0], p.by[1])
			return sent, judged, met
		}
	}
	return sent, judged, met
}

func TestNoPacketMeetsNeitherTheOldPolicyNorTheNew(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: runs programs in the kernel")
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-hammer.seed=%d", *seed)
	b, err := newBench()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	b.config.Entries["connections"] = 65536
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	worlds := [2]*oracle.World{hammeredWorld(t, "A"), hammeredWorld(t, "B")}
	lists := map[uint32][]string{}
	var entries [2][]policy.Entry
	var ranges [2][]policy.Range
	for i, w := range worlds {
		if err := b.enter(w); err != nil {
			t.Fatal(err)
		}
		entries[i], ranges[i] = b.entries["shop/db"], b.ranges["shop/db"]
		for number, list := range b.lists {
			lists[number] = list
		}
	}
	b.lists = lists
	probes := b.probes(t, worlds)
	var stop atomic.Bool
	done := make(chan struct{})
	var sent, judged int
	var met [2]int
	go func() {
		defer close(done)
		sent, judged, met = b.hammer(t, rand.New(rand.NewPCG(*seed, 0)), probes, &stop)
	}()
	const changes = 1000
	for i := range changes {
		if i == changes/2 {
			b.restart(t)
		}
		b.entries["shop/db"], b.ranges["shop/db"] = entries[i%2], ranges[i%2]
		if err := b.enforce("shop/db"); err != nil {
			t.Error(err)
			break
		}
	}
	stop.Store(true)
	<-done
	t.Logf("%d changes, %d probes, %d packets, %d judged: %d as A says, %d as B says", changes, len(probes), sent, judged, met[0], met[1])
	if sent < changes || met[0] == 0 || met[1] == 0 {
		t.Error("too few packets were under way to tell anything")
	}
}

// restart puts sinks in the place of those there were that know nothing but what the kernel has, as a new agent does. The
// packets go on through the programs of the one before.
func (b *bench) restart(t *testing.T) {
	b.changed = true
	dp, err := datapath.Open(b.dp.dir, b.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dp.Close() })
	b.tables, b.db = table.New()
	revisions := bpfmap.NewRevisions(dp)
	if b.nics, err = bpfmap.NewNICs(b.db, b.tables.NICStatuses, dp, revisions, func(uint32) bool { return false }, b.exempt); err != nil {
		t.Fatal(err)
	}
	if b.sets, err = bpfmap.NewSets(b.db, b.tables.SetStatuses, dp, revisions, derived.ListNumber); err != nil {
		t.Fatal(err)
	}
}
