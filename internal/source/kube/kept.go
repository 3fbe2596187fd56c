package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// portAPI is the name that the port of the API servers has in their EndpointSlices.
const portAPI = "https"

// Follow learns the API servers from the EndpointSlices of service default/kubernetes, and keeps them in a file, for the time when none of
// the list is left and this node boots. It ends with ctx.
func (s *Servers) Follow(ctx context.Context, db *state.DB, t *table.Tables) error {
	for {
		r := db.Snapshot()
		changed := t.EndpointSlices.WatchAll(r)
		if t.EndpointSlices.IsSynced(r) {
			s.learn(servers(r, t))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// servers are the addresses that the cluster has of its API servers, in order.
func servers(r state.Reader, t *table.Tables) (list []string) {
	for slice := range t.EndpointSlices.By(r, table.ByService, policyinput.API) {
		for _, p := range slice.Ports {
			if p.Protocol != 6 || p.Name != portAPI && len(slice.Ports) > 1 || p.Port == 0 {
				continue
			}
			for _, e := range slice.Endpoints {
				for _, a := range e.Addresses {
					if e.Ready && !a.IsLoopback() {
						list = append(list, netip.AddrPortFrom(a, p.Port).String())
					}
				}
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// learn takes a list for the one that counts, and writes it down. A cluster without a server would not tell: no list is not kept.
func (s *Servers) learn(list []string) {
	s.mu.Lock()
	same := slices.Equal(s.learned, list)
	if !same && len(list) > 0 {
		s.learned = list
	}
	s.mu.Unlock()
	if same || len(list) == 0 {
		return
	}
	if err := write(s.file, strings.Join(list, "\n")+"\n"); err != nil {
		s.log.Warn("keep the addresses of the API servers: this node may not find them when it boots and those of k8s-api-server-urls are gone", "error", err)
	}
}

// recall reads what was written down. What makes no sense is left out.
func (s *Servers) recall() {
	text, err := os.ReadFile(s.file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("read the addresses of the API servers that were known last", "error", err)
	}
	for line := range strings.FieldsSeq(string(text)) {
		host, port, err := net.SplitHostPort(line)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
			s.log.Warn("the file of API servers has a line that is no address: it is left out", "file", s.file, "line", line)
			continue
		}
		if a, err := netip.ParseAddr(host); err == nil {
			s.learned = append(s.learned, net.JoinHostPort(a.String(), port))
		}
	}
}

// write replaces a file at once, so that a machine that stops meanwhile has the former one.
func write(file, text string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
