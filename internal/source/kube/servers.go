package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"
)

// servers are several API servers of one cluster, behind the address by which clients know it. A client has one connection at a time, so
// a server is chosen when that is made: one that is dead, or that answers no ping (HTTP/2 of client-go), is left then.
type servers struct {
	known     string   // host:port by which clients know the cluster
	addresses []string // host:port of each, and last that by which it is known
	dialer    net.Dialer

	mu   sync.Mutex
	last int // that has answered last
}

// ServersUse describes a flag that has a list for Connect.
const ServersUse = "URLs of API servers, by commas or spaces, to speak with instead: one after the other until one answers"

// patience is how long a server may take to answer before another one is tried.
const patience = 5 * time.Second

// newServers reads a list of URLs; nil: it is empty.
func newServers(known, urls string) (*servers, error) {
	list := strings.FieldsFunc(urls, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
	if len(list) == 0 {
		return nil, nil
	}
	own, err := addressOf(known)
	if err != nil {
		return nil, err
	}
	s := &servers{known: own, dialer: net.Dialer{KeepAlive: 30 * time.Second}}
	for _, one := range list {
		address, err := addressOf(one)
		if err != nil {
			return nil, err
		}
		s.addresses = append(s.addresses, address)
	}
	s.addresses = append(s.addresses, own) // they may all have been replaced since
	return s, nil
}

// addressOf is what a client of a URL connects to.
func addressOf(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("%q is not the URL of an API server, such as https://192.0.2.10:6443", text)
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// dial connects with the server that has answered last, or the next one after it that answers.
func (s *servers) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if address != s.known {
		return s.dialer.DialContext(ctx, network, address) // a proxy's
	}
	s.mu.Lock()
	first := s.last
	s.mu.Unlock()
	var errs []error
	for i := range s.addresses {
		at := (first + i) % len(s.addresses)
		conn, err := s.try(ctx, network, s.addresses[at])
		if err == nil {
			s.mu.Lock()
			s.last = at
			s.mu.Unlock()
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (s *servers) try(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.dialer.DialContext(ctx, network, address)
}
