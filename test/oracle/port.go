package oracle

import (
	"slices"
	"strconv"
	"strings"

	"weftnet.io/weftnet/test/oracle/raw"
)

// protocolOf is the protocol of an element of ports: C5, "" and ANY are TCP, UDP and SCTP; case does not matter.
func protocolOf(port Object) string {
	protocol := strings.ToUpper(raw.Text(port, "protocol"))
	if protocol == "" {
		return "ANY"
	}
	return protocol
}

var (
	transports = []string{"TCP", "UDP", "SCTP"}
	portless   = map[string]bool{"VRRP": true, "IGMP": true, "GRE": true, "IPIP": true, "IPV6": true, "ESP": true, "AH": true, "ICMP": true, "ICMPV6": true}
	// extended are the numbers (IANA) of those that enable-extended-ip-protocols lets policies name.
	extended = map[string]string{"IGMP": "2", "IPIP": "4", "IPV6": "41", "GRE": "47", "ESP": "50", "AH": "51", "VRRP": "112"}
)

// portRule tells whether an element of toPorts matches. C2: without ports it is all ports.
func (e ciliumElement) portRule(rule Object, nameless bool) bool {
	ports := raw.Objects(rule, "ports")
	if len(ports) == 0 {
		return slices.Contains(transports, e.p.Protocol)
	}
	return slices.ContainsFunc(ports, func(port Object) bool { return e.port(port, nameless) })
}

func (e ciliumElement) port(port Object, nameless bool) bool {
	protocol := protocolOf(port)
	if e.w.Extended && extended[protocol] != "" {
		return e.p.Protocol == extended[protocol]
	}
	if portless[protocol] {
		return e.deny // what it restricts to is not known, so it restricts nothing
	}
	if protocol != "ANY" && protocol != e.p.Protocol || !slices.Contains(transports, e.p.Protocol) {
		return false
	}
	written := raw.Text(port, "port")
	if isServiceName(written) {
		return !nameless && e.p.names(strings.ToLower(written), e.p.Protocol)
	}
	first, err := strconv.ParseUint(written, 0, 16)
	if err != nil {
		return false
	}
	if first == 0 {
		return true // port 0: all ports
	}
	last := max(int(first), raw.Number(port, "endPort"))
	return int(first) <= e.p.Port && e.p.Port <= last
}

// isServiceName: RFC 6335, 5.1: 1 to 15 letters, digits and hyphens, at least one letter; hyphens neither first nor last
// nor beside one another.
func isServiceName(name string) bool {
	letter := false
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			letter = true
		case c >= '0' && c <= '9':
		case c != '-', i == 0, i == len(name)-1, name[i-1] == '-':
			return false
		}
	}
	return letter && len(name) <= 15
}

// icmpNames are the names of types that tests use (IANA).
var icmpNames = map[string]map[string]int{
	"ICMP":   {"EchoReply": 0, "DestinationUnreachable": 3, "Echo": 8, "EchoRequest": 8, "TimeExceeded": 11},
	"ICMPv6": {"DestinationUnreachable": 1, "PacketTooBig": 2, "EchoRequest": 128, "EchoReply": 129},
}

// isICMP tells whether the packet is what an element of fields says. C5: family default IPv4; type a number or a name.
func (p Packet) isICMP(field Object) bool {
	protocol := "ICMP"
	if raw.Text(field, "family") == "IPv6" {
		protocol = "ICMPv6"
	}
	kind, ok := icmpType(field["type"], protocol)
	return ok && p.Protocol == protocol && p.Port == kind
}

func icmpType(written any, protocol string) (int, bool) {
	if n, ok := written.(float64); ok {
		return int(n), n == float64(int(n)) && n >= 0 && n <= 255
	}
	name, _ := written.(string)
	if n, ok := icmpNames[protocol][name]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(name, 10, 8)
	return int(n), err == nil
}
