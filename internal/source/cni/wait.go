package cni

import (
	"context"
	"fmt"

	"weftnet.io/weftnet/internal/attach"
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
			stage, advice := s.missing(s.DB.Snapshot(), a)
			return later(fmt.Sprintf("%s is not connected after %.0f s: %s", c, s.Now().Sub(began).Seconds(), stage), advice)
		}
	}
}

// missing tells which step towards an attachment that works has not been made, and what to do about it.
func (s *Server) missing(r *state.Snapshot, a table.Attachment) (stage, advice string) {
	t := s.Tables
	pod := a.Namespace + "/" + a.Pod
	if _, ok := t.Pods.One(r, table.ObjectKey(a.Namespace, a.Pod)); !ok && a.Pod != "" {
		if !t.Pods.IsSynced(r) {
			return "the pods of this node have not come from the API server yet", "see that the agent reaches the API server: weft status"
		}
		return "pod " + pod + " is not known to the API server yet", "a pod that was deleted meanwhile never will be"
	}
	w, ok := t.Workloads.One(r, s.Tables.Attachments.Key(a))
	switch {
	case a.Pod != "" && (!ok || w.Labels.Len() == 0):
		return "the labels of pod " + pod + " or of its namespace are not known yet", "see that the agent reaches the API server: weft status"
	case a.Pod != "" && w.Identity == 0:
		return "no identity for labels " + w.Labels.String() + " yet", "the agent makes a CiliumIdentity for them: see its log, and that it may create ciliumidentities.cilium.io"
	}
	steps := s.steps(r, a, w)
	for _, step := range steps {
		if st, ok := status.Statuses.One(r, step.key); ok && st.Err != "" {
			return fmt.Sprintf("%s: %s (attempt %d)", step.what, st.Err, st.Attempts), "the agent keeps trying"
		}
	}
	for _, step := range steps {
		if st, ok := status.Statuses.One(r, step.key); !ok || !st.Done {
			return step.what + ": not done yet", "weft status tells what the agent is busy with"
		}
	}
	return "the datapath does not say that it is ready", "weft status tells what the agent is busy with"
}

// step is a row that a sink realises for an attachment.
type step struct {
	what string
	key  state.Key // of its status
}

// steps are the rows that an attachment needs, in the order in which they are realised, as far as they are known.
func (s *Server) steps(r *state.Snapshot, a table.Attachment, w table.Workload) []step {
	t := s.Tables
	steps := []step{{"link", status.KeyOf(t.Links, state.Join(a.HostName))}}
	for _, x := range a.Addresses {
		steps = append(steps, step{"route " + attach.Single(x).String(), status.KeyOf(t.Routes, state.Join(attach.Single(x)))})
	}
	if w.Set != "" {
		steps = append(steps, step{"policy", status.KeyOf(t.PolicySets, w.Set)})
	}
	for d := range t.Devices.By(r, table.ByName, state.Join(a.HostName)) {
		steps = append(steps, step{"NIC", status.KeyOf(t.NICs, state.Join(uint32(d.Index)))})
	}
	for _, x := range a.Addresses {
		steps = append(steps, step{"address " + x.String(), status.KeyOf(t.IPCache, state.Join(a.Network, attach.Single(x)))})
	}
	for row := range t.Hooks.Prefix(r, state.Join(a.HostName)) {
		steps = append(steps, step{"program " + row.Program, status.KeyOf(t.Hooks, t.Hooks.Key(row))})
	}
	return steps
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
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, by := range s.names {
		if by == c.key() {
			return name
		}
	}
	return attach.HostName(c.containerID, c.ifname, 0)
}
