// Package rtnetlink has sockets on which the kernel is asked and told of devices, addresses, routes and filters
// (rtnetlink(7)). What is said is made and read with the netlink library.
//
// # The world it models
//
// A Socket makes requests: several by one system call, and each gets its own error. A Listener hears of changes. Both read into
// a buffer that they keep, where the library takes a new one for each message, and a new socket for many a request: a CNI ADD
// makes two dozen requests, and each of the devices that it makes is spoken of to each listener half a dozen times.
//
// # Invariants
//
//   - Requests of one Do are made in order, and one that fails keeps none after it from being made. What must not be made
//     then is a Do of its own.
//   - What a Listener or an answer gives is valid until the next is read: keep copies.
//   - A socket stays in the network namespace of the thread that opened it.
//
// # Example
//
//	s, err := rtnetlink.Open()
//	errs := s.Do(setUp, neighbour)                      // one system call, two changes
//	err = s.Ask(get, func(data []byte) { … })
package rtnetlink

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	largestChange = 64 << 10 // bytes of a message, as in the library
	largestAnswer = 16 << 10 // the kernel divides a list so that its parts fit
	atOnce        = 64       // requests in a message: even if all fail, there is room for what the kernel says
)

// Socket makes requests. It may be used by many goroutines and does one thing at a time.
type Socket struct {
	mu     sync.Mutex
	fd     int
	buffer *[largestAnswer]byte
}

// buffers are those of sockets that are closed: each pod's namespace has one for a moment.
var buffers = sync.Pool{New: func() any { return new([largestAnswer]byte) }}

// Open opens a socket in the network namespace of this thread.
func Open() (*Socket, error) {
	fd, err := open(0)
	if err != nil {
		return nil, err
	}
	return &Socket{fd: fd, buffer: buffers.Get().(*[largestAnswer]byte)}, nil
}

func open(flags int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, unix.NETLINK_ROUTE)
	if err == nil {
		if err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("open netlink socket: %w", err)
	}
	return fd, nil
}

// Close closes the socket, which is not used any more.
func (s *Socket) Close() error {
	buffers.Put(s.buffer)
	return unix.Close(s.fd)
}

// Do makes requests, in order, and gives the error of each. They are changes, that the kernel answers with nothing else.
func (s *Socket) Do(requests ...*nl.NetlinkRequest) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make([]error, len(requests))
	for from := 0; from < len(requests); from += atOnce {
		to := min(from+atOnce, len(requests))
		s.do(requests[from:to], errs[from:to])
	}
	return errs
}

// do has the kernel acknowledge the last request: of the others it speaks if they fail, and before that.
func (s *Socket) do(requests []*nl.NetlinkRequest, errs []error) {
	last := len(requests) - 1
	requests[last].Flags |= unix.NLM_F_ACK
	var message []byte
	at := make(map[uint32]int, len(requests))
	for i, r := range requests {
		at[r.Seq] = i
		message = append(message, r.Serialize()...)
		for len(message)%unix.NLMSG_ALIGNTO != 0 {
			message = append(message, 0)
		}
	}
	err := s.exchange(message, func(m syscall.NetlinkMessage) (over bool) {
		i, mine := at[m.Header.Seq]
		if !mine || m.Header.Type != unix.NLMSG_ERROR {
			return false
		}
		errs[i] = failure(m)
		return i == last
	})
	for i := range errs {
		if err != nil && errs[i] == nil {
			errs[i] = err // what became of it is not known
		}
	}
}

// Ask makes a request that the kernel answers with messages: one, or with NLM_F_DUMP a list. netlink.ErrDumpInterrupted says
// that what is listed has changed meanwhile: some of it may be missing.
func (s *Socket) Ask(r *nl.NetlinkRequest, answer func(data []byte)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Flags&unix.NLM_F_DUMP == 0 {
		r.Flags |= unix.NLM_F_ACK
	}
	var failed error
	interrupted := false
	err := s.exchange(r.Serialize(), func(m syscall.NetlinkMessage) (over bool) {
		if m.Header.Seq != r.Seq {
			return false
		}
		interrupted = interrupted || m.Header.Flags&unix.NLM_F_DUMP_INTR != 0
		switch m.Header.Type {
		case unix.NLMSG_ERROR, unix.NLMSG_DONE:
			failed = failure(m)
			return true
		}
		answer(m.Data)
		return false
	})
	if err = cmp.Or(err, failed); err == nil && interrupted {
		err = netlink.ErrDumpInterrupted
	}
	return err
}

// exchange sends a message and reads what comes back until read says that it is over.
func (s *Socket) exchange(message []byte, read func(syscall.NetlinkMessage) (over bool)) error {
	if err := unix.Sendto(s.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buffer[:], 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		messages, err := syscall.ParseNetlinkMessage(s.buffer[:n])
		if err != nil {
			return fmt.Errorf("read what the kernel answers: %w", err)
		}
		for _, m := range messages {
			if read(m) {
				return nil
			}
		}
	}
}

// failure is the error that the kernel reports; nil: it acknowledges.
func failure(m syscall.NetlinkMessage) error {
	if len(m.Data) < 4 {
		return nil // the end of a list
	}
	if code := int32(nl.NativeEndian().Uint32(m.Data)); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
