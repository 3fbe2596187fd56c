// Package diag ends sockets of others by sock_diag(7), as ss --kill does.
//
// # The world it models
//
// A network namespace has sockets, and a netlink socket opened there lists and ends them (CAP_NET_ADMIN). The kernel looks at each of its
// sockets by a small program, which is sent with the question (struct inet_diag_bc_op), and tells of those alone that are connected with one of
// the addresses in it. Of these the ones go whose cookie is known: another socket may be connected with the same address, since its
// process called that.
//
// A process that waits for its socket gets ECONNABORTED at once, as does its next call; but a datagram socket is connected with nothing then,
// and a call that sends gets EDESTADDRREQ. Of TCP the other end gets a reset. A datagram socket that is not connected has no address that it
// speaks with, and is never ended: it would lose its port.
//
// # Invariants
//
//   - A socket that is not connected with the backend that is named beside its cookie is left alone.
//   - What has been closed meanwhile, and a namespace that is gone, is no error.
//
// # Example
//
//	ended, err := diag.End("/run/netns/web", []orphan.Socket{{Cookie: 7, Backend: backend}})
package diag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/lb/orphan"
)

// ErrUnsupported says that this kernel does not end sockets for others.
var ErrUnsupported = errors.New("the kernel ends no sockets for others: it needs CONFIG_INET_DIAG_DESTROY, CONFIG_INET_UDP_DIAG and CONFIG_INET_TCP_DIAG")

// End ends the sockets of a network namespace that are among these, and tells how many. Path: of the namespace; empty: of this thread's.
func End(path string, sockets []orphan.Socket) (ended int, err error) {
	if path == "" {
		return endHere(sockets)
	}
	inside, err := ns.GetNS(path)
	var gone ns.NSPathNotExistErr
	if errors.As(err, &gone) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("enter network namespace %s to end sockets: %w", path, err)
	}
	defer inside.Close()
	err = inside.Do(func(ns.NetNS) (err error) {
		ended, err = endHere(sockets)
		return err
	})
	if err != nil {
		return ended, fmt.Errorf("in network namespace %s: %w", path, err)
	}
	return ended, nil
}

// question is what the kernel is asked at once.
type question struct {
	protocol, family uint8 // an IPv6 socket may speak IPv4
}

func endHere(sockets []orphan.Socket) (ended int, err error) {
	of := map[question][]orphan.Backend{}
	wanted := map[orphan.Socket]bool{}
	is := map[orphan.Backend]bool{}
	for _, s := range sockets {
		wanted[s] = true
		if b := s.Backend; !is[b] {
			is[b] = true
			if b.At.Addr().Is4() {
				of[question{b.Protocol, unix.AF_INET}] = append(of[question{b.Protocol, unix.AF_INET}], b)
			}
			of[question{b.Protocol, unix.AF_INET6}] = append(of[question{b.Protocol, unix.AF_INET6}], b)
		}
	}
	var errs []error
	for q, backends := range of {
		for from := 0; from < len(backends); from += atOnce {
			n, err := end(q, backends[from:min(from+atOnce, len(backends))], wanted)
			if ended += n; errors.Is(err, ErrUnsupported) {
				return ended, err
			}
			errs = append(errs, err)
		}
	}
	return ended, errors.Join(errs...)
}

func end(q question, backends []orphan.Backend, wanted map[orphan.Socket]bool) (ended int, err error) {
	list := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	list.AddRawData(append(request(q, states[q.protocol], make([]byte, idSize)), nl.NewRtAttr(reqBytecode, program(backends)).Serialize()...))
	found, err := list.Execute(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return 0, ErrUnsupported
	}
	if err != nil {
		return 0, fmt.Errorf("list connected sockets: %w", err)
	}
	var errs []error
	for _, m := range found {
		if len(m) < idAt+idSize {
			continue
		}
		id := m[idAt : idAt+idSize]
		if !wanted[socket(q, id)] {
			continue
		}
		r := nl.NewNetlinkRequest(nl.SOCK_DESTROY, unix.NLM_F_ACK)
		r.AddRawData(request(q, ^uint32(0), id))
		switch _, err := r.Execute(unix.NETLINK_INET_DIAG, 0); {
		case err == nil:
			ended++
		case errors.Is(err, unix.EOPNOTSUPP):
			return ended, ErrUnsupported
		case !errors.Is(err, unix.ENOENT): // closed meanwhile
			errs = append(errs, fmt.Errorf("end a socket: %w", err))
		}
	}
	return ended, errors.Join(errs...)
}

// struct inet_diag_req_v2, and struct inet_diag_msg that answers it: both have struct inet_diag_sockid, in the one behind the states, in the
// other behind the first four bytes (linux/inet_diag.h).
const (
	reqBytecode = 1 // INET_DIAG_REQ_BYTECODE
	idAt        = 4
	idSize      = 48
	idDport     = 2 // in struct inet_diag_sockid
	idDst       = 20
	idCookie    = 40
)

// states are those in which a socket has a backend that it waits for: include/net/tcp_states.h. A connected one of UDP is "established".
var states = map[uint8]uint32{
	unix.IPPROTO_UDP: 1 << established,
	unix.IPPROTO_TCP: 1<<established | 1<<synSent | 1<<closeWait,
}

const (
	established = 1
	synSent     = 2
	closeWait   = 8
)

func request(q question, states uint32, id []byte) []byte {
	r := []byte{q.family, q.protocol, 0, 0}
	r = binary.NativeEndian.AppendUint32(r, states)
	return append(r, id...)
}

// socket is what the kernel tells of one.
func socket(q question, id []byte) orphan.Socket {
	a, _ := netip.AddrFromSlice(id[idDst : idDst+4])
	if q.family == unix.AF_INET6 {
		a, _ = netip.AddrFromSlice(id[idDst : idDst+16])
	}
	cookie := uint64(binary.NativeEndian.Uint32(id[idCookie:])) | uint64(binary.NativeEndian.Uint32(id[idCookie+4:]))<<32
	return orphan.Socket{Cookie: cookie, Backend: orphan.Backend{
		At: netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(id[idDport:])), Protocol: q.protocol,
	}}
}

// atOnce is how many backends one program knows: the kernel checks each jump by a walk through all of it.
const atOnce = 256

// Codes of struct inet_diag_bc_op.
const (
	jump        = 1 // INET_DIAG_BC_JMP
	destination = 8 // INET_DIAG_BC_D_COND
)

// program accepts a socket that is connected with one of these: it ends exactly at its end, and not for any other. A condition of
// IPv4 is met by an IPv6 socket with a mapped address, too.
func program(backends []orphan.Backend) []byte {
	var size int
	for _, b := range backends {
		size += conditionSize(b) + opSize
	}
	size -= opSize // none behind the last
	code := make([]byte, 0, size)
	for i, b := range backends {
		length, last := conditionSize(b), i == len(backends)-1
		code = append(code, destination, uint8(length))
		code = binary.NativeEndian.AppendUint16(code, uint16(length+opSize)) // to the next one, or beyond the end
		family := uint8(unix.AF_INET6)
		if b.At.Addr().Is4() {
			family = unix.AF_INET
		}
		code = append(code, family, uint8(b.At.Addr().BitLen()), 0, 0)
		code = binary.NativeEndian.AppendUint32(code, uint32(b.At.Port()))
		code = append(code, b.At.Addr().AsSlice()...)
		if !last {
			code = append(code, jump, opSize)
			code = binary.NativeEndian.AppendUint16(code, uint16(size-len(code)+2)) // from the jump, whose code is written already, to the end
		}
	}
	return code
}

const (
	opSize       = 4 // struct inet_diag_bc_op
	hostcondSize = 8 // struct inet_diag_hostcond
)

func conditionSize(b orphan.Backend) int { return opSize + hostcondSize + b.At.Addr().BitLen()/8 }
