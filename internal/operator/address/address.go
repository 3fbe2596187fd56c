// Package address gives back addresses of further networks that none of the nodes gives back: those of nodes that are gone, and of workloads
// that are gone.
//
// # The world it models
//
// Agents give back what their NICs had. Three things remain for the operator, while it leads:
//
//	AddressBlock   of a node that is gone       its NICs hold nothing any more; the block is any node's
//	AddressBlock   address kept for an owner    … who has no StickyAddress, IPAMClaim or entry of whereabouts that says so: it rests, and is free
//	StickyAddress  of a virtual machine         … that is gone. That of a StatefulSet goes with its owner by Kubernetes itself,
//	StickyAddress  of a StatefulSet's pod       … and before that when it has been scaled down by the pod for long; so does an IPAMClaim that the operator made
//
// # Invariants
//
//   - A node or a machine is gone when it has been missing for as long as this process has looked, and that for minutes: what is missing in one
//     answer may be there in the next.
//   - What a NIC holds on a node that is there stays, whatever else is gone.
//   - Agents that write at the same time win: what has changed since it was read is left to the next sweep.
//
// # Example
//
//	s, err := address.New(address.Config{API: api, Cached: m.GetClient(), Live: m.GetAPIReader(), Log: log})
//	err = s.Sweep(ctx)
package address

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	claimv1 "weftnet.io/weftnet/api/cncf/v1alpha1"
	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	wav1 "weftnet.io/weftnet/api/whereabouts/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/cluster"
	"weftnet.io/weftnet/internal/ipam/whereabouts"
	book "weftnet.io/weftnet/internal/sink/kube/address"
	"weftnet.io/weftnet/internal/sink/kube/block"
	"weftnet.io/weftnet/internal/sink/kube/object"
)

// Patience is how long something must have been missing to be gone.
const Patience = 5 * time.Minute

// Config says what a Sweeper works with.
type Config struct {
	API    *rest.Config
	Cached client.Reader // nodes
	Live   client.Reader // virtual machines
	Now    func() time.Time
	Log    *slog.Logger

	Events events.EventRecorder                         // nil: there are none
	Keep   func(context.Context) (time.Duration, error) // how long a pod that a StatefulSet was scaled down by keeps its addresses; 0: for ever
}

// Sweeper gives back addresses.
type Sweeper struct {
	Config
	blocks   object.Client[v1alpha1.AddressBlock, *v1alpha1.AddressBlock]
	stickies object.Client[v1alpha1.StickyAddress, *v1alpha1.StickyAddress]
	claims   object.Client[claimv1.IPAMClaim, *claimv1.IPAMClaim]
	pools    object.Client[wav1.IPPool, *wav1.IPPool]

	missing map[string]time.Time // nodes, machines and pods of StatefulSets, since when
}

// New makes one that has not looked yet.
func New(c Config) (*Sweeper, error) {
	s := &Sweeper{Config: c, missing: map[string]time.Time{}}
	var errs [4]error
	s.blocks, errs[0] = object.Connect[v1alpha1.AddressBlock](c.API, v1alpha1.AddToScheme, v1alpha1.SchemeGroupVersion, v1alpha1.AddressBlockResource)
	s.stickies, errs[1] = object.Connect[v1alpha1.StickyAddress](c.API, v1alpha1.AddToScheme, v1alpha1.SchemeGroupVersion, v1alpha1.StickyAddressResource)
	s.claims, errs[2] = object.Connect[claimv1.IPAMClaim](c.API, claimv1.AddToScheme, claimv1.SchemeGroupVersion, claimv1.IPAMClaimResource)
	s.pools, errs[3] = object.Connect[wav1.IPPool](c.API, wav1.AddToScheme, wav1.SchemeGroupVersion, wav1.IPPoolResource)
	return s, errors.Join(errs[:]...)
}

// Sweep looks once. It is not called while it runs.
func (s *Sweeper) Sweep(ctx context.Context) error {
	var blocks v1alpha1.AddressBlockList
	if err := s.blocks.List(ctx, "", &blocks); apierrors.IsNotFound(err) {
		return nil // without the CRDs there is nothing
	} else if err != nil {
		return fmt.Errorf("list AddressBlocks: %w", err)
	}
	var nodes corev1.NodeList
	if err := s.Cached.List(ctx, &nodes); err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	there := map[string]bool{}
	for _, n := range nodes.Items {
		there[n.Name] = true
	}
	var read []cluster.Block
	held := map[string]bool{} // owners with a NIC
	for i := range blocks.Items {
		b, err := block.Read(&blocks.Items[i])
		if err != nil {
			s.Log.Warn("an AddressBlock makes no sense, so nothing of it is given back", "error", err)
			continue
		}
		read = append(read, b)
		for _, u := range b.Used {
			held[u.Owner] = held[u.Owner] || len(u.Holders) > 0
		}
	}
	kept, err := s.kept(ctx, held)
	if err != nil {
		return err
	}
	world := cluster.World{
		Now: s.Now(), Rest: book.Rest, Grace: Patience, Keeps: kept.keeps,
		Node: func(name string) bool { return !s.gone("Node "+name, there[name]) },
	}
	objects := map[string]*v1alpha1.AddressBlock{}
	for i := range blocks.Items {
		objects[blocks.Items[i].Name] = &blocks.Items[i]
	}
	var errs []error
	for _, b := range read {
		errs = append(errs, s.sweep(ctx, b.Clone(), objects[b.Name()], world))
	}
	return errors.Join(errs...)
}

// gone tells whether something has been missing for long enough.
func (s *Sweeper) gone(what string, there bool) bool { return s.goneFor(what, there, Patience) }

// sweep writes what changes of one block.
func (s *Sweeper) sweep(ctx context.Context, b cluster.Block, over *v1alpha1.AddressBlock, w cluster.World) error {
	if !b.Sweep(w) && (!b.Empty() || b.Node != "") {
		return nil
	}
	var err error
	verb := "update"
	if b.Empty() && b.Node == "" {
		verb, err = "delete", s.blocks.Delete(ctx, over)
	} else {
		err = s.blocks.Update(ctx, block.Write(b, over))
	}
	if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // an agent was first
	}
	return fmt.Errorf("%s AddressBlock %s: %w", verb, over.Name, err)
}

// kept is who keeps which addresses: by owner, and by space too where that is known.
type kept map[[2]string]map[netip.Addr]bool

func (k kept) add(space, owner string, a netip.Addr) {
	key := [2]string{space, owner}
	if k[key] == nil {
		k[key] = map[netip.Addr]bool{}
	}
	k[key][a] = true
}

// anySpace stands for all.
const anySpace = "*"

func (k kept) keeps(space, owner string, a netip.Addr) bool {
	return k[[2]string{space, owner}][a] || k[[2]string{anySpace, owner}][a]
}

// kept reads what says that an address is kept, and removes StickyAddresses of machines that are gone and have no NIC.
func (s *Sweeper) kept(ctx context.Context, held map[string]bool) (kept, error) {
	k, seen := kept{}, sets{}
	var stickies v1alpha1.StickyAddressList
	if err := s.stickies.List(ctx, "", &stickies); err != nil {
		return nil, fmt.Errorf("list StickyAddresses: %w", err)
	}
	for i := range stickies.Items {
		o := &stickies.Items[i]
		over, err := s.over(ctx, seen, o, held[o.Spec.Owner])
		if err == nil && over { // its addresses are free at the next sweep
			err = remove(ctx, o, func(ctx context.Context) error { return s.stickies.Delete(ctx, o) })
		}
		if err != nil {
			return nil, err
		}
		for _, text := range o.Spec.Addresses {
			if p, err := netip.ParsePrefix(text); err == nil {
				k.add(o.Spec.Space, o.Spec.Owner, p.Addr())
			}
		}
	}
	var claims claimv1.IPAMClaimList
	if err := s.claims.List(ctx, "", &claims); err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("list IPAMClaims: %w", err)
	}
	for i := range claims.Items {
		o := &claims.Items[i]
		if set, pod, ours := claimed(o); ours {
			over, err := s.scaled(ctx, seen, "IPAMClaim "+o.Namespace+"/"+o.Name, o.Namespace, set, pod, held[book.ClaimOwner(o.Namespace, o.Name)])
			if err == nil && over {
				err = remove(ctx, o, func(ctx context.Context) error { return s.claims.Delete(ctx, o) })
			}
			if err != nil {
				return nil, err
			}
		}
		for _, text := range o.Status.IPs {
			if p, err := netip.ParsePrefix(text); err == nil {
				k.add(anySpace, book.ClaimOwner(o.Namespace, o.Name), p.Addr())
			}
		}
	}
	var pools wav1.IPPoolList
	if err := s.pools.List(ctx, "", &pools); err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("list IPPools: %w", err)
	}
	for _, o := range pools.Items {
		subnet, err := netip.ParsePrefix(o.Spec.Range)
		if err != nil {
			continue
		}
		for offset, a := range o.Spec.Allocations {
			if at, ok := whereabouts.At(subnet, offset); ok {
				k.add(anySpace, book.ForeignOwner(a.PodRef), at)
			}
		}
	}
	return k, nil
}

// over tells whether a StickyAddress has nothing to keep any more.
func (s *Sweeper) over(ctx context.Context, seen sets, o *v1alpha1.StickyAddress, held bool) (bool, error) {
	if set, pod, ok := podOf(o.Spec.Owner); ok {
		return s.scaled(ctx, seen, "StickyAddress "+o.Namespace+"/"+o.Name, o.Namespace, set, pod, held)
	}
	there, err := s.ownerIsThere(ctx, o)
	return err == nil && s.gone(o.Spec.Owner, there || held), err
}

// ownerIsThere looks for the virtual machine of a StickyAddress. Other owners take it along when they go.
func (s *Sweeper) ownerIsThere(ctx context.Context, o *v1alpha1.StickyAddress) (bool, error) {
	kind, name, _ := strings.Cut(o.Spec.Owner, " ")
	if kind != "VirtualMachine" || len(o.OwnerReferences) > 0 {
		return true, nil
	}
	_, name, _ = strings.Cut(name, "/")
	for _, kind := range []string{"VirtualMachine", "VirtualMachineInstance"} { // an instance may have no machine
		machine := &metav1.PartialObjectMetadata{}
		machine.SetGroupVersionKind(schema.GroupVersionKind{Group: "kubevirt.io", Version: "v1", Kind: kind})
		err := s.Live.Get(ctx, types.NamespacedName{Namespace: o.Namespace, Name: name}, machine)
		if err == nil {
			return true, nil
		}
		if !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) && !runtime.IsNotRegisteredError(err) {
			return true, fmt.Errorf("read %s %s/%s: %w", kind, o.Namespace, name, err)
		}
	}
	return false, nil
}
