package packet

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Names of ICMP codes (RFC 792, RFC 4443); a position in the list is the code, an empty name has none.
var (
	unreachable4 = []string{"net", "host", "protocol", "port", "", "", "", "", "", "", "", "", "", "admin"}
	unreachable6 = []string{"noroute", "admin", "scope", "address", "port"}
	timeouts     = []string{"ttl", "reassembly"}
)

// message is a message about another packet: its name and its ICMP type in either family.
type message struct {
	word   string
	v4, v6 byte
	code4  int // fixed code in IPv4, -1: free
	names4 []string
	names6 []string
	hasMTU bool
}

var messages = []message{
	{word: "unreachable", v4: 3, v6: 1, code4: -1, names4: unreachable4, names6: unreachable6},
	{word: "toobig", v4: 3, v6: 2, code4: 4, hasMTU: true},
	{word: "timeout", v4: 11, v6: 3, code4: -1, names4: timeouts, names6: timeouts},
}

func codeOf(names []string, word string) (byte, error) {
	if i := slices.Index(names, word); i >= 0 && word != "" {
		return byte(i), nil
	}
	n, err := number(word, 255)
	if err != nil {
		return 0, fmt.Errorf("%q is no code (a number or %q)", word, names)
	}
	return byte(n), nil
}

func (l *line) icmp(payload []byte) ([]byte, error) {
	head, err := l.icmpHead()
	if err != nil {
		return nil, err
	}
	if l.inner != nil {
		inner, err := l.inner.ip()
		if err != nil {
			return nil, err
		}
		payload = append(inner, payload...)
	}
	return l.checksum(append(head, payload...), 2)
}

// icmpHead makes the first eight bytes.
func (l *line) icmpHead() ([]byte, error) {
	v4 := l.addr[0].Is4()
	switch l.word {
	case "echo", "reply":
		kind := map[string]byte{"echo": 128, "reply": 129}[l.word]
		if v4 {
			kind = map[string]byte{"echo": 8, "reply": 0}[l.word]
		}
		return l.head(kind, 0, l.args, 16)
	case "type":
		if l.args[1] != "code" || l.args[3] != "rest" {
			return nil, errors.New("icmp type: must be type N code N rest N")
		}
		kind, err := number(l.args[0], 255)
		if err != nil {
			return nil, err
		}
		code, err := number(l.args[2], 255)
		if err != nil {
			return nil, err
		}
		return l.head(byte(kind), byte(code), l.args[4:], 32)
	}
	m := messages[slices.IndexFunc(messages, func(m message) bool { return m.word == l.word })]
	kind, names := m.v6, m.names6
	if v4 {
		kind, names = m.v4, m.names4
	}
	if m.hasMTU {
		if v4 {
			return l.head(kind, byte(m.code4), []string{"0", l.args[0]}, 16)
		}
		return l.head(kind, 0, l.args, 32)
	}
	code, err := codeOf(names, l.args[0])
	if err != nil {
		return nil, err
	}
	return l.head(kind, code, nil, 0)
}

// head is type, code, no checksum yet, and four bytes of numbers of so many bits.
func (l *line) head(kind, code byte, rest []string, bits int) ([]byte, error) {
	out := []byte{kind, code, 0, 0}
	for _, word := range rest {
		n, err := number(word, 1<<bits-1)
		if err != nil {
			return nil, err
		}
		if bits == 16 {
			out = be.AppendUint16(out, uint16(n))
		} else {
			out = be.AppendUint32(out, uint32(n))
		}
	}
	return append(out, make([]byte, 8-len(out))...), nil
}

// neighbor makes a neighbor solicitation or advertisement (RFC 4861 sections 4.3 and 4.4).
func (l *line) neighbor(payload []byte) ([]byte, error) {
	target, err := netip.ParseAddr(l.opt["target"])
	if err != nil || !target.Is6() || target.Zone() != "" {
		return nil, fmt.Errorf("target: %q is no IPv6 address", l.opt["target"])
	}
	out := []byte{135, 0, 0, 0, 0, 0, 0, 0}
	if l.kind == "na" {
		out[0] = 136
	}
	for i, flag := range []string{"router", "solicited", "override"} {
		if l.has(flag) {
			out[4] |= 0x80 >> i
		}
	}
	out = append(out, target.AsSlice()...)
	for i, name := range []string{"slla", "tlla"} {
		if word, ok := l.opt[name]; ok {
			mac, err := parseMAC(word)
			if err != nil {
				return nil, err
			}
			out = append(append(out, byte(i+1), 1), mac[:]...)
		}
	}
	return l.checksum(append(out, payload...), 2)
}
