package load

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of a load pass Go's scheduler by: what is measured is the kernel. Buffers live on the heap, which does
// not move.

func addressOf(b *byte) uintptr { return uintptr(unsafe.Pointer(b)) }

// call is a system call that Go's scheduler does not hear of.
func call(trap uintptr, fd uintptr, b *byte, n int) (int, error) {
	for {
		r, _, errno := syscall.RawSyscall(trap, fd, addressOf(b), uintptr(n))
		if errno == 0 {
			return int(r), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// target is an IPv4 address and port as connect(2) wants it.
func target(to netip.AddrPort) *unix.RawSockaddrInet4 {
	port := to.Port()
	return &unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port>>8 | port<<8, Addr: to.Addr().Unmap().As4()}
}

// dial makes a socket of a kind in the namespace of this thread, and connects it.
func dial(kind uintptr, to *unix.RawSockaddrInet4) (uintptr, error) {
	fd, _, errno := syscall.RawSyscall(unix.SYS_SOCKET, unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return 0, fmt.Errorf("open socket: %w", errno)
	}
	if _, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(to)), unix.SizeofSockaddrInet4); errno != 0 {
		syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
		return 0, fmt.Errorf("connect: %w", errno)
	}
	return fd, nil
}

// reach makes one whole connection: connect, a byte there, a byte back, the end of both sides.
func reach(to *unix.RawSockaddrInet4, b []byte) error { return ask(to, b, 2) }

// reachAndEnd is reach, and ends the connection first.
func reachAndEnd(to *unix.RawSockaddrInet4, b []byte) error { return ask(to, b, 1) }

// ask connects, sends a byte and reads so often: the answer, and the end.
func ask(to *unix.RawSockaddrInet4, b []byte, reads int) error {
	fd, err := dial(unix.SOCK_STREAM, to)
	if err != nil {
		return err
	}
	defer syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	if _, err := call(syscall.SYS_WRITE, fd, &b[0], 1); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	for range reads {
		if _, err := call(syscall.SYS_READ, fd, &b[1], 1); err != nil {
			return fmt.Errorf("hear the answer: %w", err)
		}
	}
	return nil
}

// accept answers one connection and ends it first, so that it is the server's port that rests. It gives the byte.
func accept(listener uintptr, b []byte) (byte, error) { return answer(listener, b, 1) }

// acceptAndWait is accept, and leaves it to the client to end the connection.
func acceptAndWait(listener uintptr, b []byte) (byte, error) { return answer(listener, b, 2) }

// answer accepts a connection, answers its first byte, and reads so often in all: the question, and the end.
func answer(listener uintptr, b []byte, reads int) (byte, error) {
	fd, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, listener, 0, 0, unix.SOCK_CLOEXEC, 0, 0)
	if errno == unix.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, fmt.Errorf("accept: %w", errno)
	}
	defer syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	if _, err := call(syscall.SYS_READ, fd, &b[0], 1); err != nil {
		return 0, fmt.Errorf("hear: %w", err)
	}
	if _, err := call(syscall.SYS_WRITE, fd, &b[0], 1); err != nil {
		return 0, fmt.Errorf("answer: %w", err)
	}
	said := b[0]
	if reads > 1 {
		if _, err := call(syscall.SYS_READ, fd, &b[0], 1); err != nil {
			return 0, fmt.Errorf("wait for the end: %w", err)
		}
	}
	return said, nil
}

// patience is how long a datagram's answer is waited for: one that is lost ends the measurement, and does not stop it for ever.
const patience = 10 * time.Second

var receiveTimeout = unix.NsecToTimeval(int64(patience))

// query asks once, from a socket of its own.
func query(to *unix.RawSockaddrInet4, b []byte) error {
	fd, err := dial(unix.SOCK_DGRAM, to)
	if err != nil {
		return err
	}
	defer syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	if err := unix.SetsockoptTimeval(int(fd), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &receiveTimeout); err != nil {
		return err
	}
	if _, err := call(syscall.SYS_WRITE, fd, &b[0], 1); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	var interrupted time.Time // Go's runtime interrupts a thread that stays in the kernel, and the socket's patience begins anew
	for {
		_, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, addressOf(&b[0]), 1)
		switch {
		case errno == 0:
			return nil
		case errno != unix.EINTR || !interrupted.IsZero() && time.Since(interrupted) > patience:
			return fmt.Errorf("no answer within %s: %w", patience, errno)
		case interrupted.IsZero():
			interrupted = time.Now()
		}
	}
}

// reply answers one datagram, and gives its byte.
func reply(socket uintptr, b []byte) (byte, error) {
	var from unix.RawSockaddrInet4
	size := uint32(unix.SizeofSockaddrInet4)
	_, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, socket, addressOf(&b[0]), 1, 0, uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&size)))
	if errno == unix.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, fmt.Errorf("hear: %w", errno)
	}
	if _, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, socket, addressOf(&b[0]), 1, 0, uintptr(unsafe.Pointer(&from)), uintptr(size)); errno != 0 {
		return 0, fmt.Errorf("answer: %w", errno)
	}
	return b[0], nil
}

// pin keeps the goroutine on a thread, which ends with it, and that on a CPU, before all others that want to run there.
func pin(cpu int) {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu % runtime.NumCPU())
	_ = errors.Join(unix.SchedSetaffinity(0, &set), unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -20)) // less steady without
}
