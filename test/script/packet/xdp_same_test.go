package packet

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/packet"
	"weftnet.io/weftnet/internal/table"
)

// leader makes a node that leads calls from outside on to another node, by tc alone or by XDP before it. What differs between two such
// nodes is the program: devices and neighbours have the same addresses.
func leader(t testing.TB, xdp, direct bool) *bench {
	t.Helper()
	b, err := newBench()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	b.xdp = xdp
	b.config.NATPortMin, b.config.NATPortMax = 10000, 29999
	b.config.Entries["connections"] = 131072 // so that calls that are opening hardly take each other's places, by chance
	own4, own6 := netip.MustParseAddr("192.168.0.1"), netip.MustParseAddr("fd00:1::1")
	b.tell("services_here", abi.LbConfig{
		Outside: 1, HostPorts: 1, NodePortMin: 30000, NodePortMax: 32767, CallKey: maglev.KeyOf(maglev.Seed{}), Node4: abi.From(own4), Node6: abi.From(own6),
	})
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(b.open())
	ifindex, err := b.addDevice("eth0")
	check(err)
	b.devices["eth0"] = table.NIC{Ifindex: ifindex}
	rows := []table.IPCacheRow{
		{Prefix: netip.PrefixFrom(own4, 32), Identity: identity.Host, Flags: table.IPCacheLocal | table.IPCacheNode | table.IPCacheCluster},
		{Prefix: netip.PrefixFrom(own6, 128), Identity: identity.Host, Flags: table.IPCacheLocal | table.IPCacheNode | table.IPCacheCluster},
	}
	for _, a := range []string{"192.168.0.2", "fd00:1::2"} {
		rows = append(rows, table.IPCacheRow{Prefix: netip.MustParsePrefix(prefix(a)), Identity: identity.RemoteNode, Flags: table.IPCacheNode | table.IPCacheCluster})
	}
	for _, a := range []string{"192.168.0.9", "fd00:1::9"} {
		rows = append(rows, table.IPCacheRow{Prefix: netip.MustParsePrefix(prefix(a)), Identity: 400, Flags: table.IPCacheDirect | table.IPCacheCluster})
	}
	check(b.ipcache.Set(context.Background(), rows))
	check(b.do(func() error {
		for _, key := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
			if err := os.WriteFile("/proc/sys/net/"+key, []byte("1"), 0o644); err != nil {
				return err
			}
		}
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		for _, a := range []string{"192.168.0.1/24", "fd00:1::1/64"} {
			if err := wireAddress(l, a); err != nil {
				return err
			}
		}
		for i, host := range []string{"2", "9", "50", "51"} {
			for _, link := range []string{"192.168.0.", "fd00:1::"} {
				if err := wireAddress(l, fmt.Sprintf("%s%s=02:00:00:00:01:%02x", link, host, i)); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	for _, protocol := range []uint8{6, 17} {
		for _, family := range [][2]string{{"0.0.0.0", "192.168.0."}, {"::", "fd00:1::"}} { // in one order: rows name numbers that are given out
			at, link := family[0], family[1]
			check(b.lb.Set(context.Background(), []table.Frontend{
				{Address: netip.MustParseAddr(at), Port: 30090, Protocol: protocol, Scope: table.ScopeOutside, Name: "pod", Direct: direct, Backends: []table.Backend{{Address: netip.MustParseAddr(link + "9"), Port: 8080}}},
				{Address: netip.MustParseAddr(at), Port: 30091, Protocol: protocol, Scope: table.ScopeOutside, Name: "node", Backends: []table.Backend{{Address: netip.MustParseAddr(link + "2"), Port: 8080}}},
			}))
		}
	}
	return b
}

func prefix(a string) string {
	if strings.Contains(a, ":") {
		return a + "/128"
	}
	return a + "/32"
}

// caller is one that a machine of the link may make: of a port of the node's, for which a backend answers.
type caller struct {
	v6, udp  bool
	client   int       // number of the client
	port     int       // of the client, of which the node takes the same
	frontend int       // port
	sent     [2]uint32 // TCP: how much each end has sent
}

func (c *caller) at(host string) string {
	if c.v6 {
		return "[fd00:1::" + host + "]"
	}
	return "192.168.0." + host
}

// packet is the next one of a call, or of something like it.
func (c *caller) packet(r *rand.Rand) string {
	protocol, back := "tcp", r.IntN(2)
	if c.udp {
		protocol = "udp"
	}
	client := fmt.Sprintf("%s:%d", c.at(fmt.Sprint(50+c.client)), c.port)
	ends := client + " > " + fmt.Sprintf("%s:%d", c.at("1"), c.frontend)
	if back == 1 {
		backend := map[int]string{30090: "9", 30091: "2"}[c.frontend]
		ends = c.at(backend) + ":8080 > " + fmt.Sprintf("%s:%d", c.at("1"), c.port)
	}
	line := protocol + " " + ends
	size := []int{0, 1, 100, 1400, 1480, 1600}[r.IntN(6)]
	if !c.udp {
		flags := []string{"A", "A", "A", "A", "PA", "FA", "S", "SA", "R"}[r.IntN(9)]
		if c.sent[back] == 0 { // most open as they should
			flags = []string{"S", "SA"}[back]
			size = 0
		} else if r.IntN(10) > 0 && strings.ContainsAny(flags, "SR") {
			flags = "A"
		}
		seq := c.sent[back] + 1
		line += fmt.Sprintf(" %s seq %d", flags, seq)
		if strings.Contains(flags, "A") {
			line += fmt.Sprintf(" ack %d", c.sent[1-back]+1)
		}
		c.sent[back] += uint32(size)
		if strings.ContainsAny(flags, "SF") {
			c.sent[back]++
		}
	}
	line += fmt.Sprintf(" len %d", size)
	switch r.IntN(40) {
	case 0:
		line += " ttl 1"
	case 1:
		line += " ttl 0"
	case 2:
		line += " mf id 7"
	case 3:
		line += " sum 4660"
	case 4:
		if !c.v6 {
			line += " df"
		}
	case 5:
		if c.v6 {
			line += " dstopts 010400000000"
		} else {
			line += " ipopts 94040000"
		}
	case 6:
		line += " tos 3"
	case 7:
		line = "vlan 0 " + line
	}
	if r.IntN(40) == 0 && !strings.HasPrefix(line, "vlan ") { // a frame of others, as a bridge that floods has it
		line = fmt.Sprintf("eth %s > 02:00:00:00:00:77 ", packet.SrcMAC) + line
	}
	return line
}

// unfinished gives a packet with the sum of the pseudo header in place of its checksum, as one has whose sender leaves that to a device.
func unfinished(t *testing.T, line string) string {
	t.Helper()
	frame, err := packet.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	l4, ends, at := 34, frame[26:34], 16
	if frame[12] == 0x86 {
		l4, ends = 54, frame[22:54]
	}
	protocol := byte(6)
	if strings.HasPrefix(line, "udp") {
		protocol, at = 17, 6
	}
	sum := uint32(protocol) + uint32(len(frame)-l4)
	for i := 0; i < len(ends); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ends[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(frame[l4+at:], uint16(sum))
	return packet.Format(frame)
}

// plainly is a line of a packet that is whole, right and without options.
var plainly = regexp.MustCompile(`^(tcp|udp) \S+ > \S+ ?[A-Z]*( seq \d+)?( ack \d+)? len \d+$`)

var marks = regexp.MustCompile(` mark=0x[0-9a-f]+`)

// rows are the connections and translations of a node, but for times and what is random.
func (b *bench) rows(t *testing.T) []string {
	t.Helper()
	var list []string
	var key abi.CtKey
	var ct abi.Ct
	for all := b.dp.Map("connections").Iterate(); all.Next(&key, &ct); {
		ct.Expires, ct.Opened, ct.Last, ct.Caller = 0, 0, 0, 0
		list = append(list, fmt.Sprintf("%+v %+v", key, ct))
	}
	var at abi.NatKey
	var nat abi.Nat
	for all := b.dp.Map("translations").Iterate(); all.Next(&at, &nat); {
		nat.Opened = 0
		list = append(list, fmt.Sprintf("%+v %+v", at, nat))
	}
	slices.Sort(list)
	return list
}

// Two nodes get the same packets: one has program xdp before from_net. What goes on, and with which addresses, ports, checksums and hops,
// what is told, and what is remembered is the same on both. A failure names its seed: WEFT_SEED repeats it.
func TestANodeDoesTheSameWithXDP(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: runs programs in the kernel")
	}
	seed := rand.Uint64()
	if text := os.Getenv("WEFT_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatal(err)
		}
	}
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprintf("direct=%v", direct), func(t *testing.T) { same(t, seed, direct) })
	}
}

func same(t *testing.T, seed uint64, direct bool) {
	r := rand.New(rand.NewPCG(seed, 0))
	plain, early := leader(t, false, direct), leader(t, true, direct)
	var calls []*caller
	for i := range 24 {
		calls = append(calls, &caller{v6: i%2 == 1, udp: i%4 > 1, client: i / 4 % 2, port: 20000 + i, frontend: 30090 + i/8%2})
	}
	var lines []string
	for n := range 4000 {
		c := calls[r.IntN(len(calls))]
		if r.IntN(100) == 0 { // another one from the same port
			c.sent = [2]uint32{}
		}
		line := c.packet(r)
		if n%7 == 0 && plainly.MatchString(line) {
			line = unfinished(t, line)
		}
		lines = append(lines, line)
		want := plain.through(t, line)
		have := early.through(t, line)
		if have != want {
			t.Fatalf("seed %d: packet %d: %s\nby tc alone:\n%s\nwith xdp:\n%s\nbefore it:\n%s", seed, n, line, want, have, strings.Join(lines[max(0, n-12):n], "\n"))
		}
	}
	if want, have := plain.rows(t), early.rows(t); !slices.Equal(want, have) {
		t.Errorf("seed %d: rows by tc alone:\n%s\nwith xdp:\n%s", seed, strings.Join(want, "\n"), strings.Join(have, "\n"))
	}
	if t.Logf("seed %d: xdp has led on %d packets of %d", seed, early.turned, len(lines)); early.turned < 400 {
		t.Error("that is hardly any")
	}
}

// through sends a packet from the link, and tells what became of it but for marks, which are within a node.
func (b *bench) through(t testing.TB, line string) string {
	t.Helper()
	text, err := b.send("from_net", b.devices["eth0"].Ifindex, 0, 0, line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return marks.ReplaceAllString(text, "")
}
