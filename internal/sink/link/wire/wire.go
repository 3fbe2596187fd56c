// Package wire sends frames by a device and hears those that a filter lets through, below the kernel's own IP: what a DHCP client without an address
// needs, and who asks whether an address is taken.
//
// # The world it models
//
//	socket of a device, one EtherType   <-  frames that the filter takes, whole, with their Ethernet header
//	                                    ->  frames
//
// A socket belongs to the network namespace that it was opened in, wherever it is used.
//
// # Invariants
//
//   - What comes by the wire is a stranger's: every reader here gives "not ok" for what is cut short or does not hold together (FuzzRead).
//   - Nothing is heard before the filter is in place.
//
// Sources: packet(7); RFC 826 (ARP), RFC 768 (UDP), RFC 791, RFC 4861 4.3 and 4.4 (neighbour discovery).
//
// # Example
//
//	s, err := wire.Open(index, wire.IPv4, wire.ToPort(68))
//	_, err = s.Write(wire.UDP{…}.Frame())
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// EtherTypes.
const (
	IPv4 = unix.ETH_P_IP
	ARP  = unix.ETH_P_ARP
	IPv6 = unix.ETH_P_IPV6
)

const (
	ethernet = 14 // bytes of a header
	longest  = 1600
)

// Socket is one of a device.
type Socket struct {
	*os.File
	buffer [longest]byte
}

// Broadcast is the address of all.
var Broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Open opens a socket of the device with an index, in the current network namespace.
func Open(index int, etherType uint16, filter []bpf.Instruction) (*Socket, error) {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0) // of no protocol: it hears nothing yet
	switch {
	case errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("open packet socket: %w: the agent needs capability NET_RAW (capabilities in the chart's values)", err)
	case err != nil:
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("set filter of packet socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: etherType<<8 | etherType>>8, Ifindex: index}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind packet socket to device %d: %w", index, err)
	}
	return &Socket{File: os.NewFile(uintptr(fd), fmt.Sprintf("packet socket of device %d", index))}, nil
}

// Join lets the device hear a group of Ethernet, too.
func (s *Socket) Join(index int, group net.HardwareAddr) error {
	m := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_MULTICAST, Alen: uint16(len(group))}
	copy(m.Address[:], group)
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptPacketMreq(int(fd), unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m)
	})
	if err == nil {
		err = failed
	}
	return err
}

// Next is the next frame, which is good until the next call.
func (s *Socket) Next() ([]byte, error) {
	n, err := s.Read(s.buffer[:])
	if err != nil {
		return nil, err
	}
	return s.buffer[:n], nil
}

// Waiting is the next of the frames that have come already; nil: there is none.
func (s *Socket) Waiting() (frame []byte, err error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	var n int
	var failed error
	err = raw.Control(func(fd uintptr) { n, failed = unix.Read(int(fd), s.buffer[:]) })
	switch {
	case err != nil:
		return nil, err
	case errors.Is(failed, unix.EAGAIN):
		return nil, nil
	}
	return s.buffer[:max(n, 0)], failed
}

// ToPort takes IPv4 UDP packets to a port, whole ones.
func ToPort(port uint16) []bpf.Instruction {
	const drop = 255 // set below
	list := []bpf.Instruction{
		bpf.LoadAbsolute{Off: ethernet + 9, Size: 1}, // protocol
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_UDP, SkipTrue: drop},
		bpf.LoadAbsolute{Off: ethernet + 6, Size: 2}, // fragments
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3fff, SkipTrue: drop},
		bpf.LoadMemShift{Off: ethernet},
		bpf.LoadIndirect{Off: ethernet + 2, Size: 2}, // destination port
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(port), SkipTrue: drop},
		bpf.RetConstant{Val: longest},
		bpf.RetConstant{Val: 0},
	}
	for i, one := range list {
		if j, ok := one.(bpf.JumpIf); ok {
			j.SkipTrue = uint8(len(list) - 2 - i)
			list[i] = j
		}
	}
	return list
}

// Neighbors takes neighbour solicitations and advertisements of IPv6, from this wire (RFC 4861 7.1: a router would have made the hop limit less than 255).
func Neighbors() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: ethernet + 6, Size: 2}, // next header, hop limit
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_ICMPV6<<8 | 255, SkipTrue: 4},
		bpf.LoadAbsolute{Off: ethernet + ip6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: solicits, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: tells, SkipTrue: 1},
		bpf.RetConstant{Val: longest},
		bpf.RetConstant{Val: 0},
	}
}

// All takes whatever the EtherType of the socket lets through.
func All() []bpf.Instruction { return []bpf.Instruction{bpf.RetConstant{Val: longest}} }

// UDP is a packet.
type UDP struct {
	From, To net.HardwareAddr
	Src, Dst netip.AddrPort
	Payload  []byte
}

// Frame is the packet as it goes out.
func (u UDP) Frame() []byte {
	const ip, udp = 20, 8
	b := make([]byte, ethernet+ip+udp, ethernet+ip+udp+len(u.Payload))
	copy(b, u.To)
	copy(b[6:], u.From)
	binary.BigEndian.PutUint16(b[12:], IPv4)
	h := b[ethernet:]
	h[0], h[8], h[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(h[2:], uint16(ip+udp+len(u.Payload)))
	copy(h[12:], u.Src.Addr().AsSlice())
	copy(h[16:], u.Dst.Addr().AsSlice())
	binary.BigEndian.PutUint16(h[10:], ^sum(0, h[:ip]))
	t := h[ip:]
	binary.BigEndian.PutUint16(t, u.Src.Port())
	binary.BigEndian.PutUint16(t[2:], u.Dst.Port())
	binary.BigEndian.PutUint16(t[4:], uint16(udp+len(u.Payload)))
	b = append(b, u.Payload...)
	pseudo := uint32(unix.IPPROTO_UDP) + uint32(udp+len(u.Payload))
	c := ^sum(pseudo+uint32(sum(0, b[ethernet+12:ethernet+20])), b[ethernet+ip:])
	if c == 0 {
		c = 0xffff // 0 says that there is none
	}
	binary.BigEndian.PutUint16(b[ethernet+ip+6:], c)
	return b
}

// sum is the Internet's (RFC 1071), of an even beginning.
func sum(s uint32, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// ReadUDP reads an IPv4 UDP packet. Checksums are not looked at: between namespaces of a machine they are not computed.
func ReadUDP(frame []byte) (u UDP, ok bool) {
	if len(frame) < ethernet+20 || binary.BigEndian.Uint16(frame[12:]) != IPv4 {
		return u, false
	}
	h := frame[ethernet:]
	head, whole := int(h[0]&0xf)*4, int(binary.BigEndian.Uint16(h[2:]))
	if h[0]>>4 != 4 || head < 20 || h[9] != unix.IPPROTO_UDP || whole > len(h) || whole < head+8 || binary.BigEndian.Uint16(h[6:])&0x3fff != 0 {
		return u, false
	}
	t := h[head:whole]
	size := int(binary.BigEndian.Uint16(t[4:]))
	if size < 8 || size > len(t) {
		return u, false
	}
	u.To, u.From = net.HardwareAddr(frame[:6]), net.HardwareAddr(frame[6:12])
	u.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(h[12:16])), binary.BigEndian.Uint16(t))
	u.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(h[16:20])), binary.BigEndian.Uint16(t[2:]))
	u.Payload = t[8:size]
	return u, true
}
