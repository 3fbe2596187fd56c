package span

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// IP protocol numbers that policies name (IANA protocol numbers).
const (
	TCP    uint8 = 6
	UDP    uint8 = 17
	SCTP   uint8 = 132
	ICMP   uint8 = 1
	ICMPv6 uint8 = 58
)

// Extended are the protocols without ports that policies name if the daemon's configuration lets them (IANA names).
var Extended = map[string]uint8{"IGMP": 2, "IPIP": 4, "IPV6": 41, "GRE": 47, "ESP": 50, "AH": 51, "VRRP": 112}

// Transports are the protocols that ANY stands for in a list of ports.
var Transports = []uint8{TCP, UDP, SCTP}

// Port is a range of ports of one protocol, or a port by name. For ICMP a port is type<<8 | code.
//
// The zero value is every packet of every protocol (AnyPort).
type Port struct {
	Protocol uint8  // IP protocol; 0: any (with a Name: any of Transports)
	First    uint16 // the range, both ends included; without meaning if Protocol is 0
	Last     uint16
	Name     string // of a container port; First and Last are unused then
}

// AnyPort is every packet of every protocol.
var AnyPort = Port{}

// AllPorts is every packet of one protocol.
func AllPorts(protocol uint8) Port { return Port{Protocol: protocol, Last: 0xffff} }

// OnePort is one port of one protocol.
func OnePort(protocol uint8, port uint16) Port {
	return Port{Protocol: protocol, First: port, Last: port}
}

// ICMPType is all codes of one ICMP message type. The protocol is ICMP or ICMPv6.
func ICMPType(protocol, number uint8) Port {
	return Port{Protocol: protocol, First: uint16(number) << 8, Last: uint16(number)<<8 | 0xff}
}

// NamedPort is a container port that has a name.
type NamedPort struct {
	Name     string
	Protocol uint8
	Port     uint16
}

// NamedPorts are the named ports of a workload, or of all workloads of one identity.
type NamedPorts []NamedPort

// String is the same for equal sets of ports, whatever their order: "dns:17/53 http:6/8080".
func (p NamedPorts) String() string {
	sorted := slices.Clone(p)
	slices.SortFunc(sorted, func(a, b NamedPort) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	sorted = slices.Compact(sorted)
	text := make([]string, len(sorted))
	for i, port := range sorted {
		text[i] = fmt.Sprintf("%s:%d/%d", port.Name, port.Protocol, port.Port)
	}
	return strings.Join(text, " ")
}

// ParseNamedPorts is the inverse of String. What is no port of such a text is left out.
func ParseNamedPorts(text string) (ports NamedPorts) {
	for _, one := range strings.Fields(text) {
		name, rest, _ := strings.Cut(one, ":")
		p := NamedPort{Name: name}
		if n, _ := fmt.Sscanf(rest, "%d/%d", &p.Protocol, &p.Port); n == 2 {
			ports = append(ports, p)
		}
	}
	return ports
}

// Resolve appends what p means to a workload with these named ports: itself, or the ports that its name stands for.
func (p Port) Resolve(named NamedPorts, ports []Port) []Port {
	if p.Name == "" {
		return append(ports, p)
	}
	for _, n := range named {
		if n.Name != p.Name {
			continue
		}
		if n.Protocol == p.Protocol || p.Protocol == 0 && slices.Contains(Transports, n.Protocol) {
			ports = append(ports, OnePort(n.Protocol, n.Port))
		}
	}
	return ports
}

// Covers tells whether a packet with this protocol and port is in the range.
func (p Port) Covers(protocol uint8, port uint16) bool {
	return p.Protocol == 0 || p.Protocol == protocol && p.First <= port && port <= p.Last
}

// Prefixes appends the fewest prefixes that make up the range.
func (p Port) Prefixes(out []Prefix) []Prefix { return prefixes(p.Protocol, p.First, p.Last, out) }
