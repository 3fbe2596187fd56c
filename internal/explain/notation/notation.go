// Package notation reads and writes ends of connections and their ports as people do.
//
// # The world it models
//
// A person writes an end, a colon and a port: shop/db:5432, 10.0.0.7:53/udp, [fd00::7]:icmp, node:worker:22. An address of IPv6 has colons of
// its own, and so has what names a node.
//
// # Invariants
//
//   - Parse reads what Port.String gives: tcp/80 as well as 80/tcp.
//   - Nothing is known here of clusters: whether there is such an end, or a port of this name, others say.
//
// # Example
//
//	end, port := notation.Cut("shop/dns:53/udp") // shop/dns, 53/udp
//	p, err := notation.Parse(port)               // {Protocol: 17, Number: 53}
package notation

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
)

// Node begins the name of a node where a person says who an end is.
const Node = "node:"

// Reserved is the identity that an entity's name stands for: host, world, kube-apiserver.
func Reserved(name string) (identity.Number, bool) {
	for _, n := range identity.ReservedNumbers() {
		if n.Name() == name {
			return n, true
		}
	}
	return 0, false
}

// Port is what is asked for of the end that serves.
type Port struct {
	Protocol uint8
	Number   uint16 // ICMP: type<<8
	Name     string // of a container port, or of a port of a service
	Ping     bool   // an echo request, of the family that the end has
}

var protocols = map[string]uint8{"": policy.TCP, "tcp": policy.TCP, "udp": policy.UDP, "sctp": policy.SCTP}

// Cut takes the port off an end: shop/db:5432/tcp, [fd00::1]:53/udp, shop/web:icmp, node:a:22. Without a colon there is none.
// An IPv6 address needs brackets only where its last group may be its own or a port.
func Cut(text string) (name, port string) {
	if rest, ok := strings.CutPrefix(text, "["); ok {
		name, port, _ = strings.Cut(rest, "]")
		return name, strings.TrimPrefix(port, ":")
	}
	if rest, ok := strings.CutPrefix(text, Node); ok {
		name, port = Cut(rest)
		return Node + name, port
	}
	at := strings.LastIndexByte(text, ':')
	if at < 0 || isAddress(text) {
		return text, ""
	}
	if isAddress(text[:at]) || strings.Count(text, ":") == 1 {
		return text[:at], text[at+1:]
	}
	return text, ""
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// NoPort says what is missing, and how to write it.
func NoPort(to string) error {
	rest := strings.TrimPrefix(to, Node)
	prefix := to[:len(to)-len(rest)]
	if at := strings.LastIndexByte(rest, ':'); at > 0 && isAddress(rest) && isAddress(rest[:at]) {
		return fmt.Errorf("to: %q is an address without a port; of %s port %s write %s[%s]:%s", to, rest[:at], rest[at+1:], prefix, rest[:at], rest[at+1:])
	}
	full := to
	if isAddress(rest) && strings.Contains(rest, ":") {
		full = prefix + "[" + rest + "]"
	}
	return fmt.Errorf("to: %q has no port; write %s:80, %s:53/udp or %s:icmp", to, full, full, full)
}

// messages are the protocols whose port is the type of a message, with the type of an echo request.
var messages = map[string]Port{
	"icmp": {Protocol: policy.ICMP, Number: 8 << 8}, "ping": {Protocol: policy.ICMP, Number: 8 << 8},
	"icmpv6": {Protocol: policy.ICMPv6, Number: 128 << 8}, "icmp6": {Protocol: policy.ICMPv6, Number: 128 << 8},
}

// Parse reads a port as people write it: 80, 53/udp, http, icmp, icmp/13, gre.
func Parse(text string) (Port, error) {
	number, protocol, _ := strings.Cut(strings.ToLower(text), "/")
	if p, ok := messages[number]; ok {
		if protocol == "" {
			p.Ping = p.Protocol == policy.ICMP
			return p, nil
		}
		kind, err := strconv.ParseUint(protocol, 10, 8)
		if err != nil {
			return Port{}, fmt.Errorf("%q is no type of an ICMP message: write %s/N, N from 0 to 255 (ping is %s/%d)", protocol, number, number, p.Number>>8)
		}
		return Port{Protocol: p.Protocol, Number: uint16(kind) << 8}, nil
	}
	if n, known := policy.Extended[strings.ToUpper(number)]; known && protocol == "" {
		return Port{Protocol: n}, nil
	}
	if _, swapped := protocols[number]; swapped && number != "" && protocol != "" {
		number, protocol = protocol, number // as answers write it
	}
	p, known := protocols[protocol]
	if !known {
		return Port{}, fmt.Errorf("protocol %q is not one of tcp, udp, sctp (ping is :icmp, other ICMP messages :icmp/TYPE and :icmpv6/TYPE)", protocol)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	switch {
	case err == nil && n > 0:
		return Port{Protocol: p, Number: uint16(n)}, nil
	case err == nil || number == "" || number[0] >= '0' && number[0] <= '9':
		return Port{}, fmt.Errorf("port %q is neither a number from 1 to 65535 nor the name of a port", number)
	}
	return Port{Protocol: p, Name: number}, nil
}

func (p Port) String() string {
	if p.Name != "" {
		return Text(p.Protocol, 0, 0) + "/" + p.Name
	}
	return Text(p.Protocol, p.Number, p.Number)
}

// Text is tcp/80, tcp/80-90, tcp (all of it), icmp/8, any.
func Text(protocol uint8, first, last uint16) string {
	name := map[uint8]string{0: "any", policy.TCP: "tcp", policy.UDP: "udp", policy.SCTP: "sctp", policy.ICMP: "icmp", policy.ICMPv6: "icmp6"}[protocol]
	for extended, n := range policy.Extended {
		if n == protocol {
			name = strings.ToLower(extended)
		}
	}
	if name == "" {
		name = fmt.Sprint(protocol)
	}
	switch {
	case protocol == 0 || first == 0 && last == 0xffff:
		return name
	case protocol == policy.ICMP || protocol == policy.ICMPv6:
		return fmt.Sprintf("%s/%d", name, first>>8)
	case first == 0 && last == 0:
		return name
	case first == last:
		return fmt.Sprintf("%s/%d", name, first)
	}
	return fmt.Sprintf("%s/%d-%d", name, first, last)
}

// Span is a range of ports of one protocol.
type Span struct {
	Protocol    uint8
	First, Last uint16
}

// Merge writes ranges of ports as few as they can be.
func Merge(spans []Span) (out []string) {
	slices.SortFunc(spans, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last))
	})
	for i := 0; i < len(spans); {
		s := spans[i]
		for i++; i < len(spans) && spans[i].Protocol == s.Protocol && uint32(spans[i].First) <= uint32(s.Last)+1 && s.Protocol != policy.ICMP && s.Protocol != policy.ICMPv6; i++ {
			s.Last = max(s.Last, spans[i].Last)
		}
		out = append(out, Text(s.Protocol, s.First, s.Last))
	}
	return out
}
