package v1

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

// maxBody bounds what either side reads, in bytes: a GC list of thousands of containers fits.
const maxBody = 8 << 20

// UnreachableError says that the agent did not answer: it is not running, has not opened the node for workloads yet, or
// went away in between.
type UnreachableError struct {
	Socket string
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("weft-agent does not answer on %s: %v", e.Socket, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Call posts a request as JSON to a path of the agent and returns the body of the answer. The error is an
// *UnreachableError when there was no answer to the request itself, and a *types.Error when the agent refused.
func Call(ctx context.Context, socket, path string, request any) ([]byte, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, &UnreachableError{socket, err}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	status, answer, err := roundTrip(conn, path, body)
	switch {
	case ctx.Err() != nil:
		return nil, &UnreachableError{socket, ctx.Err()}
	case err != nil:
		return nil, &UnreachableError{socket, err}
	case status == 200:
		return answer, nil
	}
	refused := &types.Error{}
	if err := json.Unmarshal(answer, refused); err == nil && refused.Code != 0 {
		return nil, refused
	}
	return nil, &UnreachableError{socket, fmt.Errorf("no agent serves %s (status %d %s): the agent is starting; weft status tells what it waits for", path, status, strings.TrimSpace(string(answer)))}
}

// roundTrip speaks HTTP/1.0 (RFC 1945): one request per connection and no chunks.
func roundTrip(conn io.ReadWriter, path string, body []byte) (status int, answer []byte, err error) {
	var request bytes.Buffer
	fmt.Fprintf(&request, "POST %s HTTP/1.0\r\nHost: weft-agent\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, len(body))
	request.Write(body)
	if _, err := conn.Write(request.Bytes()); err != nil {
		return 0, nil, fmt.Errorf("send request: %w", err)
	}
	r := textproto.NewReader(bufio.NewReader(conn))
	line, err := r.ReadLine()
	if err != nil {
		return 0, nil, fmt.Errorf("read answer: %w", err)
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	if status, err = strconv.Atoi(code); err != nil || !strings.HasPrefix(version, "HTTP/1.") {
		return 0, nil, fmt.Errorf("read answer: %q is no HTTP status line", line)
	}
	header, err := r.ReadMIMEHeader()
	if err != nil {
		return 0, nil, fmt.Errorf("read answer: %w", err)
	}
	size, err := strconv.Atoi(header.Get("Content-Length"))
	if err != nil || size < 0 || size > maxBody {
		return 0, nil, fmt.Errorf("read answer: content length %q", header.Get("Content-Length"))
	}
	answer = make([]byte, size)
	if _, err := io.ReadFull(r.R, answer); err != nil {
		return 0, nil, fmt.Errorf("read answer: %w", err)
	}
	return status, answer, nil
}

// Listen opens a socket of the agent, which only its user may use, in place of one that a former agent left behind. At no
// moment is there a socket that others may use.
func Listen(socket string) (net.Listener, error) {
	dir := filepath.Dir(socket)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make folder of socket %s: %w", socket, err)
	}
	hidden, err := os.MkdirTemp(dir, ".weft-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("make folder of socket %s: %w", socket, err)
	}
	defer os.RemoveAll(hidden)
	name := filepath.Join(hidden, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", socket, err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(name, 0o600), os.Rename(name, socket)); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen on %s: %w", socket, err)
	}
	return l, nil
}
