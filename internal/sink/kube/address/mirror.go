package address

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wav1 "weftnet.io/weftnet/api/whereabouts/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/cluster"
	"weftnet.io/weftnet/internal/ipam/whereabouts"
	"weftnet.io/weftnet/internal/sink/kube/object"
)

// Namespace is where whereabouts keeps its books, if its kubeconfig says no other.
const Namespace = metav1.NamespaceSystem

// absence is how long it is taken for granted that the CRDs of whereabouts are not installed.
const absence = time.Minute

// Mirror keeps the books of whereabouts as the plugin does. Without its CRDs it does nothing.
type Mirror struct {
	node, namespace string
	now             func() time.Time
	pools           object.Client[wav1.IPPool, *wav1.IPPool]
	reservations    object.Client[wav1.OverlappingRangeIPReservation, *wav1.OverlappingRangeIPReservation]
	slices          object.Client[wav1.NodeSlicePool, *wav1.NodeSlicePool]

	mu     sync.Mutex // one writes at a time; guards absent
	absent time.Time  // the CRDs were missing then
}

// NewMirror makes the mirror of a node.
func NewMirror(c Config) (*Mirror, error) {
	pools, err := object.Connect[wav1.IPPool](c.API, wav1.AddToScheme, wav1.SchemeGroupVersion, wav1.IPPoolResource)
	if err != nil {
		return nil, err
	}
	reservations, err := object.Connect[wav1.OverlappingRangeIPReservation](c.API, wav1.AddToScheme, wav1.SchemeGroupVersion, wav1.ReservationResource)
	if err != nil {
		return nil, err
	}
	parts, err := object.Connect[wav1.NodeSlicePool](c.API, wav1.AddToScheme, wav1.SchemeGroupVersion, wav1.NodeSlicePoolResource)
	if err != nil {
		return nil, err
	}
	m := &Mirror{node: c.Node, namespace: c.Whereabouts, now: c.Now, pools: pools, reservations: reservations, slices: parts}
	if m.namespace == "" {
		m.namespace = Namespace
	}
	if m.now == nil {
		m.now = time.Now
	}
	return m, nil
}

// ForeignError says that whereabouts has given an address to a pod.
type ForeignError struct {
	Address netip.Addr
	Pod     string // namespace/name
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("address %s: pod %s has it from whereabouts", e.Address, e.Pod)
}

// away tells whether the CRDs are known to be missing.
func (m *Mirror) away() bool { return !m.absent.IsZero() && m.now().Sub(m.absent) < absence }

// Slice is the part of a configuration's range that this node gives out of; false: ranges are not divided, or no controller divides them.
func (m *Mirror) Slice(ctx context.Context, r whereabouts.Ranges) (netip.Prefix, bool, error) {
	if r.SliceBits == 0 {
		return netip.Prefix{}, false, nil
	}
	name := r.Network
	if name == "" {
		name = r.Name
	}
	o, err := m.slices.Get(ctx, m.namespace, name)
	if apierrors.IsNotFound(err) {
		return netip.Prefix{}, false, nil
	} else if err != nil {
		return netip.Prefix{}, false, fmt.Errorf("read NodeSlicePool %s/%s: %w", m.namespace, name, err)
	}
	for _, a := range o.Status.Allocations {
		if a.NodeName == m.node {
			p, err := netip.ParsePrefix(a.SliceRange)
			return p, err == nil, err
		}
	}
	return netip.Prefix{}, false, fmt.Errorf("NodeSlicePool %s/%s: status.allocations has no part for node %s: all are given to other nodes, or its controller does not run", m.namespace, name, m.node)
}

// pool reads the pool of a subnet, and makes it if there is none; nil: the CRDs are missing.
func (m *Mirror) pool(ctx context.Context, r *whereabouts.Ranges, subnet netip.Prefix) (*wav1.IPPool, error) {
	node := ""
	if part, ok, err := m.Slice(ctx, *r); err != nil {
		return nil, err
	} else if ok {
		node, subnet = m.node, part
	}
	name := whereabouts.PoolName(r.Network, node, subnet)
	o, err := m.pools.Get(ctx, m.namespace, name)
	if apierrors.IsNotFound(err) {
		o = &wav1.IPPool{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: name}}
		o.Spec = wav1.IPPoolSpec{Range: subnet.String(), Allocations: map[string]wav1.IPAllocation{}}
		if err = m.pools.Create(ctx, o); apierrors.IsNotFound(err) {
			m.absent = m.now()
			return nil, nil
		} else if apierrors.IsAlreadyExists(err) {
			o, err = m.pools.Get(ctx, m.namespace, name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("IPPool %s/%s: %w", m.namespace, name, err)
	}
	return o, nil
}

// Has is the address of a subnet that a NIC has from whereabouts; zero: none.
func (m *Mirror) Has(ctx context.Context, r *whereabouts.Ranges, subnet netip.Prefix, h cluster.Holder) (netip.Addr, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away() {
		return netip.Addr{}, nil
	}
	o, err := m.pool(ctx, r, subnet)
	if err != nil || o == nil {
		return netip.Addr{}, err
	}
	for offset, a := range o.Spec.Allocations {
		if a.PodRef == h.Pod && a.IfName == h.Interface {
			if at, ok := whereabouts.At(mustRange(o), offset); ok {
				return at, nil
			}
		}
	}
	return netip.Addr{}, nil
}

// mustRange is the range of a pool; zero, in which no address is, if that makes no sense.
func mustRange(o *wav1.IPPool) netip.Prefix {
	p, _ := netip.ParsePrefix(o.Spec.Range)
	return p
}

// Reserve writes that a NIC has an address. The error may be a *ForeignError.
func (m *Mirror) Reserve(ctx context.Context, r *whereabouts.Ranges, subnet netip.Prefix, a netip.Addr, h cluster.Holder) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away() {
		return nil
	}
	made := false
	if r.Overlapping {
		var err error
		if made, err = m.reserve(ctx, r, a, h); err != nil {
			return err
		}
	}
	err := m.allocate(ctx, r, subnet, a, h)
	if err != nil && made {
		_ = m.unreserve(ctx, whereabouts.ReservationName(r.Network, a), h.Pod)
	}
	return err
}

// reserve makes the reservation of an address, which tells the plugin's other ranges.
func (m *Mirror) reserve(ctx context.Context, r *whereabouts.Ranges, a netip.Addr, h cluster.Holder) (made bool, err error) {
	o := &wav1.OverlappingRangeIPReservation{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: whereabouts.ReservationName(r.Network, a)}}
	o.Spec = wav1.OverlappingRangeIPReservationSpec{ContainerID: h.Container, PodRef: h.Pod, IfName: h.Interface}
	name := o.Name
	err = m.reservations.Create(ctx, o)
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsNotFound(err):
		m.absent = m.now()
		return false, nil
	case apierrors.IsAlreadyExists(err):
		have, err := m.reservations.Get(ctx, m.namespace, name)
		if err == nil && have.Spec.PodRef != h.Pod {
			err = &ForeignError{a, have.Spec.PodRef}
		}
		return false, err
	}
	return false, fmt.Errorf("create OverlappingRangeIPReservation %s/%s: %w", m.namespace, name, err)
}

// allocate writes an address into its pool.
func (m *Mirror) allocate(ctx context.Context, r *whereabouts.Ranges, subnet netip.Prefix, a netip.Addr, h cluster.Holder) error {
	for range rounds {
		o, err := m.pool(ctx, r, subnet)
		if err != nil || o == nil {
			return err
		}
		offset := whereabouts.Offset(mustRange(o), a)
		want := wav1.IPAllocation{ContainerID: h.Container, PodRef: h.Pod, IfName: h.Interface}
		switch have, there := o.Spec.Allocations[offset]; {
		case have == want:
			return nil
		case there && have.PodRef != h.Pod:
			return &ForeignError{a, have.PodRef}
		}
		if o.Spec.Allocations == nil {
			o.Spec.Allocations = map[string]wav1.IPAllocation{}
		}
		o.Spec.Allocations[offset] = want
		if err = m.pools.Update(ctx, o); err == nil || !apierrors.IsConflict(err) {
			return err
		}
	}
	return fmt.Errorf("the IPPool of %s changes faster than this node can follow: try again", subnet)
}

// Free takes a NIC out of the books, whether the plugin wrote it or this node did.
func (m *Mirror) Free(ctx context.Context, container, device string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away() {
		return nil
	}
	for range rounds {
		var list wav1.IPPoolList
		if err := m.pools.List(ctx, "", &list); apierrors.IsNotFound(err) {
			m.absent = m.now()
			return nil
		} else if err != nil {
			return fmt.Errorf("list IPPools: %w", err)
		}
		again := false
		for i := range list.Items {
			conflict, err := m.free(ctx, &list.Items[i], container, device)
			if err != nil {
				return err
			}
			again = again || conflict
		}
		if !again {
			return nil
		}
	}
	return fmt.Errorf("the IPPools change faster than this node can follow: try again")
}

func (m *Mirror) free(ctx context.Context, o *wav1.IPPool, container, device string) (conflict bool, err error) {
	if o.Namespace != m.namespace {
		return false, nil
	}
	var gone []string
	for offset, a := range o.Spec.Allocations {
		if a.ContainerID == container && a.IfName == device {
			gone = append(gone, offset)
		}
	}
	slices.Sort(gone)
	for _, offset := range gone {
		pod := o.Spec.Allocations[offset].PodRef
		if a, ok := whereabouts.At(mustRange(o), offset); ok {
			if err := m.unreserve(ctx, whereabouts.ReservationName(m.networkOf(o), a), pod); err != nil {
				return false, err
			}
		}
		delete(o.Spec.Allocations, offset)
	}
	if len(gone) == 0 {
		return false, nil
	}
	err = m.pools.Update(ctx, o)
	if apierrors.IsConflict(err) {
		return true, nil
	}
	return false, err
}

// networkOf is the network_name that the name of a pool begins with.
func (m *Mirror) networkOf(o *wav1.IPPool) string {
	name := strings.TrimSuffix(o.Name, whereabouts.PoolName("", "", mustRange(o)))
	name = strings.TrimSuffix(strings.TrimSuffix(name, "-"), m.node)
	return strings.TrimSuffix(name, "-")
}

// unreserve deletes a pod's reservation.
func (m *Mirror) unreserve(ctx context.Context, name, pod string) error {
	o, err := m.reservations.Get(ctx, m.namespace, name)
	if err == nil && o.Spec.PodRef == pod {
		err = m.reservations.Delete(ctx, o)
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
