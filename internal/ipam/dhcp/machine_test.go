package dhcp

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/policy/gap"
)

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	mac   = net.HardwareAddr{2, 0, 0, 0, 0, 0x0a}
)

// numbers are as random as a test can use.
func numbers() func() uint32 {
	n := uint32(1)
	return func() uint32 { n = n*1664525 + 1013904223; return n }
}

func who() Who {
	config, _ := Parse([]byte(`{"type": "dhcp"}`), nil)
	return Who{ID: "weft/shop/pod/db-0/shop/vlan-100", MAC: mac, Random: numbers(), Config: config}
}

// fails is what a test and rapid's have in common.
type fails interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// answer is a server's, to a message of a client.
func answer(t fails, p Packet, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) []byte {
	t.Helper()
	d, err := dhcpv4.FromBytes(p.Payload)
	if err != nil {
		t.Fatalf("a client says what cannot be read: %v", err)
	}
	reply, err := dhcpv4.NewReplyFromRequest(d, append([]dhcpv4.Modifier{
		dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(net.IPv4(10, 100, 0, 52)), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 100, 0, 1))), dhcpv4.WithLeaseTime(600), dhcpv4.WithRouter(net.IPv4(10, 100, 0, 1)),
	}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return reply.ToBytes()
}

// say is a message in a line.
func say(t testing.TB, p Packet) string {
	t.Helper()
	d, err := dhcpv4.FromBytes(p.Payload)
	if err != nil {
		t.Fatal(err)
	}
	text := d.MessageType().String() + " to " + p.Dst.String()
	if !d.ClientIPAddr.IsUnspecified() {
		text += " of " + d.ClientIPAddr.String()
	}
	if ip := d.RequestedIPAddress(); ip != nil {
		text += " for " + ip.String()
	}
	return text
}

// bound is a client that holds a lease of ten minutes.
func bound(t testing.TB) *Machine {
	t.Helper()
	m := New(who(), start)
	offer := m.Tick(start).Send
	request := m.Take(start, answer(t, offer[0], dhcpv4.MessageTypeOffer), "02:00:00:00:00:01").Send
	if out := m.Take(start, answer(t, request[0], dhcpv4.MessageTypeAck), "02:00:00:00:00:01"); out.Event != Got {
		t.Fatalf("an acknowledged lease is not taken: %+v", out)
	}
	return m
}

func TestALeaseIsKeptAsRFC2131Says(t *testing.T) {
	m := New(who(), start)
	var said []string
	now, event := start, Event(0)
	follow := func(out Output) {
		event = out.Event
		for _, p := range out.Send {
			said = append(said, fmt.Sprintf("%v %s", now.Sub(start).Round(time.Minute), say(t, p)))
		}
	}
	tick := func() Packet {
		now = m.Next()
		out := m.Tick(now)
		follow(out)
		return out.Send[0]
	}
	take := func(p Packet, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) Output {
		out := m.Take(now, answer(t, p, kind, more...), "02:00:00:00:00:01")
		follow(out)
		return out
	}
	discover := tick()
	request := take(discover, dhcpv4.MessageTypeOffer).Send[0]
	take(request, dhcpv4.MessageTypeAck)
	take(tick(), dhcpv4.MessageTypeAck) // renewed at half of it
	tick()                              // nothing answers any more
	tick()
	tick()
	rebind := tick()
	take(rebind, dhcpv4.MessageTypeAck)
	now = m.Next()
	if got, want := m.Lease().Until.Sub(now).Round(time.Minute), 5*time.Minute; got != want {
		t.Errorf("half of the lease is left after a renewal: %v, want %v", got, want)
	}
	take(tick(), dhcpv4.MessageTypeNak)
	if event != Denied || m.Phase() != Selecting || m.Lease().Address.IsValid() {
		t.Errorf("a lease that the server calls over is still held: %v, %v", event, m.Phase())
	}
	want := []string{
		"0s DISCOVER to 255.255.255.255",
		"0s REQUEST to 255.255.255.255 for 10.100.0.52",
		"5m0s REQUEST to 10.100.0.1 of 10.100.0.52",
		"10m0s REQUEST to 10.100.0.1 of 10.100.0.52",
		"12m0s REQUEST to 10.100.0.1 of 10.100.0.52",
		"13m0s REQUEST to 10.100.0.1 of 10.100.0.52",
		"14m0s REQUEST to 255.255.255.255 of 10.100.0.52",
		"19m0s REQUEST to 10.100.0.1 of 10.100.0.52",
		"19m0s DISCOVER to 255.255.255.255 for 10.100.0.52",
	}
	if !slices.Equal(said, want) {
		t.Errorf("a client says\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnEarlierLeaseIsHeldWithoutAsking(t *testing.T) {
	l := bound(t).Lease()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var kept Lease
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	m := Resume(who(), kept, start.Add(time.Minute))
	if m.Phase() != Bound || m.Next() != l.Renew || len(m.Tick(start.Add(time.Minute)).Send) > 0 {
		t.Errorf("a client with the lease %s asks at %v, phase %v", text, m.Next(), m.Phase())
	}
	m = Resume(who(), kept, start.Add(11*time.Minute))
	out := m.Tick(start.Add(11 * time.Minute))
	if m.Lease().Address.IsValid() || len(out.Send) != 1 || say(t, out.Send[0]) != "DISCOVER to 255.255.255.255 for 10.100.0.52" {
		t.Errorf("a client whose lease has ended meanwhile says %+v", out)
	}
}

func TestALeaseIsGivenBackOrDeclined(t *testing.T) {
	m := bound(t)
	if out := m.Release(start); len(out.Send) != 1 || say(t, out.Send[0]) != "RELEASE to 10.100.0.1 of 10.100.0.52" || out.Send[0].MAC != "02:00:00:00:00:01" {
		t.Errorf("a client that ends says %+v", out)
	}
	m = bound(t)
	out := m.Decline(start)
	if len(out.Send) != 1 || say(t, out.Send[0]) != "DECLINE to 255.255.255.255 for 10.100.0.52" || m.Lease().Address.IsValid() || m.Next() != start.Add(10*time.Second) {
		t.Errorf("a client whose address is another's says %+v, and goes on at %v", out, m.Next())
	}
}

func TestWhatMakesNoSenseIsNotTaken(t *testing.T) {
	ip := func(a, b, c, d byte) net.IP { return net.IPv4(a, b, c, d) }
	for what, more := range map[string]dhcpv4.Modifier{
		"no address":                 dhcpv4.WithYourIP(ip(0, 0, 0, 0)),
		"a group's address":          dhcpv4.WithYourIP(ip(224, 0, 0, 1)),
		"the loopback":               dhcpv4.WithYourIP(ip(127, 0, 0, 5)),
		"a link-local one":           dhcpv4.WithYourIP(ip(169, 254, 1, 1)),
		"the subnet's":               dhcpv4.WithYourIP(ip(10, 100, 0, 0)),
		"the broadcast":              dhcpv4.WithYourIP(ip(10, 100, 0, 255)),
		"no server":                  dhcpv4.WithoutOption(dhcpv4.OptionServerIdentifier),
		"no mask":                    dhcpv4.WithoutOption(dhcpv4.OptionSubnetMask),
		"half the Internet":          dhcpv4.WithNetmask(net.CIDRMask(1, 32)),
		"a mask with holes":          dhcpv4.WithNetmask(net.IPv4Mask(255, 0, 255, 0)),
		"no time":                    dhcpv4.WithoutOption(dhcpv4.OptionIPAddressLeaseTime),
		"a moment":                   dhcpv4.WithLeaseTime(1),
		"another client's":           dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, 0x0b}),
		"to another message":         dhcpv4.WithTransactionID(dhcpv4.TransactionID{1, 2, 3, 4}),
		"more than a message may be": dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(224), make([]byte, 2000))),
	} {
		m := New(who(), start)
		out := m.Tick(start)
		if out = m.Take(start, answer(t, out.Send[0], dhcpv4.MessageTypeOffer, more), ""); len(out.Send) > 0 || m.Phase() != Selecting {
			t.Errorf("an offer with %s is taken: %+v", what, out)
		}
	}
}

func TestOfOptionsWhatIsAskedForAndSafeIsTaken(t *testing.T) {
	routes := []byte{8, 10, 10, 100, 0, 7 /* 10.0.0.0/8 */, 0, 10, 100, 0, 7 /* default */, 24, 192, 168, 5, 9, 9, 9, 9 /* elsewhere */}
	more := []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptDNS(net.IPv4(10, 100, 0, 2), net.IPv4(0, 0, 0, 0))),
		dhcpv4.WithOption(dhcpv4.OptDomainName("shop.example; rm -rf /")),
		dhcpv4.WithDomainSearchList("shop.example", "$(id)"),
		dhcpv4.WithRouter(net.IPv4(10, 100, 0, 1), net.IPv4(9, 9, 9, 9)),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClasslessStaticRoute, routes)),
	}
	for config, want := range map[string]string{
		`{}`:                               `gateways [10.100.0.1] routes [] dns {[10.100.0.2]  [shop.example] []}`,
		`{"request": [{"option": "121"}]}`: `gateways [10.100.0.1] routes [{10.0.0.0/8 10.100.0.7 0 0 0 0 0}] dns {[10.100.0.2]  [shop.example] []}`,
	} {
		w := who()
		w.Config, _ = Parse([]byte(config), nil)
		m := New(w, start)
		out := m.Tick(start)
		out = m.Take(start, answer(t, out.Send[0], dhcpv4.MessageTypeOffer, more...), "")
		m.Take(start, answer(t, out.Send[0], dhcpv4.MessageTypeAck, more...), "")
		l := m.Lease()
		if got := fmt.Sprintf("gateways %v routes %v dns %v", l.Gateways, l.Routes, l.DNS); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", config, got, want)
		}
	}
}

func TestAConfigurationSaysWhichOptions(t *testing.T) {
	for text, want := range map[string]string{
		`{"type": "dhcp"}`: "provide [] request [1 3 6 15 119 51 58 59]",
		`{"request": [{"skipDefault": true, "option": "subnet-mask"}, {"option": 42}]}`:                        "provide [] request [1 42 51 58 59]",
		`{"provide": [{"option": "host-name", "fromArg": "K8S_POD_NAME"}, {"option": "60", "value": "weft"}]}`: "provide [{12 web-0} {60 weft}] request [1 3 6 15 119 51 58 59]",
		`{"provide": [{"option": "53", "value": "x"}]}`:                                                        "ipam.provide[0].option: option 53 is the client's own business",
		`{"provide": [{"option": "bogus", "value": "x"}]}`:                                                     `ipam.provide[0].option: "bogus" is neither the number of an option`,
		`{"request": [{"option": "300"}]}`:                                                                     `ipam.request[0].option: "300" is neither`,
		`{"request": 5}`:                                                                                       "ipam: it cannot be read",
	} {
		c, gaps := Parse([]byte(text), map[string]string{"K8S_POD_NAME": "web-0"})
		got := fmt.Sprintf("provide %v request %v", c.Provide, c.Request)
		if len(gaps) > 0 {
			got = gap.Text(gaps)
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// slow is what a client holds, told from what went by the wire alone: the address of the last answer to the last request, until its time.
type slow struct {
	asked dhcpv4.TransactionID
	until time.Time
}

func (s *slow) hears(d *dhcpv4.DHCPv4, now time.Time) {
	switch {
	case d.TransactionID != s.asked:
	case d.MessageType() == dhcpv4.MessageTypeAck:
		s.until, s.asked = now.Add(d.IPAddressLeaseTime(0)), dhcpv4.TransactionID{}
	case d.MessageType() == dhcpv4.MessageTypeNak:
		s.until, s.asked = time.Time{}, dhcpv4.TransactionID{}
	}
}

// TestAClientHoldsWhatASlowOneHolds lets messages be lost, come late or twice, and the agent restart, at moments that rapid chooses.
func TestAClientHoldsWhatASlowOneHolds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := who()
		m, oracle, now := New(w, start), slow{}, start
		var wire []Packet // that servers have not answered yet
		said, begun := 0, 0
		follow := func(out Output) {
			for _, p := range out.Send {
				d, err := dhcpv4.FromBytes(p.Payload)
				if err != nil {
					rt.Fatalf("a client says what cannot be read: %v", err)
				}
				if d.MessageType() == dhcpv4.MessageTypeRequest {
					oracle.asked = d.TransactionID
				} else {
					oracle.asked = dhcpv4.TransactionID{}
				}
				wire, said = append(wire, p), said+1
			}
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"wait", "wait", "answer", "answer", "answer", "refuse", "lose", "restart"}).Draw(rt, "what") {
			case "wait":
				end := now.Add(time.Duration(rapid.IntRange(0, 400).Draw(rt, "seconds")) * time.Second)
				for next := m.Next(); !next.IsZero() && !next.After(end); next = m.Next() {
					if next.Before(now) {
						next = now
					}
					now = next
					follow(m.Tick(now))
				}
				now = end
			case "answer", "refuse":
				if len(wire) == 0 {
					continue
				}
				p := wire[rapid.IntRange(0, len(wire)-1).Draw(rt, "which")]
				asked, _ := dhcpv4.FromBytes(p.Payload)
				kind := dhcpv4.MessageTypeOffer
				if asked.MessageType() == dhcpv4.MessageTypeRequest {
					kind = dhcpv4.MessageTypeAck
				}
				if kind == dhcpv4.MessageTypeAck && rapid.IntRange(0, 9).Draw(rt, "nak") == 0 {
					kind = dhcpv4.MessageTypeNak
				}
				payload := answer(rt, p, kind, dhcpv4.WithLeaseTime(uint32(rapid.IntRange(10, 900).Draw(rt, "lease"))))
				d, _ := dhcpv4.FromBytes(payload)
				oracle.hears(d, now)
				begun++
				follow(m.Take(now, payload, "02:00:00:00:00:01"))
			case "lose":
				wire = nil
			case "restart":
				begun++
				m = Resume(w, m.Lease(), now)
				oracle.asked = dhcpv4.TransactionID{} // what it has asked is forgotten
				follow(m.Tick(now))
			}
			if holds, want := !m.Lease().Ended(now), now.Before(oracle.until); holds != want {
				rt.Fatalf("at %v the client holds an address: %v, want %v (phase %v, next %v)", now.Sub(start), holds, want, m.Phase(), m.Next().Sub(start))
			}
		}
		if most := 8*(begun+1) + int(now.Sub(start)/(5*time.Second)); said > most {
			rt.Fatalf("%d messages in %v", said, now.Sub(start))
		}
	})
}

func FuzzTake(f *testing.F) {
	m := New(who(), start)
	discover := m.Tick(start).Send[0]
	f.Add(answer(f, discover, dhcpv4.MessageTypeOffer), uint8(0))
	f.Add(answer(f, discover, dhcpv4.MessageTypeAck, dhcpv4.WithDomainSearchList("a.b", "c.b")), uint8(1))
	f.Add(answer(f, discover, dhcpv4.MessageTypeNak), uint8(2))
	long, _ := hex.DecodeString("020106000000")
	f.Add(long, uint8(3))
	f.Fuzz(func(t *testing.T, payload []byte, phase uint8) {
		m := New(who(), start)
		m.Tick(start)
		m.phase = Phase(phase%5) + Selecting
		if m.phase >= Bound {
			m.lease = Lease{Address: netip.MustParsePrefix("10.100.0.52/24"), Server: netip.MustParseAddr("10.100.0.1")}
		}
		m.offered = Lease{Address: netip.MustParsePrefix("10.100.0.52/24"), Server: netip.MustParseAddr("10.100.0.1")}
		if len(payload) >= 8 {
			copy(payload[4:], m.xid[:])
		}
		if len(payload) >= 34 {
			copy(payload[28:], mac)
		}
		out := m.Take(start, payload, "02:00:00:00:00:01")
		l := m.Lease()
		if out.Event == Got || out.Event == Kept {
			if !usable(l.Address.Addr()) || !usable(l.Server) || l.Address.Bits() < fewest || !l.Until.IsZero() && !(start.Before(l.Renew) && l.Renew.Before(l.Rebind) && l.Rebind.Before(l.Until)) {
				t.Errorf("the lease %+v is taken", l)
			}
			if len(l.DNS.Nameservers) > maxList || len(l.DNS.Search) > maxList || len(l.Routes) > maxRoutes || strings.ContainsAny(l.DNS.Domain+strings.Join(l.DNS.Search, ""), " \n;$/`'\"\\") {
				t.Errorf("of options is taken %+v", l)
			}
		}
	})
}
