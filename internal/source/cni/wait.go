package cni

import (
	"context"
	"fmt"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/source/cni/lack"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// await returns when the attachment works, or tells what it still lacks when ctx ends.
func (s *Server) await(ctx context.Context, c *call, a table.Attachment) error {
	began := s.Now()
	for {
		ready, ok, changed := s.Tables.Ready.WatchOne(s.DB.Snapshot(), c.key())
		if ok && ready.HostName == a.HostName {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			stage, advice := lack.Of(s.DB.Snapshot(), s.Tables, a)
			return later(fmt.Sprintf("%s is not connected after %.0f s: %s", c, s.Now().Sub(began).Seconds(), stage), advice)
		}
	}
}

// gone returns when nothing is left of an attachment whose row has been deleted: neither link nor the word that it is
// ready. When ctx ends it tells what is.
func (s *Server) gone(ctx context.Context, c *call) error {
	t := s.Tables
	hostName := s.nameOf(c)
	left := func(what string) error {
		return later(fmt.Sprintf("container %s %s is not detached yet: %s", c.containerID, c.ifname, what), "the agent keeps trying; the call can be repeated")
	}
	if err := status.AwaitGone(ctx, s.DB, t.Links, state.Join(hostName)); err != nil {
		what := "link " + hostName + " is not taken away yet"
		if st, ok := status.Statuses.One(s.DB.Snapshot(), status.KeyOf(t.Links, state.Join(hostName))); ok && st.Err != "" {
			what = fmt.Sprintf("link %s: %s (attempt %d)", hostName, st.Err, st.Attempts)
		}
		return left(what)
	}
	for {
		r := s.DB.Snapshot()
		_, ready, one := t.Ready.WatchOne(r, c.key())
		devices, two := t.Devices.WatchBy(r, table.ByName, state.Join(hostName))
		what := ""
		for range devices {
			what = "device " + hostName + " is still there"
		}
		if ready {
			what = "it still counts as ready"
		}
		if what == "" {
			return nil
		}
		select {
		case <-one:
		case <-two:
		case <-ctx.Done():
			return left(what)
		}
	}
}

// remains tells whether anything is left of an attachment that has no row.
func (s *Server) remains(c *call) bool {
	t, r, name := s.Tables, s.DB.Snapshot(), state.Join(s.nameOf(c))
	_, ready := t.Ready.One(r, c.key())
	_, wanted := t.Links.One(r, name)
	_, made := status.Statuses.One(r, status.KeyOf(t.Links, name))
	for range t.Devices.By(r, table.ByName, name) {
		return true
	}
	return ready || wanted || made
}

// nameOf is the host-side name that an attachment has, or would have.
func (s *Server) nameOf(c *call) string {
	key := c.key()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, by := range s.names {
		if by == key {
			return name
		}
	}
	return attach.HostName(c.containerID, c.ifname, 0)
}
