package kube

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/sink/kube/object"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/pool"
)

// Node keeps the CiliumNode of this node: its addresses, and in IPAM mode kubernetes its pod prefixes, both from the Node
// object. A CiliumNode that is deleted while its node lives is made again with the prefixes it had, since pods use them.
//
// It follows one object, its Node, by itself: no table holds what only this is made of.
type Node struct {
	db   *state.DB
	t    *table.Tables
	name string
	log  *slog.Logger

	api  object.Client[v2.CiliumNode, *v2.CiliumNode]
	core object.Client[corev1.Node, *corev1.Node]

	// Own hears of the Node whenever it changes; nil: there is none. Set it before Run, or not at all.
	Own func(ctx context.Context, node *corev1.Node)

	mu   sync.Mutex
	node *corev1.Node  // nil: not read yet, or there is none
	news chan struct{} // has one element when node has changed

	prefixes []string // the node was last seen with
	parts    []v2.NodePoolAllocation
}

// NewNode makes the keeper of the CiliumNode of this name.
func NewNode(api *rest.Config, db *state.DB, t *table.Tables, name string, log *slog.Logger) (*Node, error) {
	nodes, err := connect[v2.CiliumNode](api, v2.SchemeGroupVersion, v2.NodeResource)
	if err != nil {
		return nil, err
	}
	core, err := connect[corev1.Node](api, corev1.SchemeGroupVersion, "nodes")
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Node{db: db, t: t, name: name, log: log, api: nodes, core: core, news: make(chan struct{}, 1)}, err
}

// Run works until ctx ends, and returns its error. What fails is logged and tried again.
func (n *Node) Run(ctx context.Context) error {
	own := cache.NewFilteredListWatchFromClient(n.core.Getter(), "nodes", "", func(o *metav1.ListOptions) {
		o.FieldSelector = "metadata.name=" + n.name
	})
	// The cap bounds how long the end takes while the API server is away: the reflector sleeps through that of ctx.
	backoff := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 4, Cap: 3 * time.Second}
	r := cache.NewReflectorWithOptions(own, &corev1.Node{}, ownNode{n, ctx}, cache.ReflectorOptions{Name: "own node", Backoff: &backoff})
	var reflector sync.WaitGroup
	defer reflector.Wait()
	reflector.Go(func() {
		_ = backoff.DelayFunc().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
			_ = r.ListAndWatchWithContext(ctx) // source/kube has logged what keeps agents from reading nodes
			return false, nil
		})
	})
	failures, last := 0, ""
	for {
		s := n.db.Snapshot()
		_, _, row := n.t.Nodes.WatchOne(s, state.Join(n.name))
		configured, needed := n.t.Configs.WatchAll(s), pool.Needs.WatchAll(s)
		var again <-chan time.Time
		if err := n.ensure(ctx, s); err == nil {
			failures, last = 0, ""
			again = time.After(recheck + rand.N(recheck/2))
		} else if ctx.Err() == nil {
			if failures++; err.Error() != last {
				last = err.Error()
				n.log.Warn("this node's CiliumNode is not as it should be: other nodes may not find its pods", "error", err)
			}
			again = time.After(time.Duration(min(failures, 20))*500*time.Millisecond + rand.N(time.Second/2))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-n.news:
		case <-row:
		case <-configured:
		case <-needed:
		case <-again:
		}
	}
}

// recheck bounds how long a CiliumNode stays away that went while no watch was open.
const recheck = 2 * time.Minute

// ensure makes the CiliumNode as it should be. It does nothing while the Node or the configuration is not known.
func (n *Node) ensure(ctx context.Context, s *state.Snapshot) error {
	n.mu.Lock()
	node := n.node
	n.mu.Unlock()
	if node == nil || !n.t.Configs.IsSynced(s) {
		return nil
	}
	config := n.t.Config(s)
	have, err := n.api.Get(ctx, "", n.name)
	if apierrors.IsNotFound(err) {
		o := &v2.CiliumNode{ObjectMeta: metav1.ObjectMeta{Name: n.name}}
		o.Spec.IPAM.PodCIDRs, o.Spec.IPAM.Pools.Allocated = n.prefixes, n.parts
		o.Spec = n.requests(s, spec(o.Spec, node, config))
		if err := n.api.Create(ctx, o); err != nil {
			return fmt.Errorf("create CiliumNode %s: %w", n.name, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read CiliumNode %s: %w", n.name, err)
	}
	want := n.requests(s, spec(have.Spec, node, config))
	n.prefixes, n.parts = want.IPAM.PodCIDRs, want.IPAM.Pools.Allocated
	if reflect.DeepEqual(want, have.Spec) {
		return nil
	}
	have.Spec = want
	if err := n.api.Update(ctx, have); err != nil {
		return fmt.Errorf("update CiliumNode %s: %w", n.name, err)
	}
	return nil
}

// spec is what a CiliumNode should say, given what it says and what its Node says.
func spec(now v2.NodeSpec, node *corev1.Node, config settings.Config) v2.NodeSpec {
	now.Addresses = nil
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP || a.Type == corev1.NodeExternalIP {
			now.Addresses = append(now.Addresses, v2.NodeAddress{Type: string(a.Type), IP: a.Address})
		}
	}
	now.BootID = node.Status.NodeInfo.BootID
	if config.IPAM == settings.Kubernetes {
		prefixes := slices.Clone(node.Spec.PodCIDRs)
		if len(prefixes) == 0 && node.Spec.PodCIDR != "" {
			prefixes = []string{node.Spec.PodCIDR}
		}
		if len(prefixes) > 0 { // kube-controller-manager gives them late, and takes none away
			now.IPAM.PodCIDRs = prefixes
		}
	}
	return now
}

// requests says what the node needs of pools. Before that is known what was said stays.
func (n *Node) requests(s *state.Snapshot, now v2.NodeSpec) v2.NodeSpec {
	if !pool.Needs.IsSynced(s) {
		return now
	}
	now.IPAM.Pools.Requested = nil
	for need := range pool.Needs.All(s) {
		now.IPAM.Pools.Requested = append(now.IPAM.Pools.Requested, v2.NodePoolRequest{
			Pool: need.Pool, Needed: v2.NodePoolDemand{IPv4Addrs: need.IPv4, IPv6Addrs: need.IPv6},
		})
	}
	return now
}

// ownNode is the store of the reflector that follows the Node.
type ownNode struct {
	*Node
	ctx context.Context //nolint:containedctx // of the reflector that calls
}

func (s ownNode) set(node *corev1.Node) error {
	s.mu.Lock()
	s.node = node
	s.mu.Unlock()
	if s.Own != nil {
		s.Own(s.ctx, node)
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
	return nil
}

func (s ownNode) Add(o any) error    { return s.set(o.(*corev1.Node)) }
func (s ownNode) Update(o any) error { return s.set(o.(*corev1.Node)) }
func (s ownNode) Delete(any) error   { return s.set(nil) }
func (s ownNode) Resync() error      { return nil }

func (s ownNode) Replace(list []any, _ string) error {
	if len(list) == 0 {
		return s.set(nil)
	}
	return s.set(list[0].(*corev1.Node))
}
