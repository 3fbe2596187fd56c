package cni

import (
	"context"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"

	agent "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/source/cni/lack"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Check tells whether an attachment is as its ADD has left it.
func (s *Server) Check(ctx context.Context, r agent.Request) (any, error) {
	c, err := parse(r)
	if err != nil {
		return nil, err
	}
	snap := s.DB.Snapshot()
	a, ok := s.Tables.Attachments.One(snap, c.key())
	if !ok {
		return nil, types.NewError(types.ErrUnknownContainer, c.String()+" is not attached", "it has had a DEL, or never an ADD; delete the pod")
	}
	if err := c.checkNetns(s.Root); err != nil {
		return nil, err
	}
	if err := c.checkPrev(a); err != nil {
		return nil, err
	}
	if _, ok := s.Tables.Ready.One(snap, c.key()); !ok {
		stage, advice := lack.Of(snap, s.Tables, a)
		return nil, later(fmt.Sprintf("%s is not connected: %s", c, stage), advice)
	}
	link, ok := s.Tables.Links.One(snap, state.Join(a.HostName))
	if !ok {
		return nil, types.NewError(types.ErrInternal, c.String()+" has no link", "")
	}
	if s.Others != nil && a.Further.First == "" {
		if err := s.Others.Check(ctx, a.ContainerID, a.Interface); err != nil {
			return nil, types.NewError(types.ErrInternal, fmt.Sprintf("%s: %v", c, err), "the agent makes what is missing; if this stays, delete the pod")
		}
	}
	if s.Kernel == nil {
		return nil, nil
	}
	if err := s.Kernel.Check(ctx, link); err != nil {
		return nil, types.NewError(types.ErrInternal, fmt.Sprintf("%s is not as it was made: %v", c, err), "the agent repairs what it finds every few minutes; if this stays, delete the pod")
	}
	return nil, nil
}

// Status tells whether the node can take workloads: code 50 if not, 51 if in addition some that it has are impaired. It is about the pod network alone:
// runtimes call the whole node not ready for any other answer, so what plugins of further networks say is told elsewhere (network.Impairments).
func (s *Server) Status(_ context.Context, r agent.Request) (any, error) {
	defer s.wake()
	if _, err := parseConfig(r.Config); err != nil {
		return nil, err
	}
	snap := s.DB.Snapshot()
	err := s.leases.Ready(snap, s.Now())
	if err == nil && s.Health != nil {
		err = s.Health()
	}
	if s.Others != nil {
		s.Others.Ask()
	}
	if err == nil {
		return nil, nil
	}
	if impaired := s.impaired(snap); impaired != "" {
		return nil, types.NewError(types.ErrLimitedConnectivity, err.Error(), impaired)
	}
	return nil, types.NewError(types.ErrPluginNotAvailable, err.Error(), "")
}

// impaired names an attachment that ought to work and does not.
func (s *Server) impaired(r *state.Snapshot) string {
	for a := range s.Tables.Attachments.All(r) {
		key := table.AttachmentKey(a.ContainerID, a.Interface)
		if _, ok := s.Tables.Ready.One(r, key); ok {
			continue
		}
		stage, _ := lack.Of(r, s.Tables, a)
		return fmt.Sprintf("pod %s/%s %s: %s", a.Namespace, a.Pod, a.Interface, stage)
	}
	return ""
}
