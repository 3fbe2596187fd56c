package nft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Numbers that golang.org/x/sys/unix has no name for: linux/netfilter/nfnetlink.h.
const (
	batchGeneration = 1 // NFNL_BATCH_GENID
	headerSize      = unix.SizeofNlMsghdr + 4
)

// socket speaks with nftables.
type socket struct {
	fd  int
	seq uint32
}

func open() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open a socket to nftables: %w", err)
	}
	return &socket{fd: fd}, nil
}

func (s *socket) close() { _ = unix.Close(s.fd) }

// attribute is one attribute, as netlink writes it.
func attribute(kind uint16, value []byte) []byte {
	out := make([]byte, 4, 4+len(value)+3)
	binary.NativeEndian.PutUint16(out, uint16(4+len(value)))
	binary.NativeEndian.PutUint16(out[2:], kind)
	return pad(append(out, value...))
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func text(kind uint16, value string) []byte { return attribute(kind, append([]byte(value), 0)) }

func number32(kind uint16, n uint32) []byte {
	return attribute(kind, binary.BigEndian.AppendUint32(nil, n))
}

func number64(kind uint16, n uint64) []byte {
	return attribute(kind, binary.BigEndian.AppendUint64(nil, n))
}

// attributes splits what netlink has written. What is cut short ends the list.
func attributes(b []byte, each func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		size := int(binary.NativeEndian.Uint16(b))
		if size < 4 || size > len(b) {
			return
		}
		each(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[4:size])
		b = b[min(len(b), (size+3)&^3):]
	}
}

// find gives the value of an attribute; nil: there is none.
func find(b []byte, kind uint16) (value []byte) {
	attributes(b, func(k uint16, v []byte) {
		if k == kind && value == nil {
			value = v
		}
	})
	return value
}

// word is the text of an attribute.
func word(b []byte, kind uint16) string {
	v := find(b, kind)
	for len(v) > 0 && v[len(v)-1] == 0 {
		v = v[:len(v)-1]
	}
	return string(v)
}

func message(kind, flags uint16, seq uint32, family Family, resource uint16, parts ...[]byte) []byte {
	out := make([]byte, headerSize)
	for _, p := range parts {
		out = append(out, p...)
	}
	binary.NativeEndian.PutUint32(out, uint32(len(out)))
	binary.NativeEndian.PutUint16(out[4:], kind)
	binary.NativeEndian.PutUint16(out[6:], unix.NLM_F_REQUEST|flags)
	binary.NativeEndian.PutUint32(out[8:], seq)
	out[16] = byte(family)
	binary.BigEndian.PutUint16(out[18:], resource)
	return out
}

// subsystem is the number of a message of nftables.
func subsystem(kind uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | kind }

func (s *socket) send(b []byte) error {
	return unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// receive gives each message of the kernel, until each is done or says that something is wrong.
func (s *socket) receive(each func(kind, flags uint16, seq uint32, body []byte) (done bool, err error)) error {
	buffer := make([]byte, 1<<17)
	for {
		n, _, err := unix.Recvfrom(s.fd, buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		for b := buffer[:n]; len(b) >= unix.SizeofNlMsghdr; {
			size := int(binary.NativeEndian.Uint32(b))
			if size < unix.SizeofNlMsghdr || size > len(b) {
				return errors.New("the kernel's answer is cut short")
			}
			done, err := each(binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:]), binary.NativeEndian.Uint32(b[8:]), b[unix.SizeofNlMsghdr:size])
			if done || err != nil {
				return err
			}
			b = b[min(len(b), (size+3)&^3):]
		}
	}
}

// failure is what a message of kind NLMSG_ERROR says; nil: all is well.
func failure(body []byte) error {
	if len(body) < 4 {
		return errors.New("the kernel's answer is cut short")
	}
	if n := int32(binary.NativeEndian.Uint32(body)); n != 0 {
		return unix.Errno(-n)
	}
	return nil
}

// list asks for all things of a kind.
func (s *socket) list(kind uint16, family Family, each func(family Family, b []byte), parts ...[]byte) error {
	s.seq++
	if err := s.send(message(subsystem(kind), unix.NLM_F_DUMP, s.seq, family, 0, parts...)); err != nil {
		return err
	}
	changed := false
	err := s.receive(func(kind, flags uint16, seq uint32, body []byte) (bool, error) {
		switch {
		case seq != s.seq:
			return false, nil
		case kind == unix.NLMSG_ERROR:
			return true, failure(body)
		case kind == unix.NLMSG_DONE:
			return true, nil
		case len(body) >= 4:
			changed = changed || flags&unix.NLM_F_DUMP_INTR != 0
			each(Family(body[0]), body[4:])
		}
		return false, nil
	})
	if err == nil && changed {
		err = ErrChanged
	}
	return err
}

// number asks for the number of the present state of nftables.
func (s *socket) number() (generation uint32, err error) {
	s.seq++
	if err := s.send(message(subsystem(unix.NFT_MSG_GETGEN), 0, s.seq, unix.NFPROTO_UNSPEC, 0)); err != nil {
		return 0, err
	}
	err = s.receive(func(kind, _ uint16, seq uint32, body []byte) (bool, error) {
		switch {
		case seq != s.seq:
			return false, nil
		case kind == unix.NLMSG_ERROR:
			return true, failure(body)
		case len(body) >= 4:
			if v := find(body[4:], unix.NFTA_GEN_ID); len(v) == 4 {
				generation = binary.BigEndian.Uint32(v)
			}
		}
		return true, nil
	})
	return generation, err
}

func (s *socket) all() (r Rules, err error) {
	if r.generation, err = s.number(); err != nil {
		return r, err
	}
	err = s.list(unix.NFT_MSG_GETTABLE, unix.NFPROTO_UNSPEC, func(f Family, b []byte) {
		r.Tables = append(r.Tables, Table{f, word(b, unix.NFTA_TABLE_NAME)})
	})
	if err != nil {
		return r, err
	}
	err = s.list(unix.NFT_MSG_GETCHAIN, unix.NFPROTO_UNSPEC, func(f Family, b []byte) {
		r.Chains = append(r.Chains, Chain{f, word(b, unix.NFTA_CHAIN_TABLE), word(b, unix.NFTA_CHAIN_NAME)})
	})
	if err != nil {
		return r, err
	}
	if now, err := s.number(); err != nil || now != r.generation {
		return r, errors.Join(ErrChanged, err)
	}
	return r, nil
}

func (s *socket) leading(t Table) (list []Rule, err error) {
	err = s.list(unix.NFT_MSG_GETRULE, t.Family, func(f Family, b []byte) {
		r := Rule{Chain: Chain{f, word(b, unix.NFTA_RULE_TABLE), word(b, unix.NFTA_RULE_CHAIN)}}
		if v := find(b, unix.NFTA_RULE_HANDLE); len(v) == 8 {
			r.Handle = binary.BigEndian.Uint64(v)
		}
		attributes(find(b, unix.NFTA_RULE_EXPRESSIONS), func(_ uint16, expression []byte) {
			if to := leads(expression); to != "" && r.Table == t.Name {
				r.To = to
				list = append(list, r)
			}
		})
	}, text(unix.NFTA_RULE_TABLE, t.Name))
	return list, err
}

// leads is the chain that an expression of a rule leads to: that of its verdict; empty: none.
func leads(expression []byte) string {
	if word(expression, unix.NFTA_EXPR_NAME) != "immediate" {
		return ""
	}
	data := find(expression, unix.NFTA_EXPR_DATA)
	return word(find(find(data, unix.NFTA_IMMEDIATE_DATA), unix.NFTA_DATA_VERDICT), unix.NFTA_VERDICT_CHAIN)
}

// batch is a transaction, as it is written.
type batch struct {
	b    []byte
	last int // where its last message begins
	seq  uint32
}

func (b *batch) begin(generation uint32) {
	b.b = message(unix.NFNL_MSG_BATCH_BEGIN, 0, 0, 0, unix.NFNL_SUBSYS_NFTABLES, number32(batchGeneration, generation))
}

func (b *batch) add(kind uint16, family Family, parts ...[]byte) {
	b.seq++
	b.last = len(b.b)
	b.b = append(b.b, message(subsystem(kind), 0, b.seq, family, 0, parts...)...)
}

// commit sends a transaction, and waits for what becomes of it: an error of any message, or that the last one is done.
func (s *socket) commit(b *batch) error {
	if b.seq == 0 {
		return nil
	}
	flags := binary.NativeEndian.Uint16(b.b[b.last+6:])
	binary.NativeEndian.PutUint16(b.b[b.last+6:], flags|unix.NLM_F_ACK)
	whole := append(b.b, message(unix.NFNL_MSG_BATCH_END, 0, b.seq+1, 0, unix.NFNL_SUBSYS_NFTABLES)...)
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 2*len(whole)+1<<16); err != nil {
		return fmt.Errorf("make room for %d bytes: %w", len(whole), err)
	}
	if err := s.send(whole); err != nil {
		return err
	}
	return s.receive(func(kind, _ uint16, seq uint32, body []byte) (bool, error) {
		if kind != unix.NLMSG_ERROR {
			return false, nil
		}
		err := failure(body)
		if errors.Is(err, unix.ERESTART) {
			err = ErrChanged
		}
		return err != nil || seq == b.seq, err
	})
}
