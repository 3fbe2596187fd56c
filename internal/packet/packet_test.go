package packet

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// canonical lines come out of Format as they went into Parse.
var canonical = []string{
	"tcp 10.0.0.5:4000 > 10.0.0.9:80 S",
	"tcp 10.0.0.5:4000 > 10.0.0.9:80 SA seq 1 ack 2 win 1000 opts 020405b4",
	"tcp 10.0.0.5:4000 > 10.0.0.9:80 - len 3 sum 7",
	"tcp [fd00::5]:4000 > [fd00::9]:80 FSRPAUEC hex cafe ttl 3",
	"tcp [::ffff:10.0.0.5]:4000 > [fd00::9]:80 S",
	"eth 02:00:00:00:00:0a > 02:00:00:00:00:0b udp [fd00::5]:4000 > [fd00::9]:5300 len 10 ttl 63",
	"vlan 7 udp 10.0.0.5:4000 > 10.0.0.9:5300",
	"udp 10.0.0.5:4000 > 10.0.0.9:5300 len 10 sum 0 tos 16 id 9 df",
	"udp 10.0.0.5:4000 > 10.0.0.9:5300 len 1472 udplen 3008 id 9 mf",
	"udp 10.0.0.5 > 10.0.0.9 len 20 id 9 frag 1480",
	"udp [fd00::5]:4000 > [fd00::9]:5300 len 16 frag 0 mf id 9",
	"tcp fd00::5 > fd00::9 len 20 frag 1480 id 9",
	"udp [fd00::5]:4000 > [fd00::9]:5300 len 10 ext 0,60",
	"udp 10.0.0.5:4000 > 10.0.0.9:5300 len 10 iplen 60",
	"udp 10.0.0.5:4000 > 10.0.0.9:5300 ipopts 01010100 ipsum 1",
	"sctp 10.0.0.5:4000 > 10.0.0.9:80 init len 16",
	"sctp 10.0.0.5:4000 > 10.0.0.9:80 data tag 5 len 16",
	"icmp 10.0.0.5 > 10.0.0.9 echo 7 1 len 8",
	"icmp fd00::5 > fd00::9 reply 7 1",
	"icmp 10.0.0.1 > 10.0.0.5 unreachable port {udp 10.0.0.5:4000 > 10.0.0.9:5300 len 10}",
	"icmp 10.0.0.1 > 10.0.0.5 toobig 1400 {tcp 10.0.0.5:4000 > 10.0.0.9:80 A len 100 df}",
	"icmp fd00::1 > fd00::5 toobig 1280 {udp [fd00::5]:4000 > [fd00::9]:5300 len 10}",
	"icmp fd00::1 > fd00::5 unreachable noroute {icmp fd00::5 > fd00::9 echo 1 1}",
	"icmp 10.0.0.1 > 10.0.0.5 timeout ttl {udp 10.0.0.5:4000 > 10.0.0.9:5300 ttl 1}",
	"icmp 10.0.0.1 > 10.0.0.5 type 13 code 0 rest 77",
	"icmp 10.0.0.1 > 10.0.0.5 len 8 frag 8",
	"arp who-has 10.0.0.1 tell 10.0.0.5",
	"arp 10.0.0.1 is-at 02:00:00:00:00:01 tell 10.0.0.5",
	"arp who-has 10.0.0.1 tell 10.0.0.5 sha 02:00:00:00:00:99",
	"ns fe80::5 > ff02::1:ff00:1 target fd00::1 slla 02:00:00:00:00:01",
	"na fd00::1 > fd00::5 target fd00::1 tlla 02:00:00:00:00:01 solicited override",
	"ip 10.0.0.5 > 10.0.0.9 proto 50 len 8",
	"ip fd00::5 > fd00::9 proto 59",
	"vxlan 192.168.0.1:40000 > 192.168.0.2:8472 vni 4660 {tcp 10.0.0.5:4000 > 10.0.1.9:80 S}",
	"vxlan [fd01::1]:40000 > [fd01::2]:8472 vni 4660 {arp who-has 10.0.0.1 tell 10.0.0.5} sum 0",
	"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x88cc hex 0102",
	"bytes hex 0102",
}

func TestALineSurvivesParseAndFormat(t *testing.T) {
	for _, text := range canonical {
		frame, err := Parse(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if have := Format(frame); have != text {
			t.Errorf("have %s\nwant %s\n% x", have, text, frame)
		}
	}
}

func TestAnotherLibraryFindsEveryChecksumAndLengthRight(t *testing.T) {
	for _, text := range canonical {
		if strings.Contains(text, "sum ") || strings.Contains(text, "iplen") || strings.Contains(text, "udplen") ||
			strings.Contains(text, "frag") || strings.Contains(text, " hex 01") || strings.Contains(text, "proto 59") {
			continue
		}
		frame, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
		if fail := p.ErrorLayer(); fail != nil {
			t.Errorf("%s: %v", text, fail.Error())
		}
		var network gopacket.NetworkLayer
		for _, layer := range p.Layers() {
			if n, ok := layer.(gopacket.NetworkLayer); ok {
				network = n
			}
			if l4, ok := layer.(interface {
				SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
			}); ok {
				if err := l4.SetNetworkLayerForChecksum(network); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err, wrong := p.VerifyChecksums(); err != nil || len(wrong) > 0 {
			t.Errorf("%s: checksums %v %v", text, err, wrong)
		}
		if p.Metadata().Truncated {
			t.Errorf("%s: truncated", text)
		}
	}
}

func TestACutPacketKeepsItsLengths(t *testing.T) {
	frame, err := Parse("tcp 10.0.0.5:4000 > 10.0.0.9:80 S cut 30")
	if err != nil {
		t.Fatal(err)
	}
	whole, _ := Parse("tcp 10.0.0.5:4000 > 10.0.0.9:80 S")
	if len(frame) != 44 || !bytes.Equal(frame, whole[:44]) {
		t.Errorf("have %d bytes", len(frame))
	}
	if have := Format(frame); !strings.HasPrefix(have, "ip 10.0.0.5 > 10.0.0.9 proto 6 hex") || !strings.Contains(have, "iplen 40") {
		t.Errorf("have %s", have)
	}
}

func TestAnIPPacketHasNoEthernet(t *testing.T) {
	ip, err := ParseIP("icmp 10.0.0.5 > 10.0.0.9 echo 7 1")
	if err != nil || len(ip) != 28 {
		t.Fatal(len(ip), err)
	}
	if have := FormatIP(ip); have != "icmp 10.0.0.5 > 10.0.0.9 echo 7 1" {
		t.Errorf("have %s", have)
	}
	if _, err := ParseIP("arp who-has 10.0.0.1 tell 10.0.0.5"); err == nil {
		t.Error("ARP passed as IP")
	}
}

func TestAWrongLineSaysWhichWord(t *testing.T) {
	for line, want := range map[string]string{
		"":                                             `ends where the kind of packet`,
		"quic 10.0.0.5:1 > 10.0.0.9:2":                 `"quic" is no kind of packet`,
		"tcp 10.0.0.5:4000 > x S":                      `"x" is neither an address nor address:port`,
		"tcp 10.0.0.5:4000 > 10.0.0.9:80 SX":           `"SX" are no TCP flags`,
		"tcp 10.0.0.5:4000 > 10.0.0.9 S":               `either both ends have a port, or none`,
		"tcp 10.0.0.5 > 10.0.0.9":                      `only a fragment with an offset has no header`,
		"tcp 10.0.0.5:4000 > [fd00::1]:80 S":           `different families`,
		"udp 10.0.0.5:1 > 10.0.0.9:2 seq 1":            `udp does not know "seq"`,
		"udp 10.0.0.5:1 > 10.0.0.9:2 ttl":              `ends where the value of ttl`,
		"udp 10.0.0.5:1 > 10.0.0.9:2 ttl 300":          `ttl: 300 is more than 255`,
		"udp 10.0.0.5:1 > 10.0.0.9:2 ttl 3 ttl 4":      `ttl is said twice`,
		"udp 10.0.0.5 > 10.0.0.9 frag 4":               `frag: 4 is no multiple of 8`,
		"udp 10.0.0.5:1 > 10.0.0.9:2 hex 0":            `"0" is not hexadecimal`,
		"udp 10.0.0.5:1 > 10.0.0.9:2 }":                `} without {`,
		"icmp 10.0.0.5 > 10.0.0.9 unreachable nowhere": `"nowhere" is no code`,
		"ns 10.0.0.5 > 10.0.0.9 target fd00::1":        `ns is IPv6 only`,
		"vxlan 10.0.0.1:1 > 10.0.0.2:8472 vni 1":       `no {packet} inside`,
		"icmp 10.0.0.5 > 10.0.0.9 timeout ttl {arp who-has 10.0.0.1 tell 10.0.0.5}": `"arp" is no IP packet`,
	} {
		_, err := Parse(line)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), line) {
			t.Errorf("%s: have %v, want %s", line, err, want)
		}
	}
}

func TestErrorsAboutErrorsAboutErrorsTakeNoLongTime(t *testing.T) {
	text := "udp 10.0.0.5:1 > 10.0.0.9:2"
	for range 60 {
		text = "icmp 10.0.0.1 > 10.0.0.5 timeout ttl {" + text + "}"
	}
	frame, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if have := Format(frame); have != text {
		t.Errorf("have %s", have)
	}
	Format(frame[:len(frame)-1])
}

func FuzzFormatIsTheInverseOfParse(f *testing.F) {
	for _, text := range canonical {
		frame, err := Parse(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		text := Format(frame)
		back, err := Parse(text)
		if err != nil || !bytes.Equal(back, frame) {
			t.Errorf("%s\nfrom %s\nback %s %v", text, hex.EncodeToString(frame), hex.EncodeToString(back), err)
		}
		_ = FormatIP(frame)
	})
}

func FuzzParseNeverPanics(f *testing.F) {
	for _, text := range canonical {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		frame, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(Format(frame))
		if err != nil || !bytes.Equal(again, frame) {
			t.Errorf("%s: %v", text, err)
		}
	})
}
