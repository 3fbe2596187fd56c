package packet

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
)

// Format gives the line of an Ethernet frame. It takes any bytes; Parse of the line gives them back.
func Format(frame []byte) string {
	if text, ok := describe(frame); ok && inverse(text, frame) {
		return text
	}
	return raw(frame)
}

// raw says a frame in bytes.
func raw(frame []byte) string {
	if len(frame) >= 14 {
		text := fmt.Sprintf("eth %s > %s type %#04x hex %s", MAC(frame[6:12]), MAC(frame[:6]), be.Uint16(frame[12:]), hex.EncodeToString(frame[14:]))
		if len(frame) == 14 {
			text = strings.TrimSuffix(text, " hex ")
		}
		return text
	}
	if len(frame) == 0 {
		return "bytes"
	}
	return "bytes hex " + hex.EncodeToString(frame)
}

// FormatIP is Format for an IP packet without Ethernet.
func FormatIP(ip []byte) string {
	kind := uint16(typeIPv4)
	if len(ip) > 0 && ip[0]>>4 == 6 {
		kind = typeIPv6
	}
	frame := be.AppendUint16(append(append([]byte{}, DstMAC[:]...), SrcMAC[:]...), kind)
	frame = append(frame, ip...)
	return strings.TrimPrefix(Format(frame), fmt.Sprintf("eth %s > %s ", SrcMAC, DstMAC))
}

func inverse(text string, frame []byte) bool {
	back, err := Parse(text)
	return err == nil && bytes.Equal(back, frame)
}

// writer collects words.
type writer struct{ words []string }

func (w *writer) add(format string, args ...any) {
	w.words = append(w.words, fmt.Sprintf(format, args...))
}

// not adds a number that is not what Parse would take by itself.
func (w *writer) not(name string, have, usual uint64) {
	if have != usual {
		w.add("%s %d", name, have)
	}
}

func (w *writer) payload(b []byte) {
	switch {
	case len(b) == 0:
	case bytes.Equal(b, pattern(len(b))):
		w.add("len %d", len(b))
	default:
		w.add("hex %s", hex.EncodeToString(b))
	}
}

func (w *writer) String() string { return strings.Join(w.words, " ") }

// describe says what the notation can say; ok is false where it plainly has no words. The caller checks that nothing
// was lost.
func describe(frame []byte) (text string, ok bool) {
	if len(frame) < 14 {
		return "", false
	}
	dst, src, kind, body := MAC(frame[:6]), MAC(frame[6:12]), be.Uint16(frame[12:]), frame[14:]
	vlan := ""
	if kind == typeVLAN && len(body) >= 4 {
		vlan = fmt.Sprintf("vlan %d ", be.Uint16(body))
		kind, body = be.Uint16(body[2:]), body[4:]
	}
	var (
		d    = &description{}
		head = &line{mac: [2]MAC{src, dst}}
	)
	switch {
	case kind == typeARP && len(body) == 28:
		ok = d.arp(head, body)
	case kind == typeIPv4:
		ok = d.ipv4(body)
	case kind == typeIPv6:
		ok = d.ipv6(body)
	}
	if !ok {
		return "", false
	}
	usual := &line{kind: d.kind, word: d.word, addr: [2]netip.Addr{d.src, d.dst}}
	usualSrc, usualDst := usual.macs()
	ether := ""
	if src != usualSrc || dst != usualDst {
		ether = fmt.Sprintf("eth %s > %s ", src, dst)
	}
	return ether + vlan + d.String(), true
}

// description is a packet on its way into words: the kind and ends first, then the transport's words, then IP's.
type description struct {
	kind     string
	word     string // of ARP
	src, dst netip.Addr
	body     writer
	ip       writer
	hops     byte
	later    bool // a fragment with an offset
}

func (d *description) String() string {
	return strings.Join(append(append([]string{d.kind}, d.body.words...), d.ip.words...), " ")
}

func (d *description) arp(head *line, b []byte) bool {
	if !bytes.Equal(b[:6], []byte{0, 1, 8, 0, 6, 4}) {
		return false
	}
	d.kind = "arp"
	sha, tha := MAC(b[8:14]), MAC(b[18:24])
	d.src, d.dst = netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
	switch be.Uint16(b[6:]) {
	case 1:
		d.word = "who-has"
		d.body.add("who-has %s tell %s", d.dst, d.src)
		if sha != head.mac[0] {
			d.ip.add("sha %s", sha)
		}
		if tha != (MAC{}) {
			d.ip.add("tha %s", tha)
		}
	case 2:
		d.word = "is-at"
		d.body.add("%s is-at %s tell %s", d.src, sha, d.dst)
		if tha != head.mac[1] {
			d.ip.add("tha %s", tha)
		}
	default:
		return false
	}
	return true
}

func (d *description) ipv4(b []byte) bool {
	if len(b) < 20 || b[0]>>4 != 4 {
		return false
	}
	head := int(b[0]&15) * 4
	if head < 20 || head > len(b) {
		return false
	}
	d.src, d.dst, d.hops = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[8]
	frag := be.Uint16(b[6:])
	d.later = frag&0x1fff != 0
	d.ip.not("tos", uint64(b[1]), 0)
	d.ip.not("id", uint64(be.Uint16(b[4:])), 0)
	d.ip.not("frag", uint64(frag&0x1fff)*8, 0)
	if frag&0x2000 != 0 {
		d.ip.add("mf")
	}
	if frag&0x4000 != 0 {
		d.ip.add("df")
	}
	d.ip.not("iplen", uint64(be.Uint16(b[2:])), uint64(len(b)))
	if head > 20 {
		d.ip.add("ipopts %s", hex.EncodeToString(b[20:head]))
	}
	d.ip.not("ipsum", uint64(be.Uint16(b[10:])), uint64(fold(add(add(0, b[:10]), b[12:head]))))
	d.transport(b[9], b[head:])
	return true
}

func (d *description) ipv6(b []byte) bool {
	if len(b) < 40 || b[0]>>4 != 6 {
		return false
	}
	d.src, d.dst, d.hops = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), b[7]
	first := be.Uint32(b)
	d.ip.not("tos", uint64(first>>20&255), 0)
	d.ip.not("flow", uint64(first&0xfffff), 0)
	d.ip.not("iplen", uint64(be.Uint16(b[4:])), uint64(len(b)-40))
	next, rest := b[6], b[40:]
	var ext []string
	if next == extOptions && len(rest) >= 8 && len(rest) >= int(rest[1])*8+8 && !bytes.Equal(rest[1:8], []byte{0, 1, 4, 0, 0, 0, 0}) {
		size := int(rest[1])*8 + 8
		d.ip.add("dstopts %s", hex.EncodeToString(rest[2:size]))
		next, rest = rest[0], rest[size:]
	}
	for slices.Contains([]byte{0, 43, 60}, next) && len(rest) >= 8 {
		ext = append(ext, fmt.Sprint(next))
		next, rest = rest[0], rest[8:]
	}
	if len(ext) > 0 {
		d.ip.add("ext %s", strings.Join(ext, ","))
	}
	if next == extFragment && len(rest) >= 8 {
		offset := be.Uint16(rest[2:])
		d.ip.add("frag %d", offset&^7)
		if offset&1 != 0 {
			d.ip.add("mf")
		}
		d.ip.not("id", uint64(be.Uint32(rest[4:])), 0)
		d.later = offset&^7 != 0
		next, rest = rest[0], rest[8:]
	}
	d.transport(next, rest)
	return true
}

// ends adds source and destination, with ports where the first bytes of the header hold some.
func (d *description) ends(b []byte) {
	if b == nil {
		d.body.add("%s > %s", d.src, d.dst)
		return
	}
	d.body.add("%s > %s", netip.AddrPortFrom(d.src, be.Uint16(b)), netip.AddrPortFrom(d.dst, be.Uint16(b[2:])))
}

func (d *description) transport(proto byte, b []byte) {
	sum := func(have uint16, at int) uint64 {
		l := line{kind: d.kind, addr: [2]netip.Addr{d.src, d.dst}}
		copied, _ := l.checksum(append(append([]byte{}, b[:at]...), append([]byte{0, 0}, b[at+2:]...)...), at)
		return uint64(be.Uint16(copied[at:]))
	}
	icmp := proto == protoICMPv6 && d.src.Is6() || proto == protoICMP && d.src.Is4()
	usualHops := uint64(64)
	switch {
	case d.later && (proto == protoTCP || proto == protoUDP || proto == protoSCTP || icmp):
		d.kind = map[byte]string{protoTCP: "tcp", protoUDP: "udp", protoSCTP: "sctp", protoICMP: "icmp", protoICMPv6: "icmp"}[proto]
		d.ends(nil)
		d.body.payload(b)
	case proto == protoTCP && len(b) >= 20 && int(b[12]>>4)*4 >= 20 && int(b[12]>>4)*4 <= len(b):
		d.kind = "tcp"
		d.tcp(b, sum(be.Uint16(b[16:]), 16))
	case proto == protoUDP && len(b) >= 8:
		d.kind = "udp"
		d.udp(b, sum(be.Uint16(b[6:]), 6))
	case proto == protoSCTP && len(b) >= 16:
		d.kind = "sctp"
		d.sctp(b)
	case icmp && len(b) >= 24 && proto == protoICMPv6 && (b[0] == 135 || b[0] == 136):
		d.kind = "ns"
		usualHops = 255
		d.neighbor(b, sum(be.Uint16(b[2:]), 2))
	case icmp && len(b) >= 8:
		d.kind = "icmp"
		d.icmp(b, sum(be.Uint16(b[2:]), 2))
	default:
		d.kind = "ip"
		d.ends(nil)
		d.body.add("proto %d", proto)
		d.body.payload(b)
	}
	d.ip.not("ttl", uint64(d.hops), usualHops)
}

func (d *description) tcp(b []byte, sum uint64) {
	d.ends(b)
	word := ""
	for i, letter := range tcpLetters {
		if b[13]&(1<<i) != 0 {
			word += string(letter)
		}
	}
	if word == "" {
		word = "-"
	}
	d.body.add("%s", word)
	d.body.not("seq", uint64(be.Uint32(b[4:])), 0)
	d.body.not("ack", uint64(be.Uint32(b[8:])), 0)
	d.body.not("win", uint64(be.Uint16(b[14:])), 65535)
	d.body.not("urg", uint64(be.Uint16(b[18:])), 0)
	head := int(b[12]>>4) * 4
	if head > 20 {
		d.body.add("opts %s", hex.EncodeToString(b[20:head]))
	}
	d.body.payload(b[head:])
	d.body.not("sum", uint64(be.Uint16(b[16:])), sum)
}

func (d *description) udp(b []byte, sum uint64) {
	d.ends(b)
	to, payload := be.Uint16(b[2:]), b[8:]
	if (to == 8472 || to == 4789) && len(payload) >= 8+14 && bytes.Equal(payload[:4], []byte{8, 0, 0, 0}) && payload[7] == 0 {
		d.kind = "vxlan"
		d.body.add("vni %d", be.Uint32(payload[4:])>>8)
		d.body.add("{%s}", Format(payload[8:]))
	} else {
		d.body.payload(payload)
	}
	d.body.not("udplen", uint64(be.Uint16(b[4:])), uint64(len(b)))
	d.body.not("sum", uint64(be.Uint16(b[6:])), sum)
}

func (d *description) sctp(b []byte) {
	d.ends(b)
	word := "?" // no chunk of this name: the line will not parse, and the packet is written in bytes
	for name, kind := range chunks {
		if kind == b[12] {
			word = name
		}
	}
	d.body.add("%s", word)
	d.body.not("tag", uint64(be.Uint32(b[4:])), 0)
	d.body.payload(b[16:])
	without := slices.Concat(b[:8], []byte{0, 0, 0, 0}, b[12:])
	d.body.not("sum", uint64(binary.LittleEndian.Uint32(b[8:])), uint64(crc32.Checksum(without, crc32.MakeTable(crc32.Castagnoli))))
}

func (d *description) neighbor(b []byte, sum uint64) {
	if b[0] == 136 {
		d.kind = "na"
	}
	d.ends(nil)
	d.body.add("target %s", netip.AddrFrom16([16]byte(b[8:24])))
	rest := b[24:]
	for i, name := range []string{"slla", "tlla"} {
		if len(rest) >= 8 && rest[0] == byte(i+1) && rest[1] == 1 {
			d.body.add("%s %s", name, MAC(rest[2:8]))
			rest = rest[8:]
		}
	}
	for i, flag := range []string{"router", "solicited", "override"} {
		if b[4]&(0x80>>i) != 0 {
			d.body.add("%s", flag)
		}
	}
	d.body.payload(rest)
	d.body.not("sum", uint64(be.Uint16(b[2:])), sum)
}

func (d *description) icmp(b []byte, sum uint64) {
	d.ends(nil)
	v4 := d.src.Is4()
	rest, payload := be.Uint32(b[4:]), b[8:]
	about := false
	switch {
	case v4 && b[0] == 8 || !v4 && b[0] == 128:
		d.body.add("echo %d %d", rest>>16, rest&0xffff)
	case v4 && b[0] == 0 || !v4 && b[0] == 129:
		d.body.add("reply %d %d", rest>>16, rest&0xffff)
	case v4 && b[0] == 3 && b[1] == 4 && rest>>16 == 0, !v4 && b[0] == 2 && b[1] == 0:
		d.body.add("toobig %d", rest)
		about = true
	default:
		for _, m := range messages {
			kind, names := m.v6, m.names6
			if v4 {
				kind, names = m.v4, m.names4
			}
			if names != nil && kind == b[0] && rest == 0 {
				word := fmt.Sprint(b[1])
				if int(b[1]) < len(names) && names[b[1]] != "" {
					word = names[b[1]]
				}
				d.body.add("%s %s", m.word, word)
				about = true
			}
		}
		if !about {
			d.body.add("type %d code %d rest %d", b[0], b[1], rest)
		}
	}
	if inner, ok := describeInner(payload); about && ok {
		d.body.add("{%s}", inner)
	} else {
		d.body.payload(payload)
	}
	d.body.not("sum", uint64(be.Uint16(b[2:])), sum)
}

// describeInner gives the line of the packet that an ICMP error quotes, if the notation has one.
func describeInner(ip []byte) (string, bool) {
	if len(ip) < 20 {
		return "", false
	}
	text := FormatIP(ip)
	if !isIP(strings.Fields(text)[0]) || strings.HasPrefix(text, "eth ") {
		return "", false
	}
	return text, true
}
