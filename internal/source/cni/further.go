package cni

import (
	"context"
	"fmt"
	"iter"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
)

// Attach makes a further NIC of a pod, in the pod network or an overlay network: an attachment like the first one, which goes with that. What follows
// from it is not waited for.
func (s *Server) Attach(ctx context.Context, want network.Interface) error {
	c := &call{containerID: want.ContainerID, ifname: want.Interface, netns: want.Netns, namespace: want.Namespace, pod: want.Pod, uid: want.UID, mac: want.MAC}
	c.further = table.Further{First: want.First, Definition: want.Definition, Number: want.Number, Request: want.Request}
	for _, p := range want.Addresses {
		if err := c.ask("ips", []string{p.Addr().String()}); err != nil {
			return err
		}
	}
	if want.Overlay != "" {
		c.network, c.overlay, c.MTU = want.Network, attach.Overlay{Name: want.Overlay, Subnets: want.Subnets, Terms: want.Terms.Text()}, want.MTU
	}
	done, err := s.take(ctx, c.key())
	if err != nil {
		return err
	}
	defer done()
	if a, ok := s.Tables.Attachments.One(s.DB.Snapshot(), c.key()); ok {
		if a.Further == c.further && a.Netns == c.netns {
			return nil
		}
		if a.Further.First == "" || a.Multus {
			return fmt.Errorf("%s is attached by a call of the container runtime already", c)
		}
		if err := s.detach(ctx, c); err != nil {
			return err
		}
	}
	if s.remains(c) {
		if err := s.gone(ctx, c); err != nil {
			return err
		}
	}
	first := &call{containerID: want.ContainerID, ifname: want.First}
	s.mu.Lock()
	c.Name = s.networks[first.key()]
	s.mu.Unlock()
	kept, err := s.joins(ctx, c)
	if err != nil {
		return err
	}
	if lost := <-kept; lost != nil {
		s.undo(c)
		return diskError(lost)
	}
	return nil
}

// joins makes a further NIC, unless another one of the node has an address of its in the same network, or one of its own pod has it in any.
func (s *Server) joins(ctx context.Context, c *call) (kept <-chan error, err error) {
	if c.network == 0 { // the book gives none twice, and may have to wait
		_, kept, err = s.make(ctx, c)
		return kept, err
	}
	s.joining.Lock()
	defer s.joining.Unlock()
	for _, x := range c.addresses {
		for a := range s.Tables.Attachments.By(s.DB.Snapshot(), table.ByAddress, state.Join(x)) {
			switch {
			case a.ContainerID == c.containerID:
				return nil, fmt.Errorf("%s is that of the pod's NIC %s already: what it sends from there could leave by one of them only; give one another", x, a.Interface)
			case a.Network == c.network:
				return nil, fmt.Errorf("%s is that of pod %s/%s (%s) in overlay network %s already: give one of them another", x, a.Namespace, a.Pod, a.Interface, c.overlay.Name)
			}
		}
	}
	_, kept, err = s.make(ctx, c)
	return kept, err
}

// Detach takes a further NIC away.
func (s *Server) Detach(ctx context.Context, containerID, ifname string) error {
	c := &call{containerID: containerID, ifname: ifname}
	done, err := s.take(ctx, c.key())
	if err != nil {
		return err
	}
	defer done()
	return s.detach(ctx, c)
}

// Attached are the further NICs that there are, but for those that Multus, or another plugin that calls, has asked for.
func (s *Server) Attached() iter.Seq[table.Attachment] {
	return func(yield func(table.Attachment) bool) {
		for a := range s.Tables.Attachments.All(s.DB.Snapshot()) {
			if a.Further.First != "" && !a.Multus && !yield(a) {
				return
			}
		}
	}
}

// Holds tells whether a container has any NIC here.
func (s *Server) Holds(containerID string) bool {
	for range s.Tables.Attachments.Prefix(s.DB.Snapshot(), state.Join(containerID)) {
		return true
	}
	return false
}

// Others are the NICs that plugins make, which a call of the runtime does not name.
type Others interface {
	Check(ctx context.Context, containerID, first string) error
	Ask() // has plugins say how they are, and does not wait for it
	GC(ctx context.Context) error
}

// strip takes away what hangs on an attachment, its container's further NICs, and returns when they are gone.
func (s *Server) strip(ctx context.Context, c *call) error {
	a, ok := s.Tables.Attachments.One(s.DB.Snapshot(), c.key())
	if !ok || a.Further.First != "" {
		return nil
	}
	a.Leaving = true
	if err := s.DB.Write(func(tx *state.Tx) error { s.Tables.Attachments.Put(tx, a); return nil }); err != nil {
		return err
	}
	for _, key := range s.hanging(c) {
		if err := status.AwaitGone(ctx, s.DB, network.Interfaces, key); err != nil {
			return later(fmt.Sprintf("%s is not detached yet: %v", c, err), "the agent keeps trying; the call can be repeated")
		}
	}
	return s.leave(ctx, c)
}

// hanging are the further NICs of a container that are wanted, or have been made.
func (s *Server) hanging(c *call) (keys []state.Key) {
	snap, seen := s.DB.Snapshot(), map[state.Key]bool{}
	add := func(containerID, first, ifname string) {
		if key := table.AttachmentKey(containerID, ifname); first == c.ifname && !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	prefix := state.Join(c.containerID)
	for i := range network.Interfaces.Prefix(snap, prefix) {
		add(i.ContainerID, i.First, i.Interface)
	}
	for m := range network.Finished.Prefix(snap, prefix) {
		add(m.Want.ContainerID, m.Want.First, m.Want.Interface)
	}
	for a := range s.Tables.Attachments.Prefix(snap, prefix) {
		if !a.Multus {
			add(a.ContainerID, a.Further.First, a.Interface)
		}
	}
	return keys
}

// awaitAll returns when an attachment works, and all further NICs in the pod network that hang on it.
func (s *Server) awaitAll(ctx context.Context, c *call, a table.Attachment) error {
	if err := s.await(ctx, c, a); err != nil {
		return err
	}
	for b := range s.Tables.Attachments.Prefix(s.DB.Snapshot(), state.Join(c.containerID)) {
		if b.Further.First != c.ifname {
			continue
		}
		other := &call{containerID: b.ContainerID, ifname: b.Interface, namespace: b.Namespace, pod: b.Pod}
		if err := s.await(ctx, other, b); err != nil {
			return err
		}
	}
	return nil
}

// furtherOf is what an attachment is that is asked for in a container which has one already. Runtimes ask for one; more come of a plugin that
// calls others, as Multus does.
func (s *Server) furtherOf(c *call) table.Further {
	for a := range s.Tables.Attachments.Prefix(s.DB.Snapshot(), state.Join(c.containerID)) {
		if a.Interface != c.ifname && a.Further.First == "" {
			return table.Further{First: a.Interface, Definition: c.Name}
		}
	}
	return table.Further{}
}

// byMultus tells whether Multus calls, which attaches further NICs itself.
func (s *Server) byMultus(c *call) bool {
	return isMultus(c.caller) || s.Multus != nil && s.Multus()
}

// leave takes along what Multus has had attached in a container whose first NIC goes: it calls for those before, unless it is gone.
func (s *Server) leave(ctx context.Context, first *call) error {
	for a := range s.Tables.Attachments.Prefix(s.DB.Snapshot(), state.Join(first.containerID)) {
		if a.Further.First != first.ifname || !a.Multus {
			continue
		}
		c := &call{containerID: a.ContainerID, ifname: a.Interface}
		done, err := s.take(ctx, c.key())
		if err != nil {
			return err
		}
		err = s.detach(ctx, c)
		done()
		if err != nil {
			return err
		}
	}
	return nil
}
