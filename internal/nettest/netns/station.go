package netns

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// Station is a namespace with addresses: a node, a pod, or a machine that is neither.
type Station struct {
	*Namespace
	Addresses []netip.Addr // IPv4 first

	mu      sync.Mutex
	serving map[uint16][]io.Closer
	heard   []string
}

// New makes a station of a namespace.
func New(name string, ns *Namespace, addrs ...netip.Addr) *Station {
	ns.Name = name
	return &Station{Namespace: ns, Addresses: addrs, serving: map[uint16][]io.Closer{}}
}

// Close ends its servers and lets go of the namespace.
func (p *Station) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.serving {
		for _, s := range list {
			s.Close()
		}
	}
	p.Namespace.Close()
}

// Address is the address of a family, 4 or 6.
func (p *Station) Address(family int) (netip.Addr, bool) {
	for _, a := range p.Addresses {
		if a.Is4() == (family == 4) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// Serve answers on a TCP and a UDP port from now on, in both families, with who it is and which caller it saw.
func (p *Station) Serve(port uint16) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serving[port] != nil {
		return nil
	}
	at := fmt.Sprintf(":%d", port)
	return p.Do(func() error {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return fmt.Errorf("serve on %s: %w", p.Name, err)
		}
		u, err := net.ListenPacket("udp", at)
		if err != nil {
			l.Close()
			return fmt.Errorf("serve on %s: %w", p.Name, err)
		}
		p.serving[port] = []io.Closer{l, u}
		go p.accept(l)
		go p.receive(u)
		return nil
	})
}

// ServeHTTP answers HTTP at an address until what it returns is closed.
func (p *Station) ServeHTTP(at string, handler http.Handler) (io.Closer, error) {
	var listener net.Listener
	err := p.Do(func() (err error) {
		listener, err = net.Listen("tcp", at)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("serve HTTP on %s: %w", p.Name, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // until it is closed
	return server, nil
}

func (p *Station) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = p.converse(conn) // the caller tells how it went
		}()
	}
}

// converse answers lines. "bulk N" is followed by N bytes, and so is its answer.
func (p *Station) converse(conn net.Conn) error {
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		n := int64(0)
		if _, err := fmt.Sscanf(line, "bulk %d", &n); err == nil {
			if _, err := io.CopyN(io.Discard, in, n); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(conn, p.answer(line, conn.RemoteAddr())); err != nil {
			return err
		}
		if _, err := io.CopyN(conn, zeros{}, n); err != nil {
			return err
		}
	}
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func (p *Station) receive(u net.PacketConn) {
	b := make([]byte, 1<<16)
	for {
		n, from, err := u.ReadFrom(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = u.WriteTo([]byte(p.answer(string(b[:n]), from)), from) // the caller misses it
		}
	}
}

func (p *Station) answer(line string, from net.Addr) string {
	line = strings.TrimSpace(line)
	a, _ := netip.ParseAddrPort(from.String())
	saw := a.Addr().Unmap().WithZone("").String()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, fmt.Sprintf("%s from %s", line, saw))
	return fmt.Sprintf("%s saw %s\n", p.Name, saw)
}

// Heard lists what its servers were told, and by which caller.
func (p *Station) Heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.heard...)
}

// ErrSilence is the error of a dial, a ping or a word on an open connection that got no answer at all, as when packets
// are dropped. A refusal is another error.
var ErrSilence = errors.New("no answer")

func silence(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return ErrSilence
	}
	return err
}

// Conversation is an open connection to a server.
type Conversation struct {
	conn net.Conn
	in   *bufio.Reader
}

// Open connects to a server from a port (0: any); network is tcp, udp or Datagrams. It gives up when ctx ends.
func (p *Station) Open(ctx context.Context, network string, port int, to netip.AddrPort) (*Conversation, error) {
	conn, err := p.dial(ctx, network, port, to.String())
	if err != nil {
		return nil, silence(err)
	}
	return &Conversation{conn, bufio.NewReader(conn)}, nil
}

// Close ends it.
func (c *Conversation) Close() { c.conn.Close() }

// Finish ends what this side says, and waits until the other side has done the same: then the connection has ended on all nodes that it passes.
func (c *Conversation) Finish(ctx context.Context) error {
	defer c.Close()
	tcp, is := c.conn.(*net.TCPConn)
	if !is {
		return fmt.Errorf("a conversation by %s has no end that the other side hears of", c.conn.RemoteAddr().Network())
	}
	stop := context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := tcp.CloseWrite(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c.in)
	return err
}

// Peer is who the kernel says that it is with: getpeername(2), or of datagrams recvfrom(2).
func (c *Conversation) Peer() string { return c.conn.RemoteAddr().String() }

// Say sends a line, and bulk bytes, and returns the answer when as many have come back.
func (c *Conversation) Say(ctx context.Context, line string, bulk int64) (string, error) {
	if end, ok := ctx.Deadline(); ok {
		_ = c.conn.SetDeadline(end) // it is a TCP or UDP connection
	} else {
		_ = c.conn.SetDeadline(time.Time{})
	}
	if bulk > 0 {
		line = fmt.Sprintf("bulk %d", bulk)
	}
	if _, err := io.WriteString(c.conn, line+"\n"); err != nil {
		return "", silence(err)
	}
	if _, err := io.CopyN(c.conn, zeros{}, bulk); err != nil {
		return "", silence(err)
	}
	answer, err := c.in.ReadString('\n')
	if err != nil {
		return "", silence(err)
	}
	if _, err := io.CopyN(io.Discard, c.in, bulk); err != nil {
		return "", silence(err)
	}
	return strings.TrimSpace(answer), nil
}

// Dial opens, says hello in a message of at least size bytes, and returns the answer. With bulk, so many bytes follow each
// way.
func (p *Station) Dial(ctx context.Context, network string, to netip.AddrPort, size int, bulk int64) (string, error) {
	answer, _, err := p.Call(ctx, network, to, size, bulk)
	return answer, err
}

// Call is Dial, and says who the peer was, see Peer. A TCP connection has ended on both sides when it returns, so that none of its packets meets what comes next.
func (p *Station) Call(ctx context.Context, network string, to netip.AddrPort, size int, bulk int64) (answer, peer string, err error) {
	c, err := p.Open(ctx, network, 0, to)
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	answer, err = c.Say(ctx, fmt.Sprintf("%-*s", size, "hello"), bulk)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", "", ErrSilence
	}
	if _, tcp := c.conn.(*net.TCPConn); tcp && err == nil {
		if err := c.Finish(ctx); err != nil {
			return "", "", fmt.Errorf("it answered, and its end was not heard of: %w", silence(err))
		}
	}
	return answer, c.Peer(), err
}
