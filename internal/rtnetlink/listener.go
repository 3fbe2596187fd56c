package rtnetlink

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Room is how many bytes of changes may wait for those who have something to do for each: the veths of a few thousand pods.
const Room = 4 << 20

// Listener hears what the kernel tells all who listen to some groups (RTNLGRP_ of linux/rtnetlink.h). One goroutine reads.
type Listener struct {
	file   *os.File
	conn   syscall.RawConn
	buffer []byte
}

// Listen begins to hear of changes in the network namespace of this thread.
func Listen(groups ...int) (*Listener, error) {
	fd, err := open(unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	l := &Listener{file: os.NewFile(uintptr(fd), "netlink"), buffer: make([]byte, largestChange)}
	for _, g := range groups {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil {
			l.Close()
			return nil, fmt.Errorf("join netlink group %d: %w", g, err)
		}
	}
	if l.conn, err = l.file.SyscallConn(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Close ends a Receive that waits, too.
func (l *Listener) Close() error { return l.file.Close() }

// SetBuffer sets how many bytes may wait to be read, beyond what the machine grants everyone.
func (l *Listener) SetBuffer(bytes int, force bool) error {
	option := unix.SO_RCVBUF
	if force {
		option = unix.SO_RCVBUFFORCE
	}
	var set error
	if err := l.conn.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, bytes) }); err != nil {
		return err
	}
	return set
}

// Receive waits for changes. unix.ENOBUFS says that some have been lost.
func (l *Listener) Receive() ([]syscall.NetlinkMessage, error) {
	var n int
	var failed error
	err := l.conn.Read(func(fd uintptr) (done bool) {
		n, _, failed = unix.Recvfrom(int(fd), l.buffer, 0)
		return failed != unix.EAGAIN //nolint:errorlint // a system call's own
	})
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	return syscall.ParseNetlinkMessage(l.buffer[:n])
}

// Drain throws away what waits.
func (l *Listener) Drain() error {
	var failed error
	err := l.conn.Control(func(fd uintptr) {
		for failed == nil || failed == unix.ENOBUFS || failed == unix.EINTR { //nolint:errorlint // a system call's own
			_, _, failed = unix.Recvfrom(int(fd), l.buffer, unix.MSG_DONTWAIT)
		}
	})
	if err != nil {
		return err
	}
	if failed != unix.EAGAIN { //nolint:errorlint // a system call's own
		return failed
	}
	return nil
}
