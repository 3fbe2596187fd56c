package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
)

const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeVLAN = 0x8100
	typeIPv6 = 0x86dd

	protoICMP, protoTCP, protoUDP, protoICMPv6, protoSCTP = 1, 6, 17, 58, 132

	extFragment = 44
	extOptions  = 60
)

var (
	be        = binary.BigEndian
	broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

// Parse makes the Ethernet frame that a line describes. The error quotes the line and the word that is wrong.
func Parse(text string) ([]byte, error) {
	w := tokens(text)
	l, err := read(w, true)
	if err == nil && len(w.list) > 0 {
		err = errors.New("} without {")
	}
	var frame []byte
	if err == nil {
		frame, err = l.frame()
	}
	if err != nil {
		return nil, fmt.Errorf("packet %q: %w", text, err)
	}
	return frame, nil
}

// ParseIP makes an IP packet without Ethernet, for layer 3 devices.
func ParseIP(text string) ([]byte, error) {
	frame, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if len(frame) < 14 || (be.Uint16(frame[12:]) != typeIPv4 && be.Uint16(frame[12:]) != typeIPv6) {
		return nil, fmt.Errorf("packet %q: no IP packet", text)
	}
	return frame[14:], nil
}

func (l *line) frame() ([]byte, error) {
	if l.kind == "bytes" {
		return l.bytes("hex")
	}
	var (
		body []byte
		kind uint64
		err  error
	)
	switch l.kind {
	case "type":
		if kind, err = number(l.word, 0xffff); err == nil {
			body, err = l.bytes("hex")
		}
	case "arp":
		kind = typeARP
		body, err = l.arp()
	default:
		kind = typeIPv6
		if l.addr[0].Is4() {
			kind = typeIPv4
		}
		body, err = l.ip()
	}
	if err != nil {
		return nil, err
	}
	src, dst := l.macs()
	out := append(append([]byte{}, dst[:]...), src[:]...)
	if l.vlan >= 0 {
		out = be.AppendUint16(be.AppendUint16(out, typeVLAN), uint16(l.vlan))
	}
	return append(be.AppendUint16(out, uint16(kind)), body...), nil
}

// macs are the addresses that the line names, or the usual ones for what it carries.
func (l *line) macs() (src, dst MAC) {
	if l.ether {
		return l.mac[0], l.mac[1]
	}
	to := l.addr[1]
	switch {
	case l.kind == "arp" && l.word == "who-has":
		return SrcMAC, broadcast
	case to.Is4() && to.IsMulticast():
		b := to.As4()
		return SrcMAC, MAC{1, 0, 0x5e, b[1] & 0x7f, b[2], b[3]}
	case to.Is6() && to.IsMulticast():
		b := to.As16()
		return SrcMAC, MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
	}
	return SrcMAC, DstMAC
}

func (l *line) arp() ([]byte, error) {
	src, dst := l.macs()
	op := uint16(2)
	sender, target := src, dst
	if l.word == "who-has" {
		op, target = 1, MAC{}
	}
	for name, mac := range map[string]*MAC{"sha": &sender, "tha": &target} {
		if word, ok := l.opt[name]; ok {
			var err error
			if *mac, err = parseMAC(word); err != nil {
				return nil, err
			}
		}
	}
	out := []byte{0, 1, 8, 0, 6, 4}
	out = be.AppendUint16(out, op)
	out = append(append(out, sender[:]...), l.addr[0].AsSlice()...)
	return append(append(out, target[:]...), l.addr[1].AsSlice()...), nil
}

// ip makes the IP packet.
func (l *line) ip() ([]byte, error) {
	proto, body, err := l.transport()
	if err != nil {
		return nil, err
	}
	var out []byte
	if l.addr[0].Is4() {
		out, err = l.ipv4(proto, body)
	} else {
		out, err = l.ipv6(proto, body)
	}
	if err != nil {
		return nil, err
	}
	cut, err := l.num("cut", uint64(len(out)), uint64(len(out)))
	return out[:cut], err
}

// fields are numeric options with their fallback and their highest value.
func (l *line) fields(list ...any) ([]uint64, error) {
	var out []uint64
	for i := 0; i < len(list); i += 3 {
		n, err := l.num(list[i].(string), uint64(list[i+1].(int)), uint64(list[i+2].(int)))
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

func (l *line) hops() int {
	if l.kind == "ns" || l.kind == "na" {
		return 255
	}
	return 64
}

func (l *line) ipv4(proto byte, body []byte) ([]byte, error) {
	if l.has("flow") || l.has("ext") || l.has("dstopts") {
		return nil, errors.New("flow, ext and dstopts are IPv6 only")
	}
	opts, err := l.bytes("ipopts")
	if err != nil {
		return nil, err
	}
	if len(opts)%4 != 0 || len(opts) > 40 {
		return nil, fmt.Errorf("ipopts: %d bytes, must be a multiple of 4 up to 40", len(opts))
	}
	head := 20 + len(opts)
	f, err := l.fields("tos", 0, 255, "iplen", (head+len(body))&0xffff, 65535, "id", 0, 65535, "frag", 0, 65528, "ttl", l.hops(), 255)
	if err != nil {
		return nil, err
	}
	if f[3]%8 != 0 {
		return nil, fmt.Errorf("frag: %d is no multiple of 8", f[3])
	}
	out := []byte{byte(0x40 | head/4), byte(f[0])}
	out = be.AppendUint16(out, uint16(f[1]))
	out = be.AppendUint16(out, uint16(f[2]))
	frag := uint16(f[3] / 8)
	if l.has("mf") {
		frag |= 0x2000
	}
	if l.has("df") {
		frag |= 0x4000
	}
	out = append(be.AppendUint16(out, frag), byte(f[4]), proto, 0, 0)
	out = append(append(out, l.addr[0].AsSlice()...), l.addr[1].AsSlice()...)
	out = append(out, opts...)
	sum, err := l.num("ipsum", uint64(fold(add(0, out))), 65535)
	be.PutUint16(out[10:], uint16(sum))
	return append(out, body...), err
}

func (l *line) ipv6(proto byte, body []byte) ([]byte, error) {
	if l.has("df") || l.has("ipopts") || l.has("ipsum") {
		return nil, errors.New("df, ipopts and ipsum are IPv4 only")
	}
	chain, first, err := l.extensions(proto)
	if err != nil {
		return nil, err
	}
	f, err := l.fields("tos", 0, 255, "flow", 0, 0xfffff, "iplen", (len(chain)+len(body))&0xffff, 65535, "ttl", l.hops(), 255)
	if err != nil {
		return nil, err
	}
	out := be.AppendUint32(nil, uint32(6<<28|f[0]<<20|f[1]))
	out = append(be.AppendUint16(out, uint16(f[2])), first, byte(f[3]))
	out = append(append(out, l.addr[0].AsSlice()...), l.addr[1].AsSlice()...)
	return append(append(out, chain...), body...), nil
}

// extensions makes the chain of extension headers: destination options, those of ext, each with 6 bytes of padding, then the fragment
// header if the line speaks of one. It also gives the number of the first.
func (l *line) extensions(proto byte) (chain []byte, first byte, err error) {
	var numbers []byte
	opts, err := l.bytes("dstopts")
	if err != nil {
		return nil, 0, err
	}
	if l.has("dstopts") {
		if len(opts)%8 != 6 {
			return nil, 0, fmt.Errorf("dstopts: %d bytes, must be 6 more than a multiple of 8", len(opts))
		}
		numbers = append(numbers, extOptions)
	}
	if word, ok := l.opt["ext"]; ok {
		for text := range strings.SplitSeq(word, ",") {
			n, err := number(text, 255)
			if err != nil {
				return nil, 0, fmt.Errorf("ext: %w", err)
			}
			numbers = append(numbers, byte(n))
		}
	}
	fragment := l.has("frag") || l.has("mf")
	if fragment {
		numbers = append(numbers, extFragment)
	}
	numbers = append(numbers, proto)
	f, err := l.fields("frag", 0, 65528, "id", 0, 0xffffffff)
	if err != nil {
		return nil, 0, err
	}
	if f[0]%8 != 0 {
		return nil, 0, fmt.Errorf("frag: %d is no multiple of 8", f[0])
	}
	for i := range len(numbers) - 1 {
		if fragment && i == len(numbers)-2 {
			offset := uint16(f[0])
			if l.has("mf") {
				offset |= 1
			}
			chain = be.AppendUint32(be.AppendUint16(append(chain, numbers[i+1], 0), offset), uint32(f[1]))
			continue
		}
		if i == 0 && l.has("dstopts") {
			chain = append(append(chain, numbers[i+1], byte(len(opts)/8)), opts...)
			continue
		}
		chain = append(chain, numbers[i+1], 0, 1, 4, 0, 0, 0, 0)
	}
	if !fragment && l.has("id") {
		return nil, 0, errors.New("id: only a fragment of IPv6 has one (say frag 0)")
	}
	return chain, numbers[0], nil
}

// transport makes what follows the IP header, checksums included.
func (l *line) transport() (proto byte, body []byte, err error) {
	payload, err := l.payload()
	if err != nil {
		return 0, nil, err
	}
	frag, err := l.num("frag", 0, 65528)
	if err != nil {
		return 0, nil, err
	}
	proto = l.protocol()
	switch {
	case l.kind == "ip":
		n, err := l.num("proto", 255, 255)
		return byte(n), payload, err
	case frag > 0 || (!l.ports && slices.Contains([]string{"tcp", "udp", "sctp"}, l.kind)) || (l.kind == "icmp" && l.word == ""):
		if frag == 0 {
			return 0, nil, fmt.Errorf("%s: only a fragment with an offset has no header", l.kind)
		}
		if l.ports || l.word != "" {
			return 0, nil, fmt.Errorf("%s: a fragment with an offset has no header", l.kind)
		}
		return proto, payload, nil
	case l.kind == "tcp":
		body, err = l.tcp(payload)
	case l.kind == "udp" || l.kind == "vxlan":
		body, err = l.udp(payload)
	case l.kind == "sctp":
		body, err = l.sctp(payload)
	case l.kind == "icmp":
		body, err = l.icmp(payload)
	default:
		body, err = l.neighbor(payload)
	}
	return proto, body, err
}

func (l *line) protocol() byte {
	switch l.kind {
	case "tcp":
		return protoTCP
	case "udp", "vxlan":
		return protoUDP
	case "sctp":
		return protoSCTP
	}
	if l.addr[0].Is4() {
		return protoICMP
	}
	return protoICMPv6
}

// checksum puts the right checksum, or that of the option sum, at the offset.
func (l *line) checksum(body []byte, at int) ([]byte, error) {
	var sum uint32
	if proto := l.protocol(); proto != protoICMP {
		sum = pseudo(l.addr[0], l.addr[1], proto, len(body))
	}
	n := fold(add(sum, body))
	if n == 0 && l.protocol() == protoUDP {
		n = 0xffff // RFC 768: zero means that there is none
	}
	value, err := l.num("sum", uint64(n), 65535)
	be.PutUint16(body[at:], uint16(value))
	return body, err
}

func pseudo(src, dst netip.Addr, proto byte, length int) uint32 {
	return add(add(uint32(proto)+uint32(length), src.AsSlice()), dst.AsSlice())
}

// add sums 16-bit words (RFC 1071); an odd last byte counts as the high one.
func add(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(be.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum&0xffff + sum>>16
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

const tcpLetters = "FSRPAUEC"

func (l *line) tcp(payload []byte) ([]byte, error) {
	var bits byte
	if l.word != "-" {
		for _, letter := range l.word {
			i := strings.IndexRune(tcpLetters, letter)
			if i < 0 {
				return nil, fmt.Errorf("%q are no TCP flags: letters of %s, or -", l.word, tcpLetters)
			}
			bits |= 1 << i
		}
	}
	opts, err := l.bytes("opts")
	if err != nil {
		return nil, err
	}
	if len(opts)%4 != 0 || len(opts) > 40 {
		return nil, fmt.Errorf("opts: %d bytes, must be a multiple of 4 up to 40", len(opts))
	}
	f, err := l.fields("seq", 0, 0xffffffff, "ack", 0, 0xffffffff, "win", 65535, 65535, "urg", 0, 65535)
	if err != nil {
		return nil, err
	}
	out := be.AppendUint16(be.AppendUint16(nil, l.port[0]), l.port[1])
	out = be.AppendUint32(be.AppendUint32(out, uint32(f[0])), uint32(f[1]))
	out = be.AppendUint16(append(out, byte((20+len(opts))/4<<4), bits), uint16(f[2]))
	out = be.AppendUint16(append(out, 0, 0), uint16(f[3]))
	return l.checksum(append(append(out, opts...), payload...), 16)
}

func (l *line) udp(payload []byte) ([]byte, error) {
	if l.kind == "vxlan" {
		vni, err := l.num("vni", 0, 0xffffff)
		if err != nil {
			return nil, err
		}
		if l.inner == nil {
			return nil, errors.New("vxlan: no {packet} inside")
		}
		inner, err := l.inner.frame()
		if err != nil {
			return nil, err
		}
		payload = append(be.AppendUint32([]byte{8, 0, 0, 0}, uint32(vni)<<8), inner...)
	}
	length, err := l.num("udplen", uint64(8+len(payload))&0xffff, 65535)
	if err != nil {
		return nil, err
	}
	out := be.AppendUint16(be.AppendUint16(nil, l.port[0]), l.port[1])
	out = append(be.AppendUint16(out, uint16(length)), 0, 0)
	return l.checksum(append(out, payload...), 6)
}

// chunks are the SCTP chunk types with a name (RFC 9260 section 3.2).
var chunks = map[string]byte{
	"data": 0, "init": 1, "init-ack": 2, "abort": 6, "shutdown": 7, "shutdown-ack": 8,
	"cookie-echo": 10, "cookie-ack": 11, "shutdown-complete": 14,
}

func (l *line) sctp(payload []byte) ([]byte, error) {
	chunk, ok := chunks[l.word]
	if !ok {
		return nil, fmt.Errorf("%q is no SCTP chunk", l.word)
	}
	if len(payload)%4 != 0 {
		return nil, fmt.Errorf("len: %d, an SCTP chunk here is a multiple of 4", len(payload))
	}
	tag, err := l.num("tag", 0, 0xffffffff)
	if err != nil {
		return nil, err
	}
	out := be.AppendUint16(be.AppendUint16(nil, l.port[0]), l.port[1])
	out = append(be.AppendUint32(out, uint32(tag)), 0, 0, 0, 0, chunk, 0)
	out = append(be.AppendUint16(out, uint16(4+len(payload))), payload...)
	// RFC 9260 appendix A: the CRC is in little-endian order.
	sum, err := l.num("sum", uint64(crc32.Checksum(out, crc32.MakeTable(crc32.Castagnoli))), 0xffffffff)
	binary.LittleEndian.PutUint32(out[8:], uint32(sum))
	return out, err
}
