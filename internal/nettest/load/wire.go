package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/nettest/netns"
)

// room is for answers that wait on a busy machine, in bytes.
const room = 8 << 20

// pings are ICMP echo requests.
type pings struct {
	conn     *net.IPConn
	to       *net.IPAddr
	kind     icmp.Type
	protocol int
	id       int
}

var lastID atomic.Uint32

// Ping sends ICMP echo requests at a rate.
func (l *Load) Ping(name string, from *netns.Station, to netip.Addr, every time.Duration) error {
	network, local := "ip4:icmp", "0.0.0.0"
	p := &pings{to: &net.IPAddr{IP: to.AsSlice()}, kind: ipv4.ICMPTypeEcho, protocol: 1, id: int(lastID.Add(1) & 0xffff)}
	if to.Is6() {
		network, local, p.kind, p.protocol = "ip6:ipv6-icmp", "::", ipv6.ICMPTypeEchoRequest, 58
	}
	err := from.Do(func() error {
		c, err := net.ListenPacket(network, local)
		if err != nil {
			return err
		}
		p.conn = c.(*net.IPConn)
		return roomy(p.conn)
	})
	if err != nil {
		return fmt.Errorf("ping %s: %w", to, err)
	}
	l.run(name, p, every)
	return nil
}

func (p *pings) send(n uint64) error {
	m := icmp.Message{Type: p.kind, Body: &icmp.Echo{ID: p.id, Seq: int(n & 0xffff), Data: binary.BigEndian.AppendUint64(nil, n)}}
	text, err := m.Marshal(nil)
	if err != nil {
		return err
	}
	_, err = p.conn.WriteTo(text, p.to)
	return transient(err)
}

func (p *pings) receive() (uint64, error) {
	b := make([]byte, 1<<12)
	for {
		n, _, err := p.conn.ReadFrom(b)
		if err != nil {
			return 0, err
		}
		m, err := icmp.ParseMessage(p.protocol, b[:n])
		if err != nil {
			continue
		}
		if e, ok := m.Body.(*icmp.Echo); ok && m.Type != p.kind && e.ID == p.id && len(e.Data) == 8 {
			return binary.BigEndian.Uint64(e.Data), nil
		}
	}
}

func (p *pings) close() { p.conn.Close() }

// datagrams are UDP messages that come back.
type datagrams struct {
	conn   *net.UDPConn
	server *net.UDPConn
}

// Datagrams sends UDP messages at a rate to a server that this makes at the other station, and that sends them back.
func (l *Load) Datagrams(name string, from, to *netns.Station, at netip.Addr, every time.Duration) error {
	d := &datagrams{}
	var err error
	if d.conn, d.server, err = datagramPair(from, to, at); err != nil {
		return err
	}
	go echo(d.server)
	l.run(name, d, every)
	return nil
}

// datagramPair is a socket, and a server at the other station that it speaks to.
func datagramPair(from, to *netns.Station, at netip.Addr) (conn, server *net.UDPConn, err error) {
	err = to.Do(func() (err error) {
		server, err = net.ListenUDP("udp", &net.UDPAddr{IP: at.AsSlice()})
		return errors.Join(err, roomy(server))
	})
	if err != nil {
		return nil, nil, fmt.Errorf("serve datagrams at %s: %w", to.Name, err)
	}
	err = from.Do(func() (err error) {
		conn, err = net.DialUDP("udp", nil, server.LocalAddr().(*net.UDPAddr))
		return errors.Join(err, roomy(conn))
	})
	if err != nil {
		server.Close()
		return nil, nil, fmt.Errorf("send datagrams from %s: %w", from.Name, err)
	}
	return conn, server, nil
}

// echo sends back what comes until the socket closes.
func echo(c *net.UDPConn) {
	b := make([]byte, 1<<12)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = c.WriteToUDPAddrPort(b[:n], from) // who asked misses it
		}
	}
}

func (d *datagrams) send(n uint64) error {
	_, err := d.conn.Write(binary.BigEndian.AppendUint64(nil, n))
	return transient(err)
}

func (d *datagrams) receive() (uint64, error) {
	b := make([]byte, 64)
	for {
		switch n, err := d.conn.Read(b); {
		case n == 8:
			return binary.BigEndian.Uint64(b), nil
		case transient(err) != nil:
			return 0, err
		}
	}
}

func (d *datagrams) close() { d.conn.Close(); d.server.Close() }

// stream is words on one TCP connection.
type stream struct{ client, server *net.TCPConn }

// Stream says words at a rate on a TCP connection to a server that this makes at the other station, and that says them back.
func (l *Load) Stream(name string, from, to *netns.Station, at netip.Addr, every time.Duration) error {
	s := &stream{}
	var listener *net.TCPListener
	err := to.Do(func() (err error) {
		listener, err = net.ListenTCP("tcp", &net.TCPAddr{IP: at.AsSlice()})
		return err
	})
	if err != nil {
		return fmt.Errorf("serve a stream at %s: %w", to.Name, err)
	}
	defer listener.Close()
	err = from.Do(func() (err error) {
		dialer := net.Dialer{Timeout: patience}
		c, err := dialer.Dial("tcp", listener.Addr().String())
		if err == nil {
			s.client = c.(*net.TCPConn)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("open a stream from %s: %w", from.Name, err)
	}
	if s.server, err = listener.AcceptTCP(); err != nil {
		s.client.Close()
		return err
	}
	go func() { _, _ = io.Copy(s.server, s.server) }() // the client misses what it cannot say
	l.run(name, s, every)
	return nil
}

func (s *stream) send(n uint64) error {
	_, err := s.client.Write(binary.BigEndian.AppendUint64(nil, n))
	return err
}

func (s *stream) receive() (uint64, error) {
	var b [8]byte
	_, err := io.ReadFull(s.client, b[:])
	return binary.BigEndian.Uint64(b[:]), err
}

// repeated counts segments that both sides sent once more because they had not arrived.
func (s *stream) repeated() (lost int, err error) {
	for _, c := range []*net.TCPConn{s.client, s.server} {
		raw, err := c.SyscallConn()
		if err != nil {
			return 0, err
		}
		var asked error
		err = raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if asked = err; err == nil {
				lost += max(0, int(info.Total_retrans)-int(info.Dsack_dups))
			}
		})
		if err := errors.Join(err, asked); err != nil {
			return 0, fmt.Errorf("ask about a TCP connection: %w", err)
		}
	}
	return lost, nil
}

func (s *stream) close() { s.client.Close(); s.server.Close() }

// transient leaves out errors of one message: an ICMP error that came back, a moment without a way. It counts as lost.
func transient(err error) error {
	for _, one := range []error{unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENOBUFS, unix.EPERM, unix.EMSGSIZE} {
		if errors.Is(err, one) {
			return nil
		}
	}
	return err
}

func roomy(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) })
	return errors.Join(err, set)
}

// intruder is a line of which nothing is to arrive.
type intruder struct {
	name         string
	conn, server *net.UDPConn
	sent         int
	over         chan struct{} // closes when nothing more is sent
	heard        chan int      // how many arrived
}

// Intrude sends UDP messages at a rate to a server that this makes at the other station. One that arrives is an error.
func (l *Load) Intrude(name string, from, to *netns.Station, at netip.Addr, every time.Duration) error {
	i := &intruder{name: name, over: make(chan struct{}), heard: make(chan int, 1)}
	var err error
	if i.conn, i.server, err = datagramPair(from, to, at); err != nil {
		return err
	}
	go func() {
		defer close(i.over)
		l.steadily(every, i.send)
	}()
	go i.listen()
	l.add(i)
	return nil
}

func (i *intruder) send() {
	if _, err := i.conn.Write([]byte("let me in")); transient(err) == nil {
		i.sent++
	}
}

func (i *intruder) listen() {
	b, heard := make([]byte, 64), 0
	for {
		if _, _, err := i.server.ReadFromUDPAddrPort(b); err != nil {
			i.heard <- heard
			return
		}
		heard++
	}
}

func (i *intruder) end() Count {
	<-i.over
	_ = i.server.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // for what is on its way
	c := Count{Name: i.name, Sent: i.sent}
	if heard := <-i.heard; heard > 0 {
		c.Err = fmt.Errorf("%d arrived, and none should", heard)
	}
	i.conn.Close()
	i.server.Close()
	return c
}
