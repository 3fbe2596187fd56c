package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Servers are several API servers of one cluster, behind the address by which clients know it. A client has one connection at a time, so
// a server is chosen when that is made: one that is dead, or that answers no ping (HTTP/2 of client-go), is left then.
type Servers struct {
	known  string   // host:port by which clients know the cluster
	listed []string // host:port of those that the configuration names
	proves bool     // a server has to prove by TLS that it is one
	dialer net.Dialer
	file   string // that has those that were learned
	log    *slog.Logger

	mu      sync.Mutex
	learned []string // host:port of those that the cluster has named last
	last    string   // that has answered last
}

// ServersUse describes a flag that has a list for Connect.
const ServersUse = "URLs of API servers, by commas or spaces, to speak with instead: one after the other until one answers"

// patience is how long a server may take to answer before another one is tried.
const patience = 5 * time.Second

// newServers reads a list of URLs; nil: it is empty.
func newServers(known, urls string) (*Servers, error) {
	list := strings.FieldsFunc(urls, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
	if len(list) == 0 {
		return nil, nil
	}
	own, err := addressOf(known)
	if err != nil {
		return nil, err
	}
	s := &Servers{known: own, proves: !strings.HasPrefix(known, "http://"), dialer: net.Dialer{KeepAlive: 30 * time.Second}}
	for _, one := range list {
		address, err := addressOf(one)
		if err != nil {
			return nil, err
		}
		s.listed = append(s.listed, address)
	}
	return s, nil
}

// addresses are those to try: of the server that has answered last, of the others that the configuration names, of those that were learned, and
// that by which the cluster is known: they may all have been replaced since.
func (s *Servers) addresses() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Concat(s.listed, s.learned, []string{s.known})
	if at := slices.Index(all, s.last); at > 0 {
		all = slices.Concat(all[at:], all[:at])
	}
	for _, a := range all {
		if !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
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
func (s *Servers) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if address != s.known {
		return s.dialer.DialContext(ctx, network, address) // a proxy's
	}
	var errs []error
	for _, at := range s.addresses() {
		conn, err := s.try(ctx, network, at)
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

func (s *Servers) try(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.dialer.DialContext(ctx, network, address)
}
