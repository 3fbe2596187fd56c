package cni

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	agent "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/journal"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Del takes an attachment away and returns when its link is gone. It succeeds if there is none.
func (s *Server) Del(ctx context.Context, r agent.Request) (any, error) {
	defer s.wake()
	c, err := parseDelete(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Patience/2)
	defer cancel()
	return nil, s.del(ctx, c)
}

func (s *Server) del(ctx context.Context, c *call) error {
	done, err := s.take(ctx, c.key())
	if err != nil {
		return err
	}
	defer done()
	if err := s.detach(ctx, c); err != nil {
		return err
	}
	return s.queue.Delete(journal.Name(c.containerID, c.ifname))
}

// detach takes away what hangs on an attachment, then the row, waits for the link to go, and gives back the addresses. The caller has the turn.
// What fails can be repeated.
func (s *Server) detach(ctx context.Context, c *call) error {
	if err := s.strip(ctx, c); err != nil {
		return err
	}
	if err := s.forget(c); err != nil {
		return err
	}
	if err := s.gone(ctx, c); err != nil {
		return err
	}
	s.free(c)
	return nil
}

// forget makes the attachment one that does not exist, here and on disk. On a disk that is full it goes all the same, for
// that makes room; what is missing then matters only if the agent crashes before its addresses have rested.
func (s *Server) forget(c *call) error {
	written := s.leases.End(c.owner())
	err := s.DB.Write(func(tx *state.Tx) error { s.Tables.Attachments.Delete(tx, c.key()); return nil })
	if err != nil {
		return err
	}
	if err := s.records.Delete(journal.Name(c.containerID, c.ifname)); err != nil {
		return types.NewError(types.ErrIOFailure, err.Error(), "")
	}
	if written != nil {
		written = s.leases.End(c.owner())
	}
	if written != nil {
		s.Log.Warn("cannot write down that addresses are to rest: after a crash they may be given out again at once", "container", c.containerID, "interface", c.ifname, "error", written)
	}
	return nil
}

// free gives back what the attachment held.
func (s *Server) free(c *call) {
	s.leases.Release(c.owner(), s.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.networks, c.key())
	for name, by := range s.names {
		if by == c.key() {
			delete(s.names, name)
		}
	}
}

// Run does the DELs that found no agent and came into the queue since New, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	for {
		s.eachQueued(func(c *call) error {
			ctx, cancel := context.WithTimeout(ctx, s.Patience/2)
			defer cancel()
			done, err := s.take(ctx, c.key())
			if err != nil {
				return err
			}
			defer done()
			return s.takeQueued(ctx, c)
		})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.woken:
		}
	}
}

// wake lets Run look at the queue.
func (s *Server) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// eachQueued calls do for every DEL in the queue.
func (s *Server) eachQueued(do func(*call) error) {
	queued, damaged, err := s.queue.All()
	for _, d := range append(damaged, err) {
		if d != nil {
			s.Log.Error("read queue of CNI DELs", "error", d)
		}
	}
	for _, q := range queued {
		c, err := parseDelete(q.Value)
		if err == nil {
			err = do(c)
		}
		if err != nil {
			s.Log.Error("do a queued CNI DEL", "record", q.Name, "error", err)
		}
	}
}

// takeQueued does the DEL of an attachment if one is queued: an ADD must not become its victim.
func (s *Server) takeQueued(ctx context.Context, c *call) error {
	name := journal.Name(c.containerID, c.ifname)
	if _, ok, err := s.queue.One(name); err != nil || !ok {
		return err
	}
	if err := s.detach(ctx, c); err != nil {
		return err
	}
	return s.queue.Delete(name)
}

// GC takes away every attachment of this network that the runtime does not name, and gives back addresses that no attachment
// has. ADDs that are under way are left alone: the runtime does not know them yet.
func (s *Server) GC(ctx context.Context, r agent.Request) (any, error) {
	c, err := parseConfig(r.Config)
	if err != nil {
		return nil, err
	}
	if c.RawValid == nil {
		return nil, invalid("cni.dev/valid-attachments: is missing", "without it GC would take away every container's network")
	}
	var list []types.GCAttachment
	if err := json.Unmarshal(c.RawValid, &list); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, fmt.Sprintf("cni.dev/valid-attachments: %v", err), "")
	}
	valid := map[state.Key]bool{}
	for _, v := range list {
		valid[table.AttachmentKey(v.ContainerID, v.IfName)] = true
	}
	ctx, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	var errs []error
	for _, x := range s.stale(c.Name, valid) {
		if err := s.del(ctx, x); err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", x.containerID, x.ifname, err))
		} else {
			s.Log.Info("CNI GC took away an attachment that the runtime does not know", "container", x.containerID, "interface", x.ifname)
		}
	}
	if s.Others != nil {
		errs = append(errs, s.Others.GC(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, later("not all that is stale is gone: "+err.Error(), "")
	}
	return nil, nil
}

// stale are the attachments of a network that are not valid, and so are addresses that a DEL has not got free.
func (s *Server) stale(network string, valid map[state.Key]bool) (out []*call) {
	snap := s.DB.Snapshot()
	owners := s.leases.Owners()
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := func(c *call) bool {
		mine, known := s.networks[c.key()]
		return known && mine == network && !valid[c.key()] && s.turns[c.key()] == nil
	}
	for a := range s.Tables.Attachments.All(snap) {
		if c := (&call{containerID: a.ContainerID, ifname: a.Interface}); idle(c) && (a.Further.First == "" || a.Multus) { // others go with their first
			out = append(out, c)
		}
	}
	for _, o := range owners {
		id, ifname, _ := strings.Cut(o, "/")
		c := &call{containerID: id, ifname: ifname}
		if _, ok := s.Tables.Attachments.One(snap, c.key()); !ok && idle(c) {
			out = append(out, c)
		}
	}
	return out
}
