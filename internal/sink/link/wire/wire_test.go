package wire

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
)

var (
	from = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	to   = net.HardwareAddr{2, 0, 0, 0, 0, 2}
)

func packet(payload string) UDP {
	return UDP{From: from, To: to, Src: netip.MustParseAddrPort("10.0.0.1:67"), Dst: netip.MustParseAddrPort("10.0.0.2:68"), Payload: []byte(payload)}
}

func TestAPacketIsReadAsItWasWritten(t *testing.T) {
	for _, payload := range []string{"", "a", "lease"} {
		frame := packet(payload).Frame()
		u, ok := ReadUDP(frame)
		if !ok || u.Src.String() != "10.0.0.1:67" || u.Dst.String() != "10.0.0.2:68" || string(u.Payload) != payload || !bytes.Equal(u.From, from) {
			t.Errorf("%q is read as %+v, %v", payload, u, ok)
		}
		header, rest := frame[ethernet:ethernet+20], frame[ethernet+20:]
		pseudo := uint32(17) + uint32(len(rest)) + uint32(sum(0, header[12:]))
		if sum(0, header) != 0xffff || sum(pseudo, rest) != 0xffff {
			t.Errorf("checksums of %q: %#x, %#x", payload, sum(0, header), sum(pseudo, rest))
		}
		if _, ok := ReadUDP(frame[:len(frame)-1]); ok {
			t.Errorf("%q is taken though its end is cut off", payload)
		}
	}
}

func TestAFilterTakesWholePacketsToAPort(t *testing.T) {
	vm, err := bpf.NewVM(ToPort(68))
	if err != nil {
		t.Fatal(err)
	}
	whole := packet("lease").Frame()
	other := packet("lease")
	other.Dst = netip.MustParseAddrPort("10.0.0.2:53")
	fragment := bytes.Clone(whole)
	fragment[ethernet+6] |= 0x20
	options := bytes.Clone(whole)
	options[ethernet] = 0x46
	for what, c := range map[string]struct {
		frame []byte
		takes bool
	}{
		"a packet to it": {whole, true}, "one to another": {other.Frame(), false}, "a fragment": {fragment, false}, "one whose ports lie elsewhere": {options, false},
	} {
		if n, err := vm.Run(c.frame); err != nil || n > 0 != c.takes {
			t.Errorf("%s: %d bytes are taken, %v", what, n, err)
		}
	}
}

func TestAFilterTakesNeighboursOnly(t *testing.T) {
	vm, err := bpf.NewVM(Neighbors())
	if err != nil {
		t.Fatal(err)
	}
	solicitation := Probe(from, netip.MustParseAddr("fd00::7"))
	with := func(at int, is byte) []byte {
		frame := bytes.Clone(solicitation)
		frame[at] = is
		return frame
	}
	for what, c := range map[string]struct {
		frame []byte
		takes bool
	}{
		"a solicitation":       {solicitation, true},
		"an advertisement":     {with(ethernet+ip6, tells), true},
		"a router's":           {with(ethernet+ip6, 134), false},
		"a redirection":        {with(ethernet+ip6, 137), false},
		"a ping":               {with(ethernet+ip6, 128), false},
		"one that was routed":  {with(ethernet+7, 254), false},
		"TCP":                  {with(ethernet+6, 6), false},
		"one that is cut off":  {solicitation[:ethernet+ip6], false},
		"an Ethernet's header": {solicitation[:ethernet], false},
	} {
		n, err := vm.Run(c.frame)
		if err != nil || n > 0 != c.takes {
			t.Errorf("%s: %d bytes are taken, %v", what, n, err)
		}
		if _, claims := ReadClaim(c.frame); claims && n < len(c.frame) {
			t.Errorf("%s: it claims an address, and %d bytes of it are taken", what, n)
		}
	}
}

func TestWhoAsksForAnAddressIsUnderstood(t *testing.T) {
	for _, text := range []string{"10.0.0.7", "fd00::1:7"} {
		a := netip.MustParseAddr(text)
		c, ok := ReadClaim(Probe(from, a))
		if !ok || !c.Asks || c.Address != a || !bytes.Equal(c.MAC, from) {
			t.Errorf("a probe for %s is read as %+v, %v", a, c, ok)
		}
	}
	if c, ok := ReadClaim(Announcement(from, netip.MustParseAddr("10.0.0.7"))); !ok || c.Asks || c.Address != netip.MustParseAddr("10.0.0.7") {
		t.Errorf("an announcement is read as %+v, %v", c, ok)
	}
	frame := Probe(from, netip.MustParseAddr("fd00::1:7"))
	pseudo := uint32(sum(0, frame[ethernet+8:ethernet+ip6])) + 24 + 58
	if sum(pseudo, frame[ethernet+ip6:]) != 0xffff {
		t.Error("the checksum of a solicitation is wrong")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(packet("lease").Frame())
	f.Add(Probe(from, netip.MustParseAddr("10.0.0.7")))
	f.Add(Probe(from, netip.MustParseAddr("fd00::7")))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if u, ok := ReadUDP(frame); ok && len(u.Payload) > len(frame)-42 {
			t.Errorf("%d bytes have a payload of %d", len(frame), len(u.Payload))
		}
		if c, ok := ReadClaim(frame); ok && (!c.Address.IsValid() || len(c.MAC) != 6) {
			t.Errorf("a claim of nothing: %+v", c)
		}
	})
}
