package remote

import (
	"context"
	"fmt"
	"io"
	"net"
)

// readFrom reads to the end.
func (l *limited) readFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{l}, r) }

// carry copies both ways until either end is over.
func carry(a, b io.ReadWriteCloser) {
	done := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(a, b); done <- struct{}{} }()
	go func() { _, _ = io.Copy(b, a); done <- struct{}{} }()
	<-done
	a.Close()
	b.Close()
	<-done
}

// Tunnel carries what comes in to a unix socket, and back, until either is over: the far end of Dial.
func Tunnel(ctx context.Context, in io.Reader, out io.Writer, socket string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("nothing answers on %s: %w", socket, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	go func() {
		_, _ = io.Copy(conn, in)
		if half, ok := conn.(*net.UnixConn); ok {
			_ = half.CloseWrite()
		}
	}()
	if _, err := io.Copy(out, conn); err != nil && ctx.Err() == nil {
		return fmt.Errorf("read from %s: %w", socket, err)
	}
	return nil
}
