package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/nettest/place"
)

const (
	chunk   = 256 << 10 // bytes per write of a stream
	between = 16        // transactions between looks at the clock
)

// ends of a connection, as blocking sockets: what is measured is the kernel, not Go's scheduler.
type connection struct{ client, server *os.File }

func connect(client, server *place.Place) (c connection, err error) {
	var l *net.TCPListener
	err = server.Do(func() error {
		l, err = net.ListenTCP("tcp", &net.TCPAddr{IP: server.Addresses[0].AsSlice()})
		return err
	})
	if err != nil {
		return c, err
	}
	defer l.Close()
	var from *net.TCPConn
	err = client.Do(func() error {
		from, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
		return err
	})
	if err != nil {
		return c, err
	}
	defer from.Close()
	to, err := l.AcceptTCP()
	if err != nil {
		return c, err
	}
	defer to.Close()
	var err1, err2 error
	c.client, err1 = from.File()
	c.server, err2 = to.File()
	if err := errors.Join(err1, err2); err != nil {
		return c, err
	}
	return c, errors.Join(unix.SetNonblock(int(c.client.Fd()), false), unix.SetNonblock(int(c.server.Fd()), false))
}

// run runs both ends, each on a thread and a CPU of its own, until the client has ended its side.
func (c connection) run(client func(fd uintptr) error, server func(fd uintptr) error) error {
	done := make(chan error, 1)
	go func() {
		pin(1)
		done <- server(c.server.Fd())
		c.server.Close()
	}()
	result := make(chan error, 1)
	go func() {
		pin(0)
		err := client(c.client.Fd())
		_ = unix.Shutdown(int(c.client.Fd()), unix.SHUT_WR) // the server sees the end
		result <- err
	}()
	err := errors.Join(<-result, <-done)
	return errors.Join(err, c.client.Close())
}

// pin keeps the goroutine on a thread, which ends with it, and that on a CPU, before all others that want to run there.
func pin(cpu int) {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu % runtime.NumCPU())
	_ = errors.Join(unix.SchedSetaffinity(0, &set), unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -20)) // less steady without
}

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

// stream sends as much as goes for a while and gives what arrived, in bits per second.
func stream(client, server *place.Place, d time.Duration) (float64, error) {
	c, err := connect(client, server)
	if err != nil {
		return 0, err
	}
	var received int64
	var took time.Duration
	err = c.run(func(fd uintptr) error {
		b := make([]byte, chunk)
		for end := time.Now().Add(d); time.Now().Before(end); {
			if _, err := call(syscall.SYS_WRITE, fd, &b[0], len(b)); err != nil {
				return fmt.Errorf("send: %w", err)
			}
		}
		return nil
	}, func(fd uintptr) error {
		b := make([]byte, chunk)
		began := time.Now()
		for {
			n, err := call(syscall.SYS_READ, fd, &b[0], len(b))
			if err != nil {
				return fmt.Errorf("receive: %w", err)
			}
			if n == 0 {
				took = time.Since(began)
				return nil
			}
			received += int64(n)
		}
	})
	return float64(received) * 8 / took.Seconds(), err
}

// pingPong sends a byte there and back for a while and gives how often per second.
func pingPong(client, server *place.Place, d time.Duration) (float64, error) {
	c, err := connect(client, server)
	if err != nil {
		return 0, err
	}
	n := 0
	var took time.Duration
	err = c.run(func(fd uintptr) error {
		b := make([]byte, 1)
		began := time.Now()
		for took < d {
			for range between {
				if _, err := call(syscall.SYS_WRITE, fd, &b[0], 1); err != nil {
					return fmt.Errorf("ask: %w", err)
				}
				if got, err := call(syscall.SYS_READ, fd, &b[0], 1); err != nil || got == 0 {
					return fmt.Errorf("hear the answer: %d bytes, %w", got, err)
				}
			}
			n += between
			took = time.Since(began)
		}
		return nil
	}, func(fd uintptr) error {
		b := make([]byte, 1)
		for {
			got, err := call(syscall.SYS_READ, fd, &b[0], 1)
			if err != nil {
				return fmt.Errorf("hear: %w", err)
			}
			if got == 0 {
				return nil
			}
			if _, err := call(syscall.SYS_WRITE, fd, &b[0], 1); err != nil {
				return fmt.Errorf("answer: %w", err)
			}
		}
	})
	return float64(n) / took.Seconds(), err
}

// flood sends datagrams of one byte as fast as they go, from one socket to another.
func flood(client, server *place.Place, d time.Duration) error {
	var to *net.UDPConn
	err := server.Do(func() (err error) {
		to, err = net.ListenUDP("udp", &net.UDPAddr{IP: server.Addresses[0].AsSlice()})
		return err
	})
	if err != nil {
		return err
	}
	defer to.Close() // nobody reads: what the socket cannot hold is dropped, behind the last program
	var from *net.UDPConn
	err = client.Do(func() (err error) {
		from, err = net.DialUDP("udp", nil, to.LocalAddr().(*net.UDPAddr))
		return err
	})
	if err != nil {
		return err
	}
	defer from.Close()
	done := make(chan error, 1)
	go func() {
		pin(0)
		b := make([]byte, 1)
		for end := time.Now().Add(d); time.Now().Before(end); {
			for range between {
				if _, err := from.Write(b); err != nil {
					done <- fmt.Errorf("send: %w", err)
					return
				}
			}
		}
		done <- nil
	}()
	return <-done
}
