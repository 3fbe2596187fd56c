package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"weftnet.io/weftnet/lab/internal/namespace"
)

// Peer is one pod of a tier and its service.
type Peer struct {
	Tier      string
	Namespace string
	Pod       string
	UID       string
	Node      string
	Ports     []string
	PodIPs    []netip.Addr
	Service   []netip.Addr
}

// addr is the peer's address for one way, if it has one.
func (p Peer) addr(w Way) (netip.Addr, bool) {
	list := p.PodIPs
	if w.Service {
		list = p.Service
	}
	for _, a := range list {
		if a.Is6() == w.V6 {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// networkNamespace finds the pod's network namespace through any process in its cgroup, whose name has the pod's UID. Processes of
// nodes are processes of the machine, so no node is asked.
func (p Peer) networkNamespace() (string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cgroup"))
		if err == nil && strings.Contains(string(b), "pod"+p.UID) {
			return filepath.Join("/proc", e.Name(), "ns/net"), nil
		}
	}
	return "", fmt.Errorf("pod %s/%s has no process on this machine", p.Namespace, p.Pod)
}

// dialAll makes every connection that want selects, each in the network namespace of its source, all at once.
func dialAll(ctx context.Context, peers []Peer, ways []Way, timeout time.Duration, want func(Connection) bool) (Matrix, error) {
	m := Matrix{}
	type job struct {
		ns   string
		to   Peer
		c    Connection
		way  Way
		addr netip.Addr
		r    Result
	}
	var jobs []*job
	for _, from := range peers {
		ns, err := from.networkNamespace()
		if err != nil {
			return nil, err
		}
		for _, to := range peers {
			for _, port := range to.Ports {
				c := Connection{from.Tier, to.Tier, port}
				if from.Tier == to.Tier || !want(c) {
					continue
				}
				m[c] = map[Way]Result{}
				for _, w := range ways {
					a, ok := to.addr(w)
					if !ok {
						return nil, fmt.Errorf("%s has no %s address", to.Tier, w)
					}
					jobs = append(jobs, &job{ns: ns, to: to, c: c, way: w, addr: a})
				}
			}
		}
	}
	var g errgroup.Group
	for _, j := range jobs {
		g.Go(func() error {
			return namespace.InNetwork(j.ns, func() error {
				j.r = dial(ctx, net.JoinHostPort(j.addr.String(), j.c.Port), j.to.Pod, timeout)
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, j := range jobs {
		m[j.c][j.way] = j.r
	}
	return m, ctx.Err()
}

// dial connects and asks for the name of who answers. The socket is made on the calling thread, in whatever namespace that is.
func dial(ctx context.Context, target, wantName string, timeout time.Duration) Result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
	if err != nil {
		return failed(err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return failed(err)
	}
	if _, err := fmt.Fprintf(conn, "GET /hostname HTTP/1.0\r\n\r\n"); err != nil {
		return failed(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return failed(fmt.Errorf("connected, but no answer: %w", err))
	}
	defer resp.Body.Close()
	name := make([]byte, 256)
	n, _ := resp.Body.Read(name)
	if got := strings.TrimSpace(string(name[:n])); got != wantName {
		return Result{Wrong, "answered by " + got}
	}
	return Result{Open, "open"}
}

func failed(err error) Result {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Result{Refused, "connection refused"}
	case errors.As(err, &timeout) && timeout.Timeout():
		return Result{Blocked, "no answer"}
	}
	return Result{Refused, err.Error()}
}
