package door

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// addressed is a connection from an address.
type addressed struct {
	net.Conn
	from string
}

func (a addressed) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(a.from))
}

// queue is a listener whose connections are there already.
type queue chan net.Conn

func (q queue) Accept() (net.Conn, error) {
	select {
	case c := <-q:
		return c, nil
	default:
		return nil, errors.New("there is no more")
	}
}

func (queue) Close() error   { return nil }
func (queue) Addr() net.Addr { return nil }

// come gives the far end of a connection.
func (q queue) come(from string) net.Conn {
	near, far := net.Pipe()
	q <- addressed{near, from}
	return far
}

func closed(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(-time.Second)) // a pipe that is closed says so whatever the time is
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func TestOneAddressHasAPartOfThePlaces(t *testing.T) {
	q := make(queue, 100)
	l := New(q, Places{All: 5, Each: 2})
	var in []net.Conn
	let := func(from string, want bool) {
		t.Helper()
		far := q.come(from)
		c, err := l.Accept()
		if err == nil {
			in = append(in, c)
		}
		if (err == nil) != want || closed(far) == want {
			t.Errorf("%s: let in %t, want %t, closed %t", from, err == nil, want, closed(far))
		}
	}
	let("10.0.0.1:1", true)
	let("10.0.0.1:2", true)
	let("10.0.0.1:3", false)
	let("[::ffff:10.0.0.1]:4", false) // the same
	let("[fd00::1]:1", true)
	let("[fd00::2]:1", true)
	let("[fd00::3]:1", false) // one may have as many as it likes
	let("[fd00:0:0:1::1]:1", true)
	let("10.0.0.2:1", false) // all are taken
	for range 2 {            // the second time says nothing more
		in[0].Close()
	}
	let("10.0.0.2:1", true)
	let("10.0.0.3:1", false)
	in[1].Close()
	let("10.0.0.1:5", true)
}

func TestWhatCannotBeAcceptedIsTold(t *testing.T) {
	if _, err := New(make(queue), Clients).Accept(); err == nil {
		t.Error("there was none")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := New(l, Clients)
	d.Close()
	if _, err := d.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
