package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
)

// Key orders and finds rows: bytes compared as bytes. Build it with Join; String makes it readable again.
type Key string

// Tags start every part that Join writes, so that String can tell parts apart. Within one kind of value the tags are
// in the order of the values, so the encoding keeps the order.
const (
	tagFalse         = 0x01
	tagTrue          = 0x02
	tagString        = 0x03
	tagInt           = 0x18 // zero; tagInt+n is followed by the n significant bytes of a positive, tagInt-n of a negative number
	tagAddrInvalid   = 0x24
	tagAddr4         = 0x25
	tagAddr6         = 0x26
	tagPrefixInvalid = 0x28
	tagPrefix4       = 0x29
	tagPrefix6       = 0x2a
)

// Join builds a key of parts, in order of significance. Two keys with parts of the same kinds compare as their parts
// do, one after the other, and no part runs into the next: Join("a", "bc") differs from Join("ab", "c"), and
// Join("a") is a prefix of Join("a", x) for every x and of no Join("ab", x).
//
// A part is a string (or Key, or []byte), netip.Addr (IPv4 before IPv6), netip.Prefix (by address, then by length), an
// integer of any width and sign (the same number is the same part, whatever its type), a bool, or a fmt.Stringer, which
// stands for its text; a named string, integer or bool type without String counts as what it is made of. Anything else
// is a mistake of the caller and panics.
func Join(parts ...any) Key {
	b := make([]byte, 0, 16*len(parts))
	for _, p := range parts {
		b = appendPart(b, p)
	}
	return Key(b)
}

func appendPart(b []byte, part any) []byte {
	switch p := part.(type) {
	case string:
		return appendString(append(b, tagString), p)
	case Key:
		return appendString(append(b, tagString), string(p))
	case []byte:
		return appendString(append(b, tagString), string(p))
	case netip.Addr:
		return appendAddr(b, p, tagAddrInvalid)
	case netip.Prefix:
		return appendPrefix(b, p)
	case bool:
		return appendBool(b, p)
	case fmt.Stringer:
		return appendString(append(b, tagString), p.String())
	}
	switch v := reflect.ValueOf(part); v.Kind() {
	case reflect.String:
		return appendString(append(b, tagString), v.String())
	case reflect.Bool:
		return appendBool(b, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n := v.Int(); n < 0 {
			return appendNegative(b, n)
		}
		return appendUnsigned(b, uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return appendUnsigned(b, v.Uint())
	}
	panic(fmt.Sprintf("state.Join: a %T cannot be part of a key: give it a String method or join its fields", part))
}

// appendString ends the text with 0x00 and moves 0x00 and 0x01 inside it out of the way, which keeps the order.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] <= 1 {
			b = append(b, 1, s[i]+1)
		} else {
			b = append(b, s[i])
		}
	}
	return append(b, 0)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, tagTrue)
	}
	return append(b, tagFalse)
}

func appendUnsigned(b []byte, n uint64) []byte {
	size := (bits.Len64(n) + 7) / 8
	var buf [8]byte
	binary.BigEndian.PutUint64(buf[:], n)
	return append(append(b, byte(tagInt+size)), buf[8-size:]...)
}

// appendNegative writes fewer bytes the nearer the number is to zero, and the tag falls with the number of bytes.
func appendNegative(b []byte, n int64) []byte {
	size := max(1, (bits.Len64(uint64(^n))+7)/8)
	var buf [8]byte
	binary.BigEndian.PutUint64(buf[:], uint64(n))
	return append(append(b, byte(tagInt-size)), buf[8-size:]...)
}

// appendAddr writes the tag of the family counted from invalid, then the address, then for IPv6 the zone.
func appendAddr(b []byte, a netip.Addr, invalid byte) []byte {
	switch {
	case !a.IsValid():
		return append(b, invalid)
	case a.Is4():
		bytes4 := a.As4()
		return append(append(b, invalid+1), bytes4[:]...)
	}
	bytes16 := a.As16()
	return appendString(append(append(b, invalid+2), bytes16[:]...), a.Zone())
}

// appendPrefix orders as netip.Prefix.Compare does: by masked address, then length, then what the mask hides.
func appendPrefix(b []byte, p netip.Prefix) []byte {
	if !p.IsValid() {
		return append(b, tagPrefixInvalid)
	}
	b = appendAddr(b, p.Masked().Addr(), tagPrefixInvalid)
	b = append(b, byte(p.Bits()))
	if p == p.Masked() {
		return append(b, 0)
	}
	return appendAddr(append(b, 1), p.Addr(), tagPrefixInvalid)
}

// String shows the parts of a key made by Join with a slash between them ("default/web"), and any other key as it is.
func (k Key) String() string {
	var out []string
	for rest := []byte(k); len(rest) > 0; {
		text, after, ok := readPart(rest)
		if !ok {
			return string(k)
		}
		out, rest = append(out, text), after
	}
	return strings.Join(out, "/")
}

func readPart(b []byte) (text string, rest []byte, ok bool) {
	tag, b := b[0], b[1:]
	switch {
	case tag == tagFalse || tag == tagTrue:
		return strconv.FormatBool(tag == tagTrue), b, true
	case tag == tagString:
		return readString(b)
	case tag >= tagInt && tag <= tagInt+8:
		return readInt(b, int(tag-tagInt), 0)
	case tag < tagInt && tag >= tagInt-8:
		return readInt(b, int(tagInt-tag), 0xff)
	case tag >= tagAddrInvalid && tag <= tagAddr6:
		a, rest, ok := readAddr(b, tag-tagAddrInvalid)
		return a.String(), rest, ok
	case tag >= tagPrefixInvalid && tag <= tagPrefix6:
		return readPrefix(b, tag-tagPrefixInvalid)
	}
	return "", nil, false
}

func readString(b []byte) (text string, rest []byte, ok bool) {
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		return "", nil, false
	}
	var s strings.Builder
	for i := 0; i < end; i++ {
		if b[i] == 1 && i+1 < end {
			i++
			s.WriteByte(b[i] - 1)
		} else {
			s.WriteByte(b[i])
		}
	}
	return s.String(), b[end+1:], true
}

func readInt(b []byte, size int, fill byte) (text string, rest []byte, ok bool) {
	if len(b) < size {
		return "", nil, false
	}
	buf := bytes.Repeat([]byte{fill}, 8)
	copy(buf[8-size:], b[:size])
	n := binary.BigEndian.Uint64(buf)
	if fill == 0 {
		return strconv.FormatUint(n, 10), b[size:], true
	}
	return strconv.FormatInt(int64(n), 10), b[size:], true
}

// readAddr reads an address of a family: 0 invalid, 1 IPv4, 2 IPv6.
func readAddr(b []byte, family byte) (a netip.Addr, rest []byte, ok bool) {
	switch {
	case family == 0:
		return netip.Addr{}, b, true
	case family == 1 && len(b) >= 4:
		return netip.AddrFrom4([4]byte(b)), b[4:], true
	case family == 2 && len(b) >= 17:
		zone, rest, ok := readString(b[16:])
		return netip.AddrFrom16([16]byte(b)).WithZone(zone), rest, ok
	}
	return netip.Addr{}, nil, false
}

func readPrefix(b []byte, family byte) (text string, rest []byte, ok bool) {
	a, b, ok := readAddr(b, family)
	if !ok || family == 0 {
		return netip.Prefix{}.String(), b, ok
	}
	if len(b) < 2 {
		return "", nil, false
	}
	length, hidden, b := int(b[0]), b[1] == 1, b[2:]
	if hidden && len(b) > 0 {
		a, b, ok = readAddr(b[1:], b[0]-tagPrefixInvalid)
	}
	return netip.PrefixFrom(a, length).String(), b, ok
}
