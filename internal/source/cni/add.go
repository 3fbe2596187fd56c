package cni

import (
	"context"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"

	agent "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/journal"
	"weftnet.io/weftnet/internal/source/cni/lease"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Add attaches a container and returns a result in the version that the configuration wants, once the attachment works.
// A second ADD for the same gets the same. An ADD that fails leaves nothing behind.
func (s *Server) Add(ctx context.Context, r agent.Request) (any, error) {
	c, err := parse(r)
	if err != nil {
		return nil, err
	}
	if err := s.conflicts(c); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	done, err := s.take(ctx, c.key())
	if err != nil {
		return nil, err
	}
	defer done()
	a, kept, err := s.attachment(ctx, c)
	if err != nil {
		return nil, err
	}
	err = s.awaitAll(ctx, c, a)
	if kept != nil {
		if lost := <-kept; lost != nil {
			err = diskError(lost)
		}
		if err != nil {
			s.undo(c)
		}
	}
	if err != nil {
		return nil, err
	}
	link, _ := s.Tables.Links.One(s.DB.Snapshot(), state.Join(a.HostName))
	result, err := c.result(a, link.MTU).GetAsVersion(c.CNIVersion)
	if err != nil {
		return nil, types.NewError(types.ErrIncompatibleCNIVersion, fmt.Sprintf("cniVersion %s cannot say what was done: %v", c.CNIVersion, err), "")
	}
	return result, nil
}

// conflicts refuses what could never work.
func (s *Server) conflicts(c *call) error {
	if err := c.checkNetns(s.Root); err != nil {
		return err
	}
	if c.prev == nil {
		return nil
	}
	for _, x := range c.prev.Interfaces {
		if x.Name == c.ifname && x.Sandbox == c.netns {
			return invalid(fmt.Sprintf("prevResult.interfaces: an earlier plugin of the list has already made %s", c.ifname), "weft-cni makes the interface: put it first in the list")
		}
	}
	return nil
}

// attachment finds the attachment of an earlier ADD or makes one: then kept tells once whether its record survives a loss of power. The
// caller has the turn.
func (s *Server) attachment(ctx context.Context, c *call) (a table.Attachment, kept <-chan error, err error) {
	if err := s.takeQueued(ctx, c); err != nil {
		return a, nil, err
	}
	if a, ok := s.Tables.Attachments.One(s.DB.Snapshot(), c.key()); ok {
		if a.Netns == c.netns && !a.Leaving {
			return a, nil, nil
		}
		if err := s.detach(ctx, c); err != nil { // its namespace has gone without a DEL, or its DEL is not done
			return a, nil, err
		}
	}
	if s.remains(c) {
		if err := s.gone(ctx, c); err != nil {
			return a, nil, err
		}
	}
	return s.make(ctx, c)
}

// make takes addresses, journals the attachment and then lets everyone see it. The disk writes while the attachment is made: what a loss
// of power takes from the one it takes from the other.
func (s *Server) make(ctx context.Context, c *call) (a table.Attachment, kept <-chan error, err error) {
	a = table.Attachment{
		ContainerID: c.containerID, Interface: c.ifname, Netns: c.netns, Namespace: c.namespace, Pod: c.pod, UID: c.uid,
		MAC: c.mac, HostMAC: attach.HostMAC(c.containerID, c.ifname), MTU: c.MTU, Further: c.further, Network: c.network, Overlay: c.overlay,
	}
	if a.Further.First == "" { // a call of the runtime, or of a plugin that calls others
		a.Further = s.furtherOf(c)
		a.Multus = s.byMultus(c) || a.Further.First != ""
	}
	if a.MAC == "" {
		a.MAC = attach.MAC(c.named(), c.ifname)
	}
	got, err := s.leases.Give(ctx, s.DB, lease.Asker{Owner: c.owner(), Namespace: c.namespace, Pod: c.pod, Network: c.network, Addresses: c.addresses}, s.Now)
	if err != nil {
		return a, nil, err
	}
	a.Addresses, a.Incarnation = got.Addresses, got.Incarnation
	a.HostName = s.claimName(c)
	r := record{Version: 1, NetworkName: c.Name, Boot: s.Boot, Attachment: a}
	finish, err := s.records.Begin(journal.Name(c.containerID, c.ifname), r)
	if err != nil {
		s.undo(c)
		return a, nil, diskError(err)
	}
	written := make(chan error, 1)
	go func() { written <- finish() }()
	return a, written, s.DB.Write(func(tx *state.Tx) error { s.Tables.Attachments.Put(tx, a); return nil })
}

func diskError(err error) error {
	return types.NewError(types.ErrIOFailure, err.Error(), "an attachment is on disk before an ADD succeeds; is the disk full?")
}

// claimName gives an attachment a host-side name that no other has.
func (s *Server) claimName(c *call) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for salt := 0; ; salt++ {
		name := attach.HostName(c.containerID, c.ifname, salt)
		if by, ok := s.names[name]; !ok || by == c.key() {
			s.names[name], s.networks[c.key()] = c.key(), c.Name
			return name
		}
	}
}

// undo takes back an ADD that has failed. It is not for the caller, who has gone or has an error already, to hear how
// that went.
func (s *Server) undo(c *call) {
	ctx, cancel := context.WithTimeout(context.Background(), s.Patience/2)
	defer cancel()
	if err := s.detach(ctx, c); err != nil {
		s.Log.Error("take back a failed CNI ADD", "container", c.containerID, "interface", c.ifname, "error", err)
	}
}
