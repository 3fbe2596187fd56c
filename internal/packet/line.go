package packet

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// MAC is an Ethernet address.
type MAC [6]byte

// Addresses of a frame whose line names none.
var (
	SrcMAC = MAC{2, 0, 0, 0, 0, 1}
	DstMAC = MAC{2, 0, 0, 0, 0, 2}
)

// String is the address in the usual notation.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// line is the notation taken apart: words that need a position are in fields, the rest in opt.
type line struct {
	ether      bool // names its MACs
	mac        [2]MAC
	kind       string
	addr       [2]netip.Addr // source, destination; arp: sender, target
	port       [2]uint16
	ports      bool
	word       string   // TCP flags, SCTP chunk, ICMP message, ARP verb
	args       []string // of the ICMP message
	opt        map[string]string
	inner      *line
	vlan       int // -1: none
	innerFrame bool
}

// options lists, per kind, the words that a value follows; flags those that stand alone.
var (
	ipOptions = []string{"ttl", "tos", "id", "frag", "flow", "ext", "dstopts", "ipopts", "iplen", "ipsum", "cut", "len", "hex"}
	options   = map[string][]string{
		"tcp": {"seq", "ack", "win", "urg", "opts", "sum"}, "udp": {"udplen", "sum"}, "sctp": {"tag", "sum"},
		"icmp": {"sum"}, "ns": {"target", "slla", "tlla", "sum"}, "na": {"target", "slla", "tlla", "sum"},
		"vxlan": {"vni", "udplen", "sum"}, "ip": {"proto"},
		"arp": {"sha", "tha"}, "type": {"hex"}, "bytes": {"hex"},
	}
	flags = []string{"mf", "df", "router", "solicited", "override"}
)

func isIP(kind string) bool { return kind != "arp" && kind != "type" && kind != "bytes" }

// words is the unread rest of a line.
type words struct{ list []string }

func tokens(text string) *words {
	return &words{strings.Fields(strings.NewReplacer("{", " { ", "}", " } ").Replace(text))}
}

func (w *words) peek() string {
	if len(w.list) == 0 {
		return ""
	}
	return w.list[0]
}

func (w *words) next(what string) (string, error) {
	if len(w.list) == 0 {
		return "", fmt.Errorf("the line ends where %s should be", what)
	}
	word := w.list[0]
	w.list = w.list[1:]
	return word, nil
}

func (w *words) expect(word string) error {
	have, err := w.next(strconv.Quote(word))
	if err == nil && have != word {
		err = fmt.Errorf("%q where %q should be", have, word)
	}
	return err
}

// read takes a frame (or, without Ethernet, an IP packet) off the words; it stops at the end or at a closing brace.
func read(w *words, frame bool) (*line, error) {
	l := &line{opt: map[string]string{}, vlan: -1, mac: [2]MAC{SrcMAC, DstMAC}}
	if frame {
		if err := l.readEther(w); err != nil {
			return nil, err
		}
	}
	var err error
	if l.kind, err = w.next("the kind of packet"); err != nil {
		return nil, err
	}
	if _, ok := options[l.kind]; !ok {
		return nil, fmt.Errorf("%q is no kind of packet (tcp, udp, sctp, icmp, ns, na, vxlan, ip, arp, type, bytes)", l.kind)
	}
	if !frame && !isIP(l.kind) {
		return nil, fmt.Errorf("%q is no IP packet", l.kind)
	}
	switch {
	case l.kind == "arp":
		err = l.readARP(w)
	case l.kind == "type":
		l.word, err = w.next("an EtherType")
	case l.kind != "bytes":
		err = l.readIP(w)
	}
	if err != nil {
		return nil, err
	}
	return l, l.readOptions(w)
}

func (l *line) readEther(w *words) error {
	if w.peek() == "eth" {
		l.ether = true
		_, _ = w.next("")
		for i := range l.mac {
			if i == 1 {
				if err := w.expect(">"); err != nil {
					return err
				}
			}
			word, err := w.next("a MAC address")
			if err != nil {
				return err
			}
			if l.mac[i], err = parseMAC(word); err != nil {
				return err
			}
		}
	}
	if w.peek() == "vlan" {
		_, _ = w.next("")
		word, err := w.next("a VLAN id")
		if err != nil {
			return err
		}
		n, err := number(word, 0xffff)
		l.vlan = int(n)
		return err
	}
	return nil
}

func parseMAC(word string) (MAC, error) {
	m, err := net.ParseMAC(word)
	if err != nil || len(m) != 6 {
		return MAC{}, fmt.Errorf("%q is no MAC address", word)
	}
	return MAC(m), nil
}

func number(word string, limit uint64) (uint64, error) {
	n, err := strconv.ParseUint(word, 0, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", word)
	}
	if n > limit {
		return 0, fmt.Errorf("%s is more than %d", word, limit)
	}
	return n, nil
}

func (l *line) readARP(w *words) error {
	first, err := w.next("who-has or an address")
	if err != nil {
		return err
	}
	target, sender := first, ""
	if first == "who-has" {
		l.word = "who-has"
		if target, err = w.next("an address"); err != nil {
			return err
		}
	} else {
		l.word, sender = "is-at", first
		if err := w.expect("is-at"); err != nil {
			return err
		}
		mac, err := w.next("a MAC address")
		if err != nil {
			return err
		}
		l.opt["sha"] = mac
	}
	if err := w.expect("tell"); err != nil {
		return err
	}
	last, err := w.next("an address")
	if err != nil {
		return err
	}
	if l.word == "who-has" {
		sender = last
	} else {
		target = last
	}
	for i, word := range []string{sender, target} {
		if l.addr[i], err = netip.ParseAddr(word); err != nil || !l.addr[i].Is4() {
			return fmt.Errorf("%q is no IPv4 address", word)
		}
	}
	return nil
}

func (l *line) readIP(w *words) error {
	for i := range l.addr {
		if i == 1 {
			if err := w.expect(">"); err != nil {
				return err
			}
		}
		word, err := w.next("an address")
		if err != nil {
			return err
		}
		ports := false
		if l.addr[i], err = netip.ParseAddr(word); err != nil {
			ap, err := netip.ParseAddrPort(word)
			if err != nil {
				return fmt.Errorf("%q is neither an address nor address:port", word)
			}
			l.addr[i], l.port[i], ports = ap.Addr(), ap.Port(), true
		}
		if l.addr[i].Zone() != "" {
			return fmt.Errorf("%q: an address on the wire has no zone", word)
		}
		if i == 1 && ports != l.ports {
			return errors.New("either both ends have a port, or none")
		}
		l.ports = ports
	}
	if l.addr[0].Is4() != l.addr[1].Is4() {
		return fmt.Errorf("%s and %s are of different families", l.addr[0], l.addr[1])
	}
	switch {
	case slices.Contains([]string{"icmp", "ns", "na", "ip"}, l.kind) && l.ports:
		return fmt.Errorf("%s has no ports", l.kind)
	case (l.kind == "ns" || l.kind == "na") && l.addr[0].Is4():
		return fmt.Errorf("%s is IPv6 only", l.kind)
	}
	return l.readMessage(w)
}

// readMessage reads the word that follows the addresses: TCP flags, SCTP chunk or ICMP message.
func (l *line) readMessage(w *words) error {
	var err error
	switch {
	case (l.kind == "tcp" || l.kind == "sctp") && l.ports:
		l.word, err = w.next("TCP flags or an SCTP chunk")
		return err
	case l.kind == "icmp":
		if word := w.peek(); word == "" || word == "}" || slices.Contains(ipOptions, word) || slices.Contains(flags, word) {
			return nil // a later fragment
		}
		if l.word, err = w.next("a message"); err != nil {
			return err
		}
		count, ok := map[string]int{"echo": 2, "reply": 2, "unreachable": 1, "toobig": 1, "timeout": 1, "type": 5}[l.word]
		if !ok {
			return fmt.Errorf("%q is no ICMP message (echo, reply, unreachable, toobig, timeout, type)", l.word)
		}
		for range count {
			word, err := w.next("an argument of " + l.word)
			if err != nil {
				return err
			}
			l.args = append(l.args, word)
		}
	}
	return nil
}

func (l *line) readOptions(w *words) error {
	for len(w.list) > 0 && w.peek() != "}" {
		word, _ := w.next("")
		switch {
		case word == "{":
			if l.kind != "icmp" && l.kind != "vxlan" {
				return fmt.Errorf("%s carries no other packet", l.kind)
			}
			inner, err := read(w, l.kind == "vxlan")
			if err != nil {
				return err
			}
			if err := w.expect("}"); err != nil {
				return err
			}
			l.inner, l.innerFrame = inner, l.kind == "vxlan"
		case isIP(l.kind) && slices.Contains(flags, word):
			l.opt[word] = ""
		case slices.Contains(options[l.kind], word), isIP(l.kind) && slices.Contains(ipOptions, word):
			value, err := w.next("the value of " + word)
			if err != nil {
				return err
			}
			if _, twice := l.opt[word]; twice && word != "sha" {
				return fmt.Errorf("%s is said twice", word)
			}
			l.opt[word] = value
		default:
			return fmt.Errorf("%s does not know %q", l.kind, word)
		}
	}
	return nil
}

// num reads a numeric option; fallback is its value when the line has none.
func (l *line) num(name string, fallback, limit uint64) (uint64, error) {
	word, ok := l.opt[name]
	if !ok {
		return fallback, nil
	}
	n, err := number(word, limit)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return n, nil
}

func (l *line) has(name string) bool { _, ok := l.opt[name]; return ok }

func (l *line) bytes(name string) ([]byte, error) {
	b, err := hex.DecodeString(l.opt[name])
	if err != nil {
		return nil, fmt.Errorf("%s: %q is not hexadecimal", name, l.opt[name])
	}
	return b, nil
}

// payload is what len or hex say.
func (l *line) payload() ([]byte, error) {
	if l.has("hex") {
		if l.has("len") {
			return nil, errors.New("len and hex exclude each other")
		}
		return l.bytes("hex")
	}
	n, err := l.num("len", 0, 65535)
	return pattern(int(n)), err
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}
